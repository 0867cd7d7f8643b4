"""Whether the weight files that are there fit the networks that they are for."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from sa_sr.check.assets import ASSETS, check_length
from sa_sr.check.networks import Pair
from sa_sr.config import Config
from sa_sr.errors import UserError, lack_of_memory
from sa_sr.evaluation.metrics import Lpips
from sa_sr.models.checkpoints import cut, fill, load_state, rename_rrdb
from sa_sr.models.vgg import load_vgg19
from sa_sr.plugins import find

Test = Callable[[Path], object]
"""Raises a UserError where a file does not fit."""


def problems(config: Config, built: dict[str, Pair | UserError]) -> Iterator[str]:
    """A line for each key whose weights are there and can't be used; built: the networks of each model."""
    for key, asset, test in _uses(config, built):
        if (ASSETS / asset).is_file() and (problem := _problem(config, asset, test)):
            yield f"{key}: {problem}"


def _problem(config: Config, asset: str, test: Test) -> str:
    """What is wrong with a file that is there, and what to do; empty where it fits."""
    try:
        check_length(config, asset)
    except UserError as e:
        return str(e)
    try:
        test(ASSETS / asset)
    except UserError as e:
        if lack_of_memory(e):  # the weights may fit
            raise
        return f"{e}; choose weights that fit, or delete the file if it is not what it should be"
    return ""


def _uses(config: Config, built: dict[str, Pair | UserError]) -> Iterator[tuple[str, str, Test]]:
    """Key and asset of all weights, each with the test that it has to pass."""
    features = {}
    for model, m in config.chosen_models.items():
        if m.init and not isinstance(built[model], UserError):
            yield f"models.{model}.init", m.init, partial(_fits_generator, config, model)
        features.setdefault(m.features.asset, f"models.{model}.features.asset")
    for asset, key in features.items():
        yield key, asset, load_vgg19
    lpips = config.evaluation.lpips
    yield "evaluation.lpips", lpips.asset, partial(Lpips, net=lpips.net, version=lpips.version)


def _fits_generator(config: Config, model: str, path: Path) -> None:
    """As `initial_generator`, on torch's meta device."""
    size = config.model(model).generator.model_dump(mode="json")
    state = {key: tensor.to("meta") for key, tensor in rename_rrdb(load_state(path)[0]).items()}
    with torch.device("meta"):
        generator = find("models", model).generator(**size)
    fill(generator, cut(state, size["num_block"], path), path)
