"""VSRResFeatGAN (Lucas et al. 2019) and SA-VSRResFeatGAN: video super-resolution, III-D2 of the paper."""

from sa_sr.losses import squared_error
from sa_sr.models.discriminators import VSRDiscriminator
from sa_sr.models.recipe import Recipe
from sa_sr.models.vsrresnet import VSRResNet


def generator(**sizes) -> VSRResNet:
    """VSRResNet that returns its centre frame at first: step 0 equals bicubic."""
    network = VSRResNet(num_frames=5, **sizes)
    network.identity_init()
    return network


vsrresfeatgan = Recipe(
    window=5,
    generator=generator,
    discriminator=VSRDiscriminator,
    pretrain=squared_error,
)
