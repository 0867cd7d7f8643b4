"""Networks of other kinds: x4 RGB ones come through spandrel, others are told by their scale and kind."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sa_sr import inference
from sa_sr.errors import UserError
from sa_sr.models import checkpoints, generators
from sa_sr.models.rrdbnet import RRDBNet
from sa_sr.torchvision_compat import ensure_torchvision
from tests.unit.test_checkpoints import State, to_first_code

ensure_torchvision()
pytest.importorskip("spandrel")
PHOTO = np.full((6, 8, 3), 90, np.uint8)


def compact(scale: int, channels: int = 3) -> nn.Sequential:
    last = nn.Conv2d(8, channels * scale**2, 3, 1, 1)
    return nn.Sequential(nn.Conv2d(channels, 8, 3, 1, 1), nn.PReLU(8), last)


def rrdb(scale: int, channels: int = 3, plus: bool = False, shuffle: int | None = None) -> State:
    """As spandrel has it, under the names of 2018."""
    net = importlib.import_module("spandrel.architectures.ESRGAN.__arch.RRDB").RRDBNet
    taken = channels * (shuffle or 1) ** 2
    sizes = {"in_nc": taken, "out_nc": channels, "num_filters": 8, "num_blocks": 1}
    return net(**sizes, scale=scale, plus=plus, shuffle_factor=shuffle).state_dict()


def saved(path: Path, state: State) -> Path:
    torch.save(state, path)
    return path


def test_other_x4_networks_come_through_spandrel(tmp_path: Path):
    net, x = compact(4), torch.rand(1, 3, 7, 9)
    loaded = generators.load(saved(tmp_path / "g", {f"model.body.{k}": t for k, t in net.state_dict().items()}))
    with torch.no_grad():
        expected = nn.functional.pixel_shuffle(net(x), 4) + nn.functional.interpolate(x, scale_factor=4)
        torch.testing.assert_close(loaded(x), expected.clamp(0, 1))  # spandrel clamps


def test_esrgan_plus_comes_through_spandrel(tmp_path: Path):
    net = generators.load(saved(tmp_path / "g.pth", rrdb(4, plus=True)))
    assert inference.upscale(net, PHOTO).shape == (24, 32, 3)


KINDS = {
    "a x2 network": rrdb(2),
    "a x8 network": rrdb(8),
    "a network that restores pictures": rrdb(1),
    "a x2 network (ESRGAN)": rrdb(4, shuffle=2),
    "a x4 network, which takes 1 channel and gives 1": rrdb(4, channels=1),
    "a x2 network (RealESRGAN Compact)": {f"body.{key}": tensor for key, tensor in compact(2).state_dict().items()},
}


@pytest.mark.parametrize(("kind", "state"), KINDS.items(), ids=KINDS)
def test_what_is_no_x4_rgb_network_is_told_by_its_kind(tmp_path: Path, kind: str, state: State):
    with pytest.raises(UserError) as e:
        generators.load(saved(tmp_path / "g.pth", state))
    assert f"g.pth: {kind}" in str(e.value)
    assert "but only x4 RGB image networks fit here" in str(e.value)


@pytest.mark.parametrize(("kind", "state"), list(KINDS.items())[:5], ids=list(KINDS)[:5])
def test_an_rrdbnet_is_told_by_its_shapes_without_spandrel(monkeypatch, tmp_path: Path, kind: str, state: State):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(UserError) as e:
        generators.load(saved(tmp_path / "g.pth", state))
    assert f"g.pth: {kind.removesuffix(' (ESRGAN)')}" in str(e.value)


def test_a_narrow_rrdbnet_that_spandrel_does_not_know_is_told_by_its_shapes(tmp_path: Path):
    """spandrel takes a growth of 32 for granted."""
    state = RRDBNet(8, 1, 4).state_dict()
    state |= {"conv_first.weight": torch.zeros(8, 12, 3, 3)}
    for names in (state, to_first_code(state, 1)):
        with pytest.raises(UserError, match=r"g\.pth: a x2 network, but only x4"):
            generators.load(saved(tmp_path / "g.pth", names))


def test_an_error_names_what_the_file_has(tmp_path: Path):
    state = to_first_code(RRDBNet(8, 1, 4).state_dict(), 1) | {"model.1.sub.0.RDB1.extra.weight": torch.zeros(1)}
    with pytest.raises(UserError, match=r"unknown model\.1\.sub\.0\.RDB1\.extra\.weight"):
        generators.load(saved(tmp_path / "g.pth", state))


def test_a_network_is_not_built_by_spandrel_before_its_weights_fit(tmp_path: Path):
    state = rrdb(4, plus=True)
    for name, change in (("a", {"model.0.weight": torch.zeros(200_000, 3, 1, 1)}), ("b", {})):
        extra = {} if change else {f"model.1.sub.{10**9}.weight": torch.zeros(1)}
        with pytest.raises(UserError, match=f"{name}: "):
            generators.load(saved(tmp_path / name, state | change | extra))


# --- what is not finite ---


def broken(state: State, value: float, dtype: torch.dtype = torch.float32) -> State:
    return {key: torch.full_like(tensor, value).to(dtype) for key, tensor in state.items()}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e6])
def test_weights_that_are_not_finite_are_named(tmp_path: Path, value: float):
    state = broken(RRDBNet(8, 1, 4).state_dict(), value, torch.float16)
    with pytest.raises(UserError, match=r"g\.pth: conv_first\.weight is not finite .*float16.* as float32"):
        checkpoints.load_state(saved(tmp_path / "g.pth", state))


@pytest.mark.parametrize("tile", [0, 4])
@pytest.mark.parametrize("state", [RRDBNet(8, 1, 4).state_dict(), rrdb(4, plus=True)], ids=["ours", "spandrel"])
def test_an_output_that_is_not_finite_is_no_picture(tmp_path: Path, state: State, tile: int):
    """Finite weights whose products overflow; spandrel would clamp them to white."""
    file = saved(tmp_path / "g.pth", broken(state, 1e30))
    with pytest.raises(UserError, match=r"g\.pth: the network's output is not finite"):
        inference.upscale(generators.load(file), PHOTO, tile, file)
