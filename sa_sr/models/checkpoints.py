"""Weight files of generators: ours, ESRGAN's three generations of key names, and RealSR's.

A format is recognised by a file's content, never by its name, and nothing that a file names is executed.
"""

import json
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from sa_sr.errors import UserError
from sa_sr.files import atomic_path
from sa_sr.models.ncnn import is_ncnn, load_realsr
from sa_sr.models.wrappers import unwrapped

State = dict[str, Tensor]

TORCH = (b"PK\x03\x04", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19")  # zip, and the format before torch 1.6

# ESRGAN's key names of 2018 and of its public weights, to those of BasicSR >= 1.0
RRDB_NAMES = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.", r"body.\1.rdb\2.conv\3."),
        (r"model\.1\.sub\.\d+\.(?=weight$|bias$)", "conv_body."),
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

    Reads safetensors, torch files (weights only) and RealSR's .bin; takes the weights out of what trainers, wrapper
    modules and moving averages put around them (`wrappers`). Raises UserError when the file is missing, damaged or of
    another kind, or when a weight is infinite or no number.
    """
    start, metadata = head(path), {}
    if start.startswith(TORCH):
        content = _torch_content(path)
    elif start[8:9] == b"{":
        try:
            with safetensors.safe_open(path, "pt") as file:
                content, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except safetensors.SafetensorError as e:
            raise UserError(f"{path}: a damaged safetensors file ({e})") from e
    elif is_ncnn(start):
        content = load_realsr(path)
    else:
        raise UserError(f"{path}: not a weight file that can be read here (safetensors, .pth or RealSR's ncnn .bin)")
    state = unwrapped(content) if isinstance(content, dict) else {}
    if not state or not all(map(_is_plain, state.values())):
        raise UserError(f"{path}: holds no plain state dict{_held(content)}")
    for key, tensor in state.items():
        if tensor.is_floating_point() and not tensor.float().isfinite().all():
            raise UserError(
                f"{path}: {key} is not finite (NaN, or too large for {tensor.dtype}); get the file again, or save "
                "weights that are finite as float32"
            )
    return state, metadata


def _held(content: Any) -> str:
    """The first names in a file without weights."""
    keys = [str(key)[:60] for key in content][:3] if isinstance(content, dict) else []
    return f", but {', '.join(keys)}" if keys else ""


def head(path: str | Path) -> bytes:
    """The first bytes, which tell the format."""
    try:
        with open(path, "rb") as file:
            return file.read(16)
    except OSError as e:
        raise UserError(f"{path}: can't be read ({e.strerror})") from e


def _torch_content(path: str | Path) -> Any:
    """What a torch file holds, read without running anything that it names."""
    try:
        _check_zip(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as e:  # a damaged file can fail in any way
        if name := re.search(r"unsupported (?:global: )?GLOBAL (\S+)", str(e), re.IGNORECASE):
            raise UserError(f"{path}: refused, it asks for {name[1]}, and only weights are read") from e
        raise UserError(f"{path}: a damaged torch file ({type(e).__name__})") from e


def _check_zip(path: str | Path) -> None:
    """UserError for a zip that would grow when it is read; torch packs nothing, and reads what is packed."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as box:
            if sum(entry.file_size for entry in box.infolist()) > Path(path).stat().st_size:
                raise UserError(f"{path}: refused, it is a packed archive, and torch does not pack weights")


def _is_plain(tensor: Tensor) -> bool:
    """Whether a tensor's numbers lie in memory one by one, and not one of them at many places."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        return False
    return tensor.numel() * tensor.element_size() <= tensor.untyped_storage().nbytes()


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


def cut(state: Mapping[str, Tensor], num_block: int, path: str | Path) -> State:
    """Keep the first `num_block` residual blocks (`body.{i}`) and everything outside of them.

    path: the file that they are from. Raises UserError where it has blocks, but fewer; what has none is left as it is.
    """
    if 0 < (found := blocks(state)) < num_block:
        raise UserError(f"{path}: has {found} blocks, so generator.num_block can't be {num_block}")
    return {key: tensor for key, tensor in state.items() if _block(key) < num_block}


def _block(key: str) -> int:
    """The block that a key belongs to, -1 for none."""
    match = re.match(r"body\.(\d+)\.", key)
    return int(match[1]) if match else -1


def blocks(state: Mapping[str, Tensor]) -> int:
    return 1 + max(map(_block, state), default=-1)


def built(make: Callable[[], nn.Module], state: Mapping[str, Tensor], path: str | Path) -> nn.Module:
    """The network that `make` makes with these weights, or a UserError; memory is taken for it only where they fit."""
    if blocks(state) > len(state):
        raise UserError(f"{path}: has {blocks(state)} blocks by the names of its {len(state)} weights")
    try:
        with torch.device("meta"):
            net = make()
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as e:  # sizes that are none
        raise UserError(f"{path}: its sizes are those of no network ({e})") from e
    fill(net, {key: tensor.to("meta") for key, tensor in state.items()}, path)
    net = make()
    fill(net, state, path)
    return net


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
