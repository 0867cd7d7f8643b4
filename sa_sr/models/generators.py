"""Build the generator that a weight file holds, whatever tool wrote it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sa_sr.errors import UserError
from sa_sr.models.checkpoints import State, blocks, built, load_state, rename_rrdb
from sa_sr.models.rrdbnet import RRDBNet
from sa_sr.models.vsrresnet import VSRResNet


def load(path: str | Path) -> nn.Module:
    """The generator in a weight file, in eval mode; its sizes come from the weights' shapes.

    Reads RRDBNet (x4, RGB) with any of ESRGAN's three key generations, our RRDBNet and VSRResNet, RealSR's .bin, and
    other x4 RGB networks when spandrel is installed. Raises UserError when the weights fit none of them.
    """
    state, _ = load_state(path)
    state = rename_rrdb(state)
    try:
        if "conv_fuse1.weight" in state:
            make: Callable[[], nn.Module] = partial(VSRResNet, **_vsrresnet_sizes(state))
        elif "body.0.rdb1.conv1.weight" in state:
            make = partial(RRDBNet, **_rrdbnet_sizes(state))
        else:
            return _spandrel(state, path)
    except KeyError as e:
        raise UserError(f"{path}: the weights have no {e}") from e
    except (IndexError, ValueError, ZeroDivisionError) as e:  # sizes that are none
        raise UserError(f"{path}: weights of shapes that no network has ({e})") from e
    return built(make, state, path).eval()


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


class _Spandrel(nn.Module):
    """A network that spandrel knows, with our calling convention (it pads sizes that the network can't take)."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.net, self._call = descriptor.model, descriptor

    def forward(self, x: Tensor) -> Tensor:
        return self._call(x)


def _spandrel(state: State, path: str | Path) -> nn.Module:
    try:
        from sa_sr.torchvision_compat import ensure_torchvision

        ensure_torchvision()
        import spandrel
    except ImportError as e:
        raise UserError(
            f"{path}: neither an RRDBNet nor a VSRResNet (first keys: {', '.join(list(state)[:3])}); "
            "`pip install spandrel` lets this program read many other networks"
        ) from e
    try:
        descriptor = spandrel.ModelLoader("cpu").load_from_state_dict(state)
    except Exception as e:  # spandrel's own error, and whatever odd shapes lead to in it
        raise UserError(f"{path}: of no network that this program or spandrel knows ({type(e).__name__})") from e
    if (descriptor.scale, descriptor.input_channels, descriptor.output_channels) != (4, 3, 3):
        raise UserError(
            f"{path}: {descriptor.architecture.name} x{descriptor.scale}, but only x4 RGB networks fit here"
        )
    return _Spandrel(descriptor.eval())
