"""Check an experiment before its first GPU hour: what can be built, what is missing, what it will take.

Nothing is downloaded, written or trained. Paths are those of the workflow, relative to the folder that it runs in.
"""

from collections.abc import Iterator
from typing import Any

from sa_sr.check import data, disk, fit, hours, leaks, networks, plan, weights
from sa_sr.check.part import Part
from sa_sr.check.pixels import look
from sa_sr.config import load
from sa_sr.data.presence import used


def check(values: dict[str, Any], where: str, measure: bool = False) -> Iterator[Part]:
    """Everything that can be told of an experiment in a few seconds, part by part.

    values: the parsed YAML; where: its file, for messages; measure: time the training steps on a CPU too. Raises
    UserError where the configuration is not valid; all else that is wrong is a problem of its part.
    """
    config = load(values, where)
    yield Part("Configuration", "<", [(f"{config.name}: {where} is valid",)], [], [])
    built = {name: networks.build(config, name) for name in config.chosen_models}
    yield networks.part(built)
    yield networks.extractors(config)
    found = {name: [look(config, source) for source in config.datasets[name].sources] for name in used(config)}
    misfits = [*fit.problems(config, found), *leaks.problems(config), *weights.problems(config, built)]
    yield data.part(config, found, misfits)
    yield disk.part(config, built, found)
    yield plan.part(config)
    yield hours.part(config, where, measure)
