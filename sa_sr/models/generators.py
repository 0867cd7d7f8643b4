"""Build the generator that a weight file holds, whatever tool wrote it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from sa_sr.errors import UserError
from sa_sr.models import foreign
from sa_sr.models.checkpoints import State, blocks, built, load_state, rename_rrdb
from sa_sr.models.rrdbnet import RRDBNet
from sa_sr.models.vsrresnet import VSRResNet


def load(path: str | Path) -> nn.Module:
    """The generator in a weight file, in eval mode; its sizes come from the weights' shapes.

    Reads RRDBNet (x4, RGB) with any of ESRGAN's three key generations, our RRDBNet and VSRResNet, RealSR's .bin, and
    other x4 RGB networks when spandrel is installed, which is asked wherever the weights do not fit ours exactly.
    Raises UserError when the weights fit none of them, and says what they are where that is known.
    """
    state, _ = load_state(path)
    try:
        return _ours(rename_rrdb(state), path).eval()
    except UserError as misfit:
        return foreign.load(state, path, misfit)


def _ours(state: State, path: str | Path) -> nn.Module:
    """Our network with these weights, or a UserError."""
    try:
        if "conv_fuse1.weight" in state:
            make: Callable[[], nn.Module] = partial(VSRResNet, **_vsrresnet_sizes(state))
        elif "body.0.rdb1.conv1.weight" in state:
            make = partial(RRDBNet, **_rrdbnet_sizes(state))
        else:
            named = ", ".join(key[:60] for key in list(state)[:3])
            raise UserError(f"{path}: neither an RRDBNet nor a VSRResNet (of {len(state)} names the first: {named})")
        return built(make, state, path)
    except KeyError as e:
        raise UserError(f"{path}: the weights have no {e}") from e
    except (IndexError, ValueError, ZeroDivisionError) as e:  # sizes that are none
        raise UserError(f"{path}: weights of shapes that no network has ({e})") from e


def _rrdbnet_sizes(state: State) -> dict[str, int]:
    return {
        "num_feat": state["conv_first.weight"].shape[0],
        "num_block": blocks(state),
        "num_grow_ch": state["body.0.rdb1.conv1.weight"].shape[0],
    }


def _vsrresnet_sizes(state: State) -> dict[str, Any]:
    num_feat, fused = state["conv_fuse1.weight"].shape[:2]
    return {
        "num_feat": num_feat,
        "num_block": blocks(state),
        "num_frames": fused // num_feat,
        "share_first": state["conv_first.weight"].shape[0] == num_feat,
    }
