"""RealSR's ncnn weights: the pretrained RRDBNet that comes in a package."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sa_sr.errors import UserError

FP16, FP32 = 0x01306B47, 0  # the tag before a layer's weights


def is_ncnn(head: bytes) -> bool:
    """Whether a file that begins with `head` can be an ncnn weight file."""
    return len(head) >= 4 and int.from_bytes(head[:4], "little") in (FP16, FP32)


def _layers(num_block: int) -> Iterator[tuple[str, int, int]]:
    """RRDBNet's convolutions in order of execution: BasicSR's name, channels in, channels out."""
    yield "conv_first", 3, 64
    for i, j, k in product(range(num_block), range(3), range(5)):
        yield f"body.{i}.rdb{j + 1}.conv{k + 1}", 64 + 32 * k, 32 if k < 4 else 64
    for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
        yield name, 64, 64
    yield "conv_last", 64, 3


def load_realsr(path: str | Path, num_block: int = 23) -> dict[str, Tensor]:
    """The state dict, float32 and with BasicSR's key names, of an RRDBNet (64 features, 32 growth) in ncnn's format.

    An ncnn .bin is the layers' data in order of execution, without names: here 351 convolutions, each a tag of 4 bytes,
    the weights (out, in, 3, 3) as fp16 or fp32, padded to 4 bytes, and the bias as fp32.
    Raises UserError when the file is cut short, too long or of another network.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as e:
        raise UserError(f"{path}: can't be read ({e.strerror})") from e
    state, position = {}, 0

    def take(count: int, dtype: str) -> np.ndarray:
        nonlocal position
        start, end = position, position + count * np.dtype(dtype).itemsize
        if end > len(data):
            raise UserError(f"{path}: cut short, or no RRDBNet x4 of {num_block} blocks (it ends within {name})")
        position = end + -end % 4
        return np.frombuffer(data, dtype, count, start)

    for name, inputs, outputs in _layers(num_block):
        tag = take(1, "<u4")[0]
        if tag not in (FP16, FP32):
            raise UserError(f"{path}: no ncnn file of an RRDBNet x4 of {num_block} blocks (tag {tag:#x} before {name})")
        weight = take(outputs * inputs * 9, "<f2" if tag == FP16 else "<f4").reshape(outputs, inputs, 3, 3)
        state[f"{name}.weight"] = torch.from_numpy(weight.astype(np.float32))
        state[f"{name}.bias"] = torch.from_numpy(take(outputs, "<f4").astype(np.float32))
    if position != len(data):
        raise UserError(f"{path}: {len(data) - position} bytes too long for an RRDBNet x4 of {num_block} blocks")
    return state
