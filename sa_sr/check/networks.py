"""Whether the networks can be built, and the extractors run: on no memory and on a piece of a photo."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage
import torch
from torch import nn

from sa_sr.check.part import Part
from sa_sr.config import Config
from sa_sr.data.degrade import SCALE
from sa_sr.data.images import read_image
from sa_sr.edges import extract
from sa_sr.errors import UserError
from sa_sr.plugins import find

PHOTO = Path(skimage.__path__[0]) / "data/astronaut.png"
PIECE = (slice(0, 64), slice(180, 244))
"""Rows and columns of the photo that extractors are tried on: a piece with contours."""


@dataclass(frozen=True)
class Network:
    """A network of the configured size: its class, its number of parameters, and the shapes it takes and gives."""

    name: str
    parameters: int
    takes: tuple[int, ...]
    gives: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Of its weights, float32."""
        return 4 * self.parameters


@dataclass(frozen=True)
class Pair:
    """The generator and the discriminator of a model."""

    generator: Network
    discriminator: Network


def build(config: Config, model: str) -> Pair | UserError:
    """Both networks of a model, or what is wrong: built and run on torch's meta device, which takes no memory or time.

    The batch is that of the GAN stage: the generator has to give the HR patches' shape, the discriminator (N, 1).
    """
    m, recipe = config.model(model), find("models", model)
    lq, hr = shapes(recipe.window, m.train.batch, m.patch)
    try:
        with torch.device("meta"):
            generator = _tried(recipe.generator(**m.generator.model_dump(mode="json")), lq, hr)
            discriminator = recipe.discriminator(**m.discriminator.model_dump(mode="json"), patch=m.patch)
            return Pair(generator, _tried(discriminator, hr, (m.train.batch, 1)))
    except (UserError, ValueError, TypeError, RuntimeError) as e:  # what a network that can't be built or run raises
        return UserError(f"{model}: {e}")


def shapes(window: int, batch: int, patch: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What a generator takes, LR patches or `window` bicubic frames, and the HR patches that it gives."""
    hr = (batch, 3, patch, patch)
    return ((batch, 3, patch // SCALE, patch // SCALE) if window == 1 else (batch, window, *hr[1:])), hr


def _tried(network: nn.Module, takes: tuple[int, ...], wanted: tuple[int, ...]) -> Network:
    gives = tuple(network(torch.empty(takes)).shape)
    name = type(network).__name__
    if gives != wanted:
        raise UserError(f"{name} gives {_times(gives)}, expected {_times(wanted)}")
    return Network(name, sum(parameter.numel() for parameter in network.parameters()), takes, gives)


def part(built: dict[str, Pair | UserError]) -> Part:
    """Sizes and shapes of all networks."""
    rows, problems = [("", "", "parameters", "takes", "gives")], []
    for model, pair in built.items():
        if isinstance(pair, UserError):
            problems.append(str(pair))
            continue
        for label, n in ((model, pair.generator), ("", pair.discriminator)):
            rows.append((label, n.name, f"{n.parameters:,}", _times(n.takes), _times(n.gives)))
    return Part("Networks", "<<><<", rows, problems, problems)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def extractors(config: Config) -> Part:
    """Each extractor, with the parameters of sweeps too, on a piece of a photo."""
    image = np.ascontiguousarray(read_image(PHOTO)[PIECE])
    rows, problems = [("", "mean of W", "channels")], []
    for name, variant in config.edges.items():
        try:
            weight = extract(image, variant.extractor, **variant.parameters)
        except Exception as e:  # an extractor is anybody's code, and may raise anything
            problems.append(f"{name}: {e or type(e).__name__}")
        else:
            rows.append((name, f"{weight.mean():.4f}", str(weight.shape[2])))
    return Part("Extractors, on a piece of a photo", "<>>", rows, problems, problems)
