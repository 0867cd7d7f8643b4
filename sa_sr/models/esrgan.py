"""ESRGAN (Wang et al. 2018) and SA-ESRGAN: image super-resolution, III-D1 of the paper."""

from sa_sr.losses import l1
from sa_sr.models.discriminators import VGGStyleDiscriminator
from sa_sr.models.recipe import Recipe
from sa_sr.models.rrdbnet import RRDBNet

esrgan = Recipe(
    window=1,
    generator=RRDBNet,
    discriminator=VGGStyleDiscriminator,
    pretrain=l1,
)
