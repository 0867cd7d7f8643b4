"""Weights are taken out of all that trainers, wrapper modules and moving averages put around them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sa_sr.errors import UserError
from sa_sr.models import checkpoints, generators
from sa_sr.models.rrdbnet import RRDBNet
from sa_sr.models.wrappers import PARTS
from tests.unit.test_checkpoints import State, same, to_first_code, to_public_weights

torch.manual_seed(0)
NET, OTHER = RRDBNet(8, 1, 4).eval(), RRDBNet(8, 1, 4)
OURS, PLAIN = NET.state_dict(), OTHER.state_dict()
NAMES = [lambda state: state, to_public_weights, lambda state: to_first_code(state, 1)]


def under(*prefixes: str) -> Callable[[State], State]:
    return lambda state: {"".join(prefixes) + key: tensor for key, tensor in state.items()}


def inside(state: State) -> State:
    """As torch.compile and DataParallel name the parts of a network that they are around."""
    return {key.replace(".0.", ".0._orig_mod.", 1).replace("conv_hr", "conv_hr.module"): t for key, t in state.items()}


def dotless(state: State) -> State:
    return {f"model_ema.{key.replace('.', '')}": tensor for key, tensor in state.items()}


FLAT = {
    "compiled": under("_orig_mod."),
    "parallel": under("module."),
    "parallel and compiled": under("module._orig_mod."),
    "compiled and parallel": under("_orig_mod.module."),
    "within": inside,
    "Lightning": under("model."),
    "Lightning, compiled": under("model._orig_mod."),
    "Lightning, a GAN": lambda s: under("net_g.")(s) | {"net_d.0.weight": torch.zeros(1), "vgg.0.bias": torch.zeros(1)},
    "netG": under("netG."),
    "in a model": under("model.generator.module."),
    "mmagic": lambda s: under("generator.")(s) | {"discriminator.conv.weight": torch.zeros(1)},
    "averaged by torch": lambda s: under("module.")(s) | {"n_averaged": torch.tensor(3)},
    "ema_model": lambda s: under("ema_model.module.")(s) | under("online_model.")(PLAIN) | {"step": torch.tensor(3)},
    "ema": lambda s: under("model.")(PLAIN) | under("ema.")(s),
    "ema.shadow": under("ema.shadow."),
    "params_ema": lambda s: under("params_ema.")(s) | under("params.")(PLAIN),
}
NESTED: dict[str, Callable[[State], Any]] = {
    **{part: lambda s, part=part: {part: s, "epoch": 3} for part in (
        "params", "params_ema", "params-ema", "state_dict", "model_state_dict", "generator", "net_g", "model", "module",
    )},
    "averaged first": lambda s: {"params": PLAIN, "params_ema": s},
    "in one another": lambda s: {"state_dict": {"params_ema": under("module.")(s)}, "optimizer": {"state": {0: 1}}},
    "in one another, the other way": lambda s: {"ema": {"state_dict": under("model.")(s)}, "state_dict": PLAIN},
    "Lightning's file": lambda s: {"state_dict": under("net_g.")(s), "hyper_parameters": {"lr": 1e-4}, "epoch": 3},
    "an average's decay alone": lambda s: {"ema": {"decay": 0.999}, "model": s},
    "shadow": lambda s: {"shadow": s, "decay": 0.999, "model": PLAIN},
}  # fmt: skip


@pytest.mark.parametrize("names", NAMES, ids=["ours", "public", "first"])
@pytest.mark.parametrize("wrap", (FLAT | NESTED).values(), ids=FLAT | NESTED)
def test_wrapped_weights_load(tmp_path: Path, wrap: Callable[[State], Any], names: Callable[[State], State]):
    torch.save(wrap(names(OURS)), tmp_path / "g.ckpt")
    assert same(generators.load(tmp_path / "g.ckpt"), NET, torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize("wrap", FLAT.values(), ids=FLAT)
def test_wrapped_names_load_from_safetensors(tmp_path: Path, wrap: Callable[[State], State]):
    checkpoints.save(tmp_path / "g", {key: tensor.clone() for key, tensor in wrap(OURS).items()}, {})
    assert same(generators.load(tmp_path / "g"), NET, torch.rand(1, 3, 8, 8))


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": under("model.")(PLAIN) | dotless(OURS) | {"model_ema.decay": torch.tensor(0.9)}},
        {"model": PLAIN, "ema": {"shadow_params": list(OURS.values()), "decay": 0.9, "collected_params": None}},
        {"model": under("module.")(PLAIN), "shadow_params": list(OURS.values())},
    ],
)
def test_averages_without_full_names_take_those_of_the_network_beside(tmp_path: Path, content: dict[str, Any]):
    torch.save(content, tmp_path / "g.pt")
    assert same(generators.load(tmp_path / "g.pt"), NET, torch.rand(1, 3, 8, 8))


def test_the_names_that_are_left_over_are_told(tmp_path: Path):
    torch.save(under("unheard_of.")(OURS), tmp_path / "g.pth")
    with pytest.raises(UserError, match=r"g\.pth: .*unheard_of\.conv_first\.weight"):
        generators.load(tmp_path / "g.pth")
    torch.save({"epoch": 3, "optimizer": {"state": {}}}, tmp_path / "g.pth")
    with pytest.raises(UserError, match=r"g\.pth: holds no plain state dict, but epoch, optimizer"):
        generators.load(tmp_path / "g.pth")


def test_a_file_that_holds_itself_is_refused(tmp_path: Path):
    content: dict[str, Any] = {}
    content |= dict.fromkeys(PARTS, content) | {"net": [content] * 9}
    torch.save(content, tmp_path / "g.pth")
    with pytest.raises(UserError, match="holds no plain state dict"):
        generators.load(tmp_path / "g.pth")
