"""Stage `resolve`: the settings of one training, with everything decided."""

import json
from pathlib import Path
from typing import Any

from sa_sr.errors import UserError


def resolve(settings: dict[str, Any], calibration: Path | None = None) -> dict[str, Any]:
    """The settings of a run with the calibrated beta2 in the place of `auto`.

    settings: a TrainSpec or PretrainSpec as JSON; calibration: what `sa-sr calibrate` wrote. Raises UserError where it
    is needed and not given, or does not say beta2.
    """
    if settings.get("beta2") != "auto":
        return settings
    if calibration is None:
        raise UserError("beta2 is `auto`: --calibration has to name the result of `sa-sr calibrate`")
    try:
        return settings | {"beta2": float(json.loads(calibration.read_text(encoding="utf-8"))["beta2"])}
    except (ValueError, KeyError, TypeError) as e:
        raise UserError(f"{calibration}: no calibration ({e!r}); delete it and run again to make it anew") from e
