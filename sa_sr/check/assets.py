"""The files that an experiment downloads."""

from pathlib import Path

from sa_sr.config import Config
from sa_sr.data.assets import Asset
from sa_sr.data.presence import used
from sa_sr.errors import UserError

ASSETS = Path("results/assets")


def needed(config: Config) -> dict[str, Asset]:
    """Every asset of an experiment: of its data sets, then its weights."""
    names = [source.asset for name in used(config) for source in config.datasets[name].sources]
    return {name: config.asset(name) for name in [*names, *weights(config)] if name}


def weights(config: Config) -> list[str]:
    """The assets that are weights, each once."""
    models = config.chosen_models.values()
    names = [name for m in models for name in (m.init, m.features.asset)]
    return list(dict.fromkeys(name for name in [*names, config.evaluation.lpips.asset] if name))


def check_length(config: Config, name: str) -> None:
    """UserError where a download has another length than is published: the workflow takes whatever lies there."""
    place, wanted = ASSETS / name, config.asset(name).bytes
    if wanted and (length := place.stat().st_size) != wanted:
        raise UserError(f"{place}: has {length} bytes, expected {wanted}; delete it")
