"""Stage `super_resolve`: enlarge every frame of a data set by 4 with a trained generator."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sa_sr.errors import UserError
from sa_sr.gpus import lease
from sa_sr.layout import h5_items
from sa_sr.models import checkpoints
from sa_sr.plugins import find
from sa_sr.progress import progress
from sa_sr.storage import h5_writer, put

SCALE = 4
OVERLAP = 16
"""LR pixels of context around a tile; what lies further away hardly matters to either network."""


def super_resolve(data: Path, model: Path, recipe: str, out: Path, threads: int, tile: int = 0) -> None:
    """Super-resolve every frame of a data file.

    data: data file; model: generator weights; recipe: name of the model, esrgan or vsrresfeatgan; out: sr/<item>
    (T, H, W, 3) uint8; tile: see `upscale`. At the ends of a clip the missing frames of the video model's window are
    replaced by the first or last one; tables of it leave these frames out. Raises UserError where the weights do not
    fit or their output is not finite, and naming the item where the data file is not one. Works on a GPU of its own,
    and waits for one, where there is any.
    """
    torch.set_num_threads(threads)
    window, network = generator(model, recipe)
    for gpu in lease(1):
        torch.cuda.set_device(gpu)
    seen = "lr" if window == 1 else "bicubic"
    with h5_items(data, "hr", seen) as f, h5_writer(out, method=model.parent.name) as result:
        for item in progress(sorted(f["hr"]), f"super-resolve {data.stem}", len(f["hr"]), unit="items"):
            put(result, f"sr/{item}", _enlarged(network, f, item, window, tile, model))


def generator(model: Path, recipe: str) -> tuple[int, nn.Module]:
    """The frames that a trained generator sees at once, and the generator, rebuilt as its weight file says."""
    state, metadata = checkpoints.load_state(model)
    chosen = find("models", recipe)
    if "run" not in metadata:
        raise UserError(f"{model}: does not say of which run it is; `sa-sr upscale` takes weights from elsewhere")
    try:
        sizes = json.loads(metadata["run"])["generator"]
        make = partial(chosen.generator, **sizes)
        if sizes.get("num_block", 0) > len(state):
            raise ValueError(f"{sizes['num_block']} blocks of {len(state)} weights")
        return chosen.window, checkpoints.built(make, state, model)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise UserError(f"{model}: its run's settings are not those of a generator of {recipe} ({e})") from e


def _enlarged(network: nn.Module, f: Any, item: str, window: int, tile: int, source: Path) -> Iterator[np.ndarray]:
    if window == 1:
        yield from (upscale(network, frame, tile, source) for frame in f[f"lr/{item}"])
        return
    frames = f[f"bicubic/{item}"]
    for t in range(len(frames)):
        times = np.clip(np.arange(t - window // 2, t + window // 2 + 1), 0, len(frames) - 1)
        yield restore(network, np.stack([frames[int(u)] for u in times]), tile, source)


def upscale(model: nn.Module, image: np.ndarray, tile: int = 0, source: str | Path = "the model") -> np.ndarray:
    """Enlarge one image by 4.

    model: generator that takes LR images; image: (H, W, 3) uint8 RGB; tile: side of the LR tiles that are worked on one
    after another to save memory, 0 for the whole image at once; source: the weight file, which an error names.
    Returns (4H, 4W, 3) uint8, clamped and rounded. Raises UserError where the generator's output is not finite.
    """
    return _tiled(model, _tensor(image), tile, SCALE, source)


def restore(model: nn.Module, frames: np.ndarray, tile: int = 0, source: str | Path = "the model") -> np.ndarray:
    """Super-resolve the centre of bicubic frames (T, H, W, 3) uint8 with a video generator: (H, W, 3) uint8.

    tile, source and errors as in `upscale`.
    """
    return _tiled(model, _tensor(frames), tile * SCALE, 1, source)


def _tensor(array: np.ndarray) -> Tensor:
    """(..., H, W, 3) uint8 to (1, ..., 3, H, W) in [0, 1]."""
    if array.dtype != np.uint8 or array.shape[-1] != 3:
        raise ValueError(f"expected uint8 (..., H, W, 3), got {array.dtype} {array.shape}")
    return torch.from_numpy(np.moveaxis(array, -1, -3).copy())[None].float() / 255


@torch.inference_mode()
def _tiled(model: nn.Module, x: Tensor, tile: int, scale: int, source: str | Path) -> np.ndarray:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.allow_tf32 = False  # 32 bits on every GPU
    model = model.to(device).eval()

    def run(part: Tensor) -> Tensor:
        output = model(part.to(device))
        if not output.isfinite().all():
            raise UserError(
                f"{source}: the network's output is not finite (NaN or infinite), so its weights are damaged or too "
                "large; get the file again, or train again with a lower learning rate"
            )
        return (output.clamp(0, 1) * 255).round().byte()[0].permute(1, 2, 0).cpu()

    height, width = x.shape[-2:]
    if not tile or max(height, width) <= tile:
        return run(x).numpy()
    out, overlap = torch.empty(height * scale, width * scale, 3, dtype=torch.uint8), OVERLAP * SCALE // scale
    for y in range(0, height, tile):
        for left in range(0, width, tile):
            y0, x0 = max(y - overlap, 0), max(left - overlap, 0)
            part = run(x[..., y0 : y + tile + overlap, x0 : left + tile + overlap])
            rows, columns = min(tile, height - y) * scale, min(tile, width - left) * scale
            dy, dx = (y - y0) * scale, (left - x0) * scale
            out[y * scale : y * scale + rows, left * scale : left * scale + columns] = part[
                dy : dy + rows, dx : dx + columns
            ]
    return out.numpy()
