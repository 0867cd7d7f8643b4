"""The networks: sizes, shapes, names, initial weights and gradients."""

import numpy as np
import pytest
import torch
from skimage import data
from torch import nn

from sa_sr.models.discriminators import VGGStyleDiscriminator, VSRDiscriminator
from sa_sr.models.rrdbnet import ResidualDenseBlock, RRDBNet
from sa_sr.models.vgg import CONVS, LAYERS, VGG19Features
from sa_sr.models.vsrresnet import VSRResNet


def parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def frames(size: int = 40, count: int = 5) -> torch.Tensor:
    """(1, count, 3, size, size): a photo that moves by 2 pixels per frame."""
    photo = torch.from_numpy(np.asarray(data.astronaut())).permute(2, 0, 1).float() / 255
    return torch.stack([photo[:, 60 : 60 + size, 200 + 2 * t : 200 + 2 * t + size] for t in range(count)])[None]


def vgg_state(seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights of VGG19's shapes."""
    torch.manual_seed(seed)
    state, width = {}, 3
    for name, index in CONVS.items():
        wider = min(64 * 2 ** (int(name[4]) - 1), 512)
        state[f"{index}.weight"] = torch.randn(wider, width, 3, 3) * (2 / (9 * width)) ** 0.5
        state[f"{index}.bias"] = torch.randn(wider) * 0.01
        width = wider
    return state


# --- RRDBNet ---


def test_rrdbnet_enlarges_by_four():
    assert RRDBNet(8, 1, 4)(torch.rand(2, 3, 9, 12)).shape == (2, 3, 36, 48)


def test_rrdbnet_has_basicsr_names():
    names = list(RRDBNet(8, 2, 4).state_dict())
    assert names[0] == "conv_first.weight"
    assert "body.1.rdb3.conv5.bias" in names
    assert {n.split(".")[0] for n in names} == {
        "conv_first", "body", "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last",
    }  # fmt: skip


def test_dense_blocks_start_near_the_identity():
    torch.manual_seed(0)
    block, x = ResidualDenseBlock(64, 32), torch.rand(1, 64, 8, 8)
    assert 0 < (block(x) - x).abs().mean() < 0.03


def test_rrdbnet_learns_everywhere():
    net = RRDBNet(8, 2, 4)
    net(torch.rand(1, 3, 8, 8)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


# --- VSRResNet ---


def test_vsrresnet_gives_one_frame():
    assert VSRResNet(8, 1)(torch.rand(2, 5, 3, 9, 12)).shape == (2, 3, 9, 12)
    assert VSRResNet(8, 1, num_frames=3)(torch.rand(2, 3, 3, 9, 12)).shape == (2, 3, 9, 12)


def test_vsrresnet_refuses_wrong_windows():
    with pytest.raises(ValueError, match="odd"):
        VSRResNet(8, 1, num_frames=4)
    with pytest.raises(ValueError, match=r"\(N, 5, 3, H, W\)"):
        VSRResNet(8, 1)(torch.rand(1, 7, 3, 8, 8))
    with pytest.raises(ValueError, match="num_feat"):
        VSRResNet(2, 1).identity_init()


@pytest.mark.parametrize("share_first", [True, False])
@pytest.mark.parametrize(("num_feat", "num_block"), [(3, 2), (4, 1), (32, 5), (64, 15)])
def test_vsrresnet_starts_as_its_centre_frame(num_feat: int, num_block: int, share_first: bool):
    torch.manual_seed(0)
    net = VSRResNet(num_feat, num_block, share_first=share_first)
    net.identity_init()
    for x in (frames(), torch.rand(1, 5, 3, 24, 24), torch.zeros(1, 5, 3, 8, 8), torch.ones(1, 5, 3, 8, 8)):
        with torch.no_grad():
            assert (net(x) - x[:, 2]).abs().max() < 1e-3


@pytest.mark.parametrize("share_first", [True, False])
@pytest.mark.parametrize(("num_feat", "num_block"), [(8, 2), (64, 15)])
def test_vsrresnet_learns_everywhere_from_the_first_step(num_feat: int, num_block: int, share_first: bool):
    torch.manual_seed(0)
    net = VSRResNet(num_feat, num_block, share_first=share_first)
    net.identity_init()
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimiser, x = torch.optim.Adam(net.parameters(), lr=1e-4), frames(12)
    target = x[:, 2] + 0.1 * torch.randn_like(x[:, 2])
    for step in range(3):
        optimiser.zero_grad()
        (net(x) - target).square().mean().backward()
        if step == 0:
            assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())
        optimiser.step()
    for name, parameter in net.named_parameters():
        assert (parameter - before[name]).abs().max() > 1e-6, name


def test_vsrresnet_uses_the_order_of_its_frames():
    torch.manual_seed(0)
    for share_first in (True, False):
        net, x = VSRResNet(8, 1, share_first=share_first), frames()
        with torch.no_grad():
            assert not torch.allclose(net(x), net(x.flip(1)))


def test_vsrresnet_shared_first_convolution_is_the_unshared_one_repeated():
    torch.manual_seed(0)
    shared, unshared = VSRResNet(8, 1), VSRResNet(8, 1, share_first=False)
    state = shared.state_dict()
    state["conv_first.weight"] = state["conv_first.weight"].repeat(5, 1, 1, 1)
    state["conv_first.bias"] = state["conv_first.bias"].repeat(5)
    unshared.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(shared(frames()), unshared(frames()))


# --- discriminators ---


@pytest.mark.parametrize(
    "net", [VGGStyleDiscriminator(8, 32), VGGStyleDiscriminator(8, 96, conv_bias=True), VSRDiscriminator((8, 8, 8), 36)]
)
def test_discriminators_give_a_logit_and_the_generator_a_gradient(net: VGGStyleDiscriminator | VSRDiscriminator):
    x = torch.rand(2, 3, net.patch, net.patch, requires_grad=True)
    logits = net(x)
    assert logits.shape == (2, 1)
    nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([[1.0], [0.0]])).backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0
    assert all(p.grad is not None for p in net.parameters())


def test_discriminators_refuse_other_patch_sizes():
    with pytest.raises(ValueError, match="multiple of 32"):
        VGGStyleDiscriminator(8, 100)
    for net in (VGGStyleDiscriminator(8, 64), VSRDiscriminator((8, 8, 8), 36)):
        with pytest.raises(ValueError, match=rf"\(N, 3, {net.patch}, {net.patch}\), got \(1, 3, 48, 48\)"):
            net(torch.rand(1, 3, 48, 48))


def test_vgg_style_discriminator_has_basicsr_names():
    names = list(VGGStyleDiscriminator(8, 32).state_dict())
    assert names[:3] == ["conv0_0.weight", "conv0_0.bias", "conv0_1.weight"]
    assert names[-4:] == ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"]


def test_kaiming_init_of_discriminators():
    torch.manual_seed(0)
    net = VGGStyleDiscriminator(64, 32)
    assert net.state_dict()["conv3_0.weight"].std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)
    assert not net.linear1.bias.any()


# --- VGG19 ---


def test_vgg_layers_have_torchvisions_indices():
    assert (LAYERS.index("conv1_1"), LAYERS.index("relu2_2"), LAYERS.index("pool4"), LAYERS.index("conv5_4")) == (
        0, 8, 27, 34,
    )  # fmt: skip
    assert len(CONVS) == 16


def test_vgg_features_are_before_the_activation_and_scaled():
    state, x = vgg_state(), frames()[:, 0]
    before = VGG19Features(state, "conv3_2")(x)
    assert before.shape == (1, 256, 10, 10)
    assert before.min() < 0
    torch.testing.assert_close(VGG19Features(state, "relu3_2")(x), before.clamp(min=0))
    torch.testing.assert_close(VGG19Features(state, "conv3_2", 0.1)(x), 0.1 * before)


def test_vgg_normalises_as_imagenet_wants():
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    state = vgg_state()
    x = mean.expand(1, 3, 8, 8) + torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    expected = nn.functional.conv2d(torch.ones(1, 3, 8, 8), state["0.weight"], state["0.bias"], padding=1)
    torch.testing.assert_close(VGG19Features(state, "conv1_1")(x), expected, atol=1e-5, rtol=1e-5)


def test_vgg_is_frozen_but_passes_gradient():
    net = VGG19Features(vgg_state(), "conv2_1")
    x = frames()[:, 0].requires_grad_()
    net(x).square().mean().backward()
    assert x.grad is not None
    assert x.grad.abs().max() > 0
    assert not any(p.requires_grad for p in net.parameters())


def test_vgg_refuses_layers_that_it_has_not():
    for layer in ("conv5_5", "pool1", "fc6", "conv3"):
        with pytest.raises(ValueError, match=layer):
            VGG19Features(vgg_state(), layer)
