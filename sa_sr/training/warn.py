"""Say in the log when a training falls ill. Not part of any fingerprint, so that new rules train nothing again."""

import logging

from sa_sr.training.health import begun
from sa_sr.training.log import History

log = logging.getLogger("sa_sr")


def warn(name: str, history: History, step: int) -> None:
    """Say in the log what begins with this step. A training that is resumed does not say again what it has said."""
    if history.rows and history.rows[-1]["step"] == step:
        for found in begun(history.rows, history.planned):
            sign = f"{found.rule.name} since step {found.first:,} ({found.seen})"
            log.warning("%s: %s. %s", name, sign, found.rule.remark)
