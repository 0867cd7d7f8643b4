"""What makes a model of this paper: the pieces that it hands to the one trainer."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from sa_sr.losses import Adversarial, Distance


@dataclass(frozen=True)
class Recipe:
    """A model that can be trained, evaluated and put into the tables by its name.

    window: frames that the generator sees, 1 LR frame or an odd number of bicubic frames; generator: sizes -> network
    with its initial weights; discriminator: sizes and HR patch side -> network; pixel: distance of the pixel loss;
    feature: distance of the perceptual loss; pretrain: distance of the PSNR-oriented stage; adversarial: the GAN loss.
    """

    window: int
    generator: Callable[..., nn.Module]
    discriminator: Callable[..., nn.Module]
    pixel: Distance
    feature: Distance
    pretrain: Distance
    adversarial: Adversarial
