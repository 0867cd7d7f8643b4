"""One step of each training stage: what the paper's equations do to a batch.

A batch is (lq, hr, weight), floats in [0, 1]: lq (N, 3, h, w) or (N, 5, 3, H, W), hr (N, 3, H, W), weight (N, C, H, W).
A stage offers `step(batch)`, which updates the networks and returns the loss terms, and `loss(batch)`, the generator's
loss alone, for validation. Terms have the names of history.csv's columns.
"""

import math
from collections.abc import Callable

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from sa_sr.config import Optimise, TrainSpec
from sa_sr.errors import UserError
from sa_sr.losses import SpatiallyAdaptiveLoss, perceptual
from sa_sr.models.recipe import Recipe

Batch = tuple[Tensor, Tensor, Tensor]


class PixelStage:
    """PSNR-oriented pretraining: the plain mean distance of the pixels."""

    def __init__(self, fabric: Fabric, recipe: Recipe, generator: nn.Module, plan: Optimise):
        self.fabric, self.distance = fabric, recipe.pretrain
        self.generator, self.optimiser = fabric.setup(generator, adam(generator, plan))
        self.parts = {"generator": self.generator, "optimiser": self.optimiser}
        self.optimisers = [self.optimiser]

    def step(self, batch: Batch) -> dict[str, float]:
        loss, terms, _ = self.loss(batch)
        numbers = finite(terms)
        descend(self.fabric, self.optimiser, loss)
        return numbers

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        lq, hr, _ = batch
        sr = self.generator(lq)
        loss = self.distance(sr, hr).mean()
        return loss, {"l_g_total": loss}, sr


class GanStage:
    """The GAN training of both models: eq. 16-19 for ESRGAN, eq. 20-23 for VSRResFeatGAN."""

    def __init__(
        self,
        fabric: Fabric,
        recipe: Recipe,
        spec: TrainSpec,
        generator: nn.Module,
        discriminator: nn.Module,
        features: Callable[[Tensor], Tensor],
    ):
        self.fabric, self.recipe, self.spec, self.features = fabric, recipe, spec, features
        self.generator, self.optimiser_g = fabric.setup(generator, adam(generator, spec.optimise))
        self.discriminator, self.optimiser_d = fabric.setup(discriminator, adam(discriminator, spec.optimise))
        self.pixel = SpatiallyAdaptiveLoss(recipe.pixel, spec.beta1, spec.beta2)
        self.parts = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "optimiser_g": self.optimiser_g,
            "optimiser_d": self.optimiser_d,
        }
        self.optimisers = [self.optimiser_g, self.optimiser_d]

    def step(self, batch: Batch) -> dict[str, float]:
        adversarial, (_, hr, _) = self.recipe.adversarial, batch

        self.discriminator.requires_grad_(False)
        loss, terms, sr = self.loss(batch)
        numbers = finite(terms)
        descend(self.fabric, self.optimiser_g, loss)

        self.discriminator.requires_grad_(True)
        real, fake = self.discriminator(hr), self.discriminator(sr.detach())
        loss = adversarial.discriminator(fake, real)
        numbers |= finite({"l_d": loss, "d_real": real.sigmoid().mean(), "d_fake": fake.sigmoid().mean()})
        descend(self.fabric, self.optimiser_d, loss)
        return numbers

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Eq. 16 = 18 and 20 = 22: the baseline is the case W = 0."""
        spec, recipe, (lq, hr, weight) = self.spec, self.recipe, batch
        sr = self.generator(lq)
        l_pix, l_sa = self.pixel.parts(sr, hr, weight)
        l_percep = spec.percep * perceptual(self.features, sr, hr, recipe.feature)
        real = self.discriminator(hr).detach() if recipe.adversarial.relative else None
        l_gan = spec.gan * recipe.adversarial.generator(self.discriminator(sr), real)
        loss = l_gan + l_percep + l_pix + l_sa
        terms = {
            "l_g_total": loss,
            "l_g_pix": l_pix,
            "l_g_sa": l_sa,
            "l_g_percep": l_percep,
            "l_g_gan": l_gan,
            "sa_share": l_sa / loss,
        }
        return loss, terms, sr


def adam(network: nn.Module, plan: Optimise) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=plan.lr, betas=plan.betas)


def descend(fabric: Fabric, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    fabric.backward(loss)
    optimiser.step()


def finite(terms: dict[str, Tensor]) -> dict[str, float]:
    """The terms as numbers, with one wait for the device; UserError names one that is not finite, before any update."""
    values = torch.stack([t.detach().float() for t in terms.values()]).tolist()
    for name, value in zip(terms, values, strict=True):
        if not math.isfinite(value):
            raise UserError(f"{name} became {value}; lower the learning rate, or look at the data of this batch")
    return dict(zip(terms, values, strict=True))
