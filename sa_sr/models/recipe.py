"""What a model is made of: the pieces in which ESRGAN and VSRResFeatGAN differ, beside their losses' settings."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from sa_sr.losses import Distance


@dataclass(frozen=True)
class Recipe:
    """A model that can be trained, evaluated and put into the tables by its name.

    window: frames that the generator sees, 1 LR frame or an odd number of bicubic frames; generator: sizes -> network
    with its initial weights; discriminator: sizes and HR patch side -> network; pretrain: distance of the PSNR-oriented
    stage.
    """

    window: int
    generator: Callable[..., nn.Module]
    discriminator: Callable[..., nn.Module]
    pretrain: Distance
