"""One step of each training stage: what the paper's equations do to a batch.

A batch is (lq, hr, weight), floats in [0, 1]: lq (N, 3, h, w) or (N, 5, 3, H, W), hr (N, 3, H, W), weight (N, C, H, W).
A stage offers `step(batch)`, which updates the networks and returns the loss terms, and `loss(sr, batch)`, the
generator's loss alone, for validation. Terms have the names of history.csv's columns.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sa_sr.config import Optimise, TrainSpec
from sa_sr.errors import UserError
from sa_sr.losses import ADVERSARIAL, REDUCTIONS, Distance, SpatiallyAdaptiveLoss, distance, perceptual
from sa_sr.training.devices import everyone, mean_of_all, synchronised

Batch = tuple[Tensor, Tensor, Tensor]
Terms = dict[str, Tensor]
MARGIN = 0.1
"""Networks overshoot a little at edges beside black and white; this much, 25 gray levels of 255, is no such thing."""


class Stage:
    """A generator, its optimiser, and what of them has to survive a stop (`parts`)."""

    def __init__(self, fabric: Fabric, generator: nn.Module, plan: Optimise):
        self.fabric = fabric
        generator = synchronised(fabric, generator)
        self.generator, self.optimiser = fabric.setup(generator, adam(generator, plan))
        self.parts: dict[str, Any] = {"generator": self.generator, "optimiser": self.optimiser}
        self.optimisers = [self.optimiser]
        self.average = None
        if plan.ema:
            self.average = AveragedModel(self.generator.module, multi_avg_fn=get_ema_multi_avg_fn(plan.ema))
            self.parts["average"] = self.average

    @property
    def kept(self) -> nn.Module:
        """The network which is validated and saved: the generator or its moving average."""
        return self.generator if self.average is None else self.average.module

    def descend_generator(self, loss: Tensor, terms: Terms) -> dict[str, float]:
        numbers = descend(self.fabric, self.generator, self.optimiser, loss, terms, "grad_g")
        if self.average is not None:
            self.average.update_parameters(self.generator.module)
        return numbers


class PixelStage(Stage):
    """PSNR-oriented pretraining: the plain mean distance of the pixels."""

    def __init__(self, fabric: Fabric, generator: nn.Module, plan: Optimise, pixel: Distance):
        super().__init__(fabric, generator, plan)
        self.distance = pixel

    def step(self, batch: Batch) -> dict[str, float]:
        return self.descend_generator(*self.loss(self.generator(batch[0]), batch))

    def loss(self, sr: Tensor, batch: Batch) -> tuple[Tensor, Terms]:
        loss = self.distance(sr, batch[1]).mean()
        return loss, {"l_g_total": loss, "out_of_range": out_of_range(sr)}


class GanStage(Stage):
    """The GAN training of both models: eq. 16-19 for ESRGAN, eq. 20-23 for VSRResFeatGAN."""

    def __init__(
        self,
        fabric: Fabric,
        spec: TrainSpec,
        generator: nn.Module,
        discriminator: nn.Module,
        features: Callable[[Tensor], Tensor],
    ):
        super().__init__(fabric, generator, spec.optimise)
        discriminator = synchronised(fabric, discriminator)
        self.discriminator, self.optimiser_d = fabric.setup(discriminator, adam(discriminator, spec.optimise))
        self.parts |= {"discriminator": self.discriminator, "optimiser_d": self.optimiser_d}
        self.optimisers.append(self.optimiser_d)

        self.terms, self.features = spec.terms, features
        self.adversarial, self.reduction = ADVERSARIAL[spec.terms.gan_type], REDUCTIONS[spec.terms.reduction]
        self.feature_distance = distance(spec.terms.feature, spec.terms.epsilon)
        pixel, beta2 = distance(spec.terms.pixel, spec.terms.epsilon), float(spec.beta2)
        self.pixel = SpatiallyAdaptiveLoss(pixel, spec.terms.beta1, beta2, reduction=self.reduction)

    def step(self, batch: Batch) -> dict[str, float]:
        sr, numbers = self.generator(batch[0]), {}
        turns = {"generator": self.turn_of_generator, "discriminator": self.turn_of_discriminator}
        for player in self.terms.order:
            numbers |= turns[player](sr, batch)
        return numbers

    def turn_of_generator(self, sr: Tensor, batch: Batch) -> dict[str, float]:
        self.discriminator.requires_grad_(False)
        with self.fabric.no_backward_sync(self.discriminator):
            numbers = self.descend_generator(*self.loss(sr, batch))
        self.discriminator.requires_grad_(True)
        sa, whole = numbers["l_g_sa"], numbers["l_g_total"]
        return numbers | {"sa_share": sa / whole if whole else 0.0}

    def turn_of_discriminator(self, sr: Tensor, batch: Batch) -> dict[str, float]:
        real, fake = self.judge(batch[1]), self.judge(sr.detach())
        loss = self.adversarial.discriminator(fake, real)
        fake, real = self.adversarial.judged(fake, real)
        terms = {"l_d": loss, "d_real": real.sigmoid().mean(), "d_fake": fake.sigmoid().mean()}
        return descend(self.fabric, self.discriminator, self.optimiser_d, loss, terms, "grad_d")

    def judge(self, images: Tensor) -> Tensor:
        """The logits of all images of the batch, for a relativistic loss compares with their mean."""
        logits = self.discriminator(images)
        return everyone(self.fabric, logits) if self.discriminator.training else logits  # each validates all of them

    def loss(self, sr: Tensor, batch: Batch) -> tuple[Tensor, Terms]:
        """Eq. 16 = 18 and 20 = 22: the baseline is the case W = 0."""
        _, hr, weight = batch
        l_pix, l_sa = self.pixel.parts(sr, hr, weight)
        l_percep = self.terms.percep * perceptual(self.features, sr, hr, self.feature_distance, self.reduction)
        real = self.judge(hr).detach() if self.adversarial.relative else None
        l_gan = self.terms.gan * self.adversarial.generator(self.judge(sr), real)
        loss = l_gan + l_percep + l_pix + l_sa
        return loss, {
            "l_g_total": loss,
            "l_g_pix": l_pix,
            "l_g_sa": l_sa,
            "l_g_percep": l_percep,
            "l_g_gan": l_gan,
            "out_of_range": out_of_range(sr),
        }


def out_of_range(sr: Tensor) -> Tensor:
    """The share of the values of sr that lie more than MARGIN below 0 or above 1."""
    return ((sr.detach() - 0.5).abs() > 0.5 + MARGIN).float().mean()


def adam(network: nn.Module, plan: Optimise) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=plan.lr, betas=plan.betas, weight_decay=plan.weight_decay)


def descend(
    fabric: Fabric, network: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, terms: Terms, gradient: str
) -> dict[str, float]:
    """One update of one network. Returns the terms and, under the name `gradient`, the norm of the gradient.

    Raises NotFinite before the update, with one wait for the device for all numbers.
    """
    optimiser.zero_grad()
    fabric.backward(loss)
    norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
    numbers = finite(fabric, terms | {gradient: norm})
    optimiser.step()
    return numbers


class NotFinite(UserError):
    """A number of the training that is infinite or no number."""


def finite(fabric: Fabric, terms: Terms) -> dict[str, float]:
    """The terms of the whole batch as numbers. Raises NotFinite, in all processes, naming one that is not finite."""
    values = mean_of_all(fabric, torch.stack([t.detach().float() for t in terms.values()])).tolist()
    for name, value in zip(terms, values, strict=True):
        if not math.isfinite(value):
            raise NotFinite(f"{name} became {value}")
    return dict(zip(terms, values, strict=True))
