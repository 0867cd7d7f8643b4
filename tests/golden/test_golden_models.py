"""The networks against published counts, and the pretrained weights against what they are known to do."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from skimage import data
from torch import nn

from sa_sr.data.resize import imresize
from sa_sr.evaluation.metrics import psnr
from sa_sr.models import checkpoints, generators, lpips_jax, vgg
from sa_sr.models.discriminators import VGGStyleDiscriminator
from sa_sr.models.rrdbnet import RRDBNet
from sa_sr.models.vgg import VGG19Features
from sa_sr.models.vsrresnet import VSRResNet

Asset = Callable[[str], Path]


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (lambda: RRDBNet(), 16_697_987),  # ESRGAN's public weights
        (lambda: VGGStyleDiscriminator(), 14_499_401),  # BasicSR 1.x
        (lambda: VGGStyleDiscriminator(conv_bias=True), 14_502_281),  # the code of 2018
        (lambda: VSRResNet(), 1_332_675),
        (lambda: VSRResNet(share_first=False), 1_339_843),
    ],
)
def test_parameter_counts(network: Callable[[], nn.Module], count: int):
    assert sum(p.numel() for p in network().parameters()) == count


def photo(name: str) -> np.ndarray:
    """A 256x256 crop of one of scikit-image's photos."""
    image = getattr(data, name)()
    return image[60:316, 150:406] if name == "coffee" else image[:256, :256]


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def realsr(asset: Asset) -> nn.Module:
    return generators.load(asset("realsr_df2k_x4.bin"))


@pytest.mark.slow
def test_three_blocks_of_realsr_are_a_start(realsr: nn.Module):
    """What the demo begins with: worse than bicubic, but an image and no noise."""
    net = RRDBNet(num_block=3)
    net.load_state_dict(checkpoints.cut(realsr.state_dict(), 3, "realsr"))
    hr = photo("chelsea")
    with torch.no_grad():
        sr = net(tensor(imresize(hr, 1 / 4)))[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).numpy()
    assert 22 < psnr(sr, hr, "y", border=4) < psnr(imresize(imresize(hr, 1 / 4), 4), hr, "y", border=4)


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.cat([tensor(photo(name)) for name in ("chelsea", "coffee", "astronaut", "rocket")])


@pytest.mark.slow
def test_oxford_vgg19_features(asset: Asset, photos: torch.Tensor):
    """conv5_4 before its activation has a mean |x| of about 46.5 on photos; codes of 8 bits lose 1 % of it."""
    coded = VGG19Features(vgg.load_vgg19(asset("vgg19_oxford_q8.bin")))(photos)
    assert coded.shape == (4, 512, 16, 16)
    assert coded.abs().mean() == pytest.approx(46.5, rel=0.1)
    full = VGG19Features(vgg.load_vgg19(asset("vgg19_oxford.h5")))(photos)
    assert (coded - full).norm() / full.norm() < 0.011


@pytest.mark.slow
def test_oxford_vgg19_takes_the_input_it_was_trained_with(asset: Asset, photos: torch.Tensor):
    with h5py.File(asset("vgg19_oxford.h5")) as f:
        kernel, bias = (np.array(f[f"block1_conv1/block1_conv1_{part}_1:0"]) for part in "Wb")
    caffe = 255 * photos.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    weight = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
    expected = nn.functional.conv2d(caffe, weight, torch.from_numpy(bias))
    features = VGG19Features(vgg.load_vgg19(asset("vgg19_oxford.h5")), "conv1_1")(photos)
    torch.testing.assert_close(features[..., 1:-1, 1:-1], expected, atol=0.01, rtol=1e-4)


def test_lpips_backbone(asset: Asset):
    """AlexNet's convolutions as torchvision has them."""
    state = lpips_jax.load_lpips_jax(asset("alexnet.ckpt"))
    assert {key: tuple(t.shape) for key, t in state.items() if key.endswith("weight")} == {
        "0.weight": (64, 3, 11, 11),
        "3.weight": (192, 64, 5, 5),
        "6.weight": (384, 192, 3, 3),
        "8.weight": (256, 384, 3, 3),
        "10.weight": (256, 256, 3, 3),
    }
    assert sum(t.numel() for t in state.values()) == 2_469_696
