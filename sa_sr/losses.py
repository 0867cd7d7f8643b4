"""The losses of the paper, with its names and equation numbers.

By default all are means over batch, channels and pixels of images in [0, 1]. The paper writes sums (eq. 4-7), but
only with means do its coefficients give its "around 15 %" for the spatially adaptive part (see docs/method.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from sa_sr.errors import UserError

Distance = Callable[[Tensor, Tensor], Tensor]
"""Element by element: two tensors of one shape in, their distances in the same shape out."""

Reduction = Callable[[Tensor], Tensor]
"""A batch of distances to one number."""


def l1(u: Tensor, v: Tensor) -> Tensor:
    """|u - v|, the summand of eq. 4."""
    return (u - v).abs()


def charbonnier(u: Tensor, v: Tensor, epsilon: float = 1e-3) -> Tensor:
    """sqrt((u - v)^2 + epsilon^2), the summand of eq. 5."""
    return ((u - v).square() + epsilon**2).sqrt()


def squared_error(u: Tensor, v: Tensor) -> Tensor:
    """(u - v)^2: what VSRResNet is pretrained with."""
    return (u - v).square()


def distance(name: str, epsilon: float = 1e-3) -> Distance:
    """The distance "l1" or "charbonnier", the latter with its epsilon."""
    return {"l1": l1, "charbonnier": partial(charbonnier, epsilon=epsilon)}[name]


def mean(distances: Tensor) -> Tensor:
    """Over batch, channels and pixels."""
    return distances.mean()


def total(distances: Tensor) -> Tensor:
    """The sum over channels and pixels, as eq. 4-7 are written, and the mean over the batch."""
    return distances.sum() / len(distances)


REDUCTIONS: dict[str, Reduction] = {"mean": mean, "sum": total}


class SpatiallyAdaptiveLoss(nn.Module):
    """Pixel loss weighted by the edges of the ground truth: mean((beta1 + beta2 W(hr)) d(sr, hr)), eq. 12, 13, 19, 23.

    distance: `l1`, `charbonnier` or a function of one's own; beta1: weight everywhere; beta2: weight on edges;
    extractor, params: how W is made from hr when the caller has no precomputed map (sa_sr.edges.extract); reduction:
    `mean`, or `total` for sums. Raises UserError for an extractor or a parameter that does not exist.
    """

    def __init__(
        self,
        distance: Distance,
        beta1: float,
        beta2: float,
        extractor: str | None = None,
        *,
        reduction: Reduction = mean,
        **params: Any,
    ):
        super().__init__()
        if extractor is None and params:
            raise UserError(f"SpatiallyAdaptiveLoss has no parameter {', '.join(params)}, and no extractor that may")
        self.distance, self.beta1, self.beta2, self.reduction = distance, beta1, beta2, reduction
        if extractor is not None:
            from sa_sr.edges import check_parameters

            params = check_parameters(extractor, params)
        self.extractor, self.params = extractor, params

    def extra_repr(self) -> str:
        return f"beta1={self.beta1}, beta2={self.beta2}, extractor={self.extractor!r}"

    def forward(self, sr: Tensor, hr: Tensor, weight: Tensor | None = None) -> Tensor:
        """Scalar loss of sr, hr (N, 3, H, W) in [0, 1]; weight (N, 1 or 3, H, W) in [0, 1] is W(hr)."""
        plain, adaptive = self.parts(sr, hr, weight)
        return plain + adaptive

    def parts(self, sr: Tensor, hr: Tensor, weight: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The two summands: beta1 mean(d), the plain pixel loss, and beta2 mean(W d), the spatially adaptive part."""
        if weight is None:
            weight = self.extract(hr)
        d = self.distance(sr, hr)
        return self.beta1 * self.reduction(d), self.beta2 * self.reduction(weight * d)

    def extract(self, hr: Tensor) -> Tensor:
        """W(hr) (N, 1 or 3, H, W) of images (N, 3, H, W) in [0, 1]; it carries no gradient."""
        if self.extractor is None:
            raise ValueError("SpatiallyAdaptiveLoss needs a weight map, or an extractor to make one")
        from sa_sr.edges import extract

        images = (hr.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        maps = np.stack([extract(image, self.extractor, **self.params) for image in images])
        return torch.from_numpy(maps).permute(0, 3, 1, 2).to(hr)


def perceptual(
    features: Callable[[Tensor], Tensor], sr: Tensor, hr: Tensor, distance: Distance, reduction: Reduction = mean
) -> Tensor:
    """Mean (or sum, by `reduction`) distance of feature maps (eq. 15); the ground truth's carry no gradient."""
    with torch.no_grad():
        target = features(hr)
    return reduction(distance(features(sr), target))


@dataclass(frozen=True)
class Adversarial:
    """The two players of eq. 14, given logits of the discriminator for real and generated images.

    judged: the logits (fake, real) whose sigmoids are the discriminator's verdict, 1 for "real"; relative: the
    generator's loss needs the logits of the real images as well.
    """

    generator: Callable[[Tensor, Tensor | None], Tensor]
    discriminator: Callable[[Tensor, Tensor], Tensor]
    judged: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    relative: bool


def _real(logits: Tensor) -> Tensor:
    return bce(logits, torch.ones_like(logits))


def _fake(logits: Tensor) -> Tensor:
    return bce(logits, torch.zeros_like(logits))


def _alone(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    return fake, real


def _beside_each_other(fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Each kind against the mean of the other: a relativistic discriminator's logits by themselves mean nothing."""
    return fake - real.mean(), real - fake.mean()


def _relativistic_generator(fake: Tensor, real: Tensor | None) -> Tensor:
    assert real is not None
    fake, real = _beside_each_other(fake, real)
    return (_fake(real) + _real(fake)) / 2


def _relativistic_discriminator(fake: Tensor, real: Tensor) -> Tensor:
    fake, real = _beside_each_other(fake, real)
    return (_real(real) + _fake(fake)) / 2


def _standard_discriminator(fake: Tensor, real: Tensor) -> Tensor:
    return _real(real) + _fake(fake)


standard = Adversarial(lambda fake, _: _real(fake), _standard_discriminator, _alone, relative=False)
"""Eq. 14 with the non-saturating loss for the generator (VSRResFeatGAN)."""

saturating = Adversarial(lambda fake, _: -_fake(fake), _standard_discriminator, _alone, relative=False)
"""Eq. 14 to the letter: the generator lowers log(1 - D(G)), whose gradient fades where the discriminator is sure."""

relativistic = Adversarial(_relativistic_generator, _relativistic_discriminator, _beside_each_other, relative=True)
"""Relativistic average GAN: is a real image more real than the average generated one? (ESRGAN)"""

ADVERSARIAL = {"ragan": relativistic, "vanilla": standard, "saturating": saturating}
