"""Networks of other kinds, as spandrel knows them, and what they are where they don't fit here."""

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sa_sr.errors import UserError
from sa_sr.models.checkpoints import State

PURPOSES = {
    "FaceSR": "a face restoration network",
    "Inpainting": "an inpainting network",
    "Restoration": "a network that restores pictures and does not enlarge them",
}
"""What spandrel says that a network is for; the others enlarge."""


class Foreign(nn.Module):
    """A network that spandrel knows, with our calling convention (it pads sizes that the network can't take)."""

    def __init__(self, descriptor: Any) -> None:
        super().__init__()
        self.net, self._call = descriptor.model, descriptor
        self.net.register_forward_hook(_infinite_to_nan)

    def forward(self, x: Tensor) -> Tensor:
        return self._call(x)


def _infinite_to_nan(_: nn.Module, __: Any, output: Any) -> Any:
    """What is infinite has to be seen as such, and spandrel clamps it to black or white."""
    return output.where(output.isfinite(), torch.nan) if isinstance(output, Tensor) else output


def load(state: State, path: str | Path, misfit: UserError) -> nn.Module:
    """The x4 RGB network with these weights, in eval mode; misfit: why they are no network of ours.

    Raises UserError with what the network is, or with misfit where that is not known.
    """
    try:
        descriptor = _described(state)
    except Exception as e:  # spandrel's own error, and whatever odd shapes lead to in it
        if kind := _kind_by_shapes(state):
            detail = str(misfit).removeprefix(f"{path}: ")
            raise UserError(f"{path}: {kind}, but only x4 RGB image networks fit here ({detail})") from e
        install = "; `pip install spandrel` lets this program read many other networks"
        known = f", nor a network that spandrel knows ({type(e).__name__})"
        raise UserError(f"{misfit}{install if isinstance(e, ImportError) else known}") from e
    kind = _kind(descriptor.purpose, descriptor.scale, descriptor.input_channels, descriptor.output_channels)
    if kind:
        raise UserError(f"{path}: {kind} ({descriptor.architecture.name}), but only x4 RGB image networks fit here")
    return Foreign(descriptor.eval())


def _described(state: State) -> Any:
    """spandrel's descriptor of the network, which is made on torch's meta device before it takes memory."""
    from sa_sr.torchvision_compat import ensure_torchvision

    ensure_torchvision()
    import spandrel

    if any(int(number) > 10 * len(state) for key in state for number in re.findall(r"\d+", key)):
        raise ValueError("more layers than weights, by their names")
    try:
        with torch.device("meta"):
            spandrel.ModelLoader("meta").load_from_state_dict({key: tensor.to("meta") for key, tensor in state.items()})
    except (RuntimeError, NotImplementedError) as e:
        if "meta" not in str(e):  # some networks look at numbers, which there are none on it
            raise
    return spandrel.ModelLoader("cpu").load_from_state_dict(state)


def _kind(purpose: str, scale: int, channels_in: int, channels_out: int) -> str:
    """What a network is in a few words, empty for a x4 RGB image network."""
    if (purpose, scale, channels_in, channels_out) == ("SR", 4, 3, 3):
        return ""
    kind = PURPOSES.get(purpose, f"a x{scale} network")
    if (channels_in, channels_out) == (3, 3):
        return kind
    return f"{kind}, which takes {channels_in} channel{'s' * (channels_in != 1)} and gives {channels_out}"


def _kind_by_shapes(state: State) -> str:
    """What an RRDBNet of another scale or number of channels is, under any of its names; empty for all else."""
    numbers = [int(match[1]) for key in state if (match := re.match(r"model\.(\d+)\.", key))]
    named = sum(re.fullmatch(r"(conv_up|upconv)\d\.weight", key) is not None for key in state)
    first, last = ("model.0", f"model.{max(numbers)}") if numbers else ("conv_first", "conv_last")
    ends = [state[f"{name}.weight"].shape for name in (first, last) if f"{name}.weight" in state]
    blocks = any(re.match(r"(model\.1\.sub|body|RRDB_trunk)\.0\.rdb1\.", key, re.IGNORECASE) for key in state)
    if not blocks or [len(shape) for shape in ends] != [4, 4]:
        return ""
    taken, given = ends[0][1], ends[1][0]
    scale = 2 ** ((max(numbers) - 4) // 3 if numbers else named)
    for shrink in (2, 4):  # networks for x1 and x2 that fold pixels into channels first
        if taken == given * shrink**2 and scale >= shrink:
            taken, scale = given, scale // shrink
    return _kind("SR" if scale > 1 else "Restoration", scale, taken, given)
