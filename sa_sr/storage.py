"""HDF5 layout and atomic files: what every stage reads and writes.

An item is an image or a clip. Both are uint8 arrays (T, H, W, C), RGB where C = 3; an image is a clip of one frame.

    data/<dataset>.h5               hr/<item>, lr/<item>, and for clips bicubic/<item>
    edges/<dataset>/<extractor>.h5  weight/<item>
    images/<method>/<dataset>.h5    sr/<item>
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sa_sr.errors import UserError

TILE = 128  # pixels: a training patch touches few chunks, a whole frame not too many


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success it becomes `target`, on error it is removed.

    The file is synced to disk before the rename and the folder after it, so that `target` is either absent, old or
    complete, even after a power cut.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb+") as f:
            os.fsync(f.fileno())
        os.replace(temporary, target)
        sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(target: str | Path, text: str) -> None:
    """Write UTF-8 `text` to `target`, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def h5_writer(target: str | Path, **attrs: str | int | float) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that appears at `target` only when complete; `attrs` become root attributes."""
    with atomic_path(target) as temporary, h5py.File(temporary, "w", libver="v112") as f:
        f.attrs.update(attrs)
        yield f


def open_h5(path: str | Path) -> Any:
    """Open an h5py.File read-only; a missing or damaged file is a UserError that names it.

    Typed Any, for h5py types whatever is looked up in a file as a union that admits no use.
    """
    try:
        return h5py.File(path, "r")
    except OSError as e:
        raise UserError(f"{path}: not a readable HDF5 file ({e}); delete it and run again to make it anew") from e


@contextmanager
def h5_reader(path: str | Path) -> Iterator[Any]:
    """Yield an HDF5 file opened read-only, closed at the end."""
    with open_h5(path) as f:
        yield f


def put(file: h5py.File, name: str, frames: Iterable[np.ndarray]) -> h5py.Dataset:
    """Store frames, each uint8 (H, W, C), as the dataset `name` (T, H, W, C).

    Losslessly compressed in chunks of one frame and one tile; frames are written as they come, so a long clip need not
    fit in memory. Raises ValueError for another dtype and where a frame differs in size from the first.
    """
    data = None
    for t, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3:
            raise ValueError(f"{name}: expected uint8 (H, W, C), got {frame.dtype} {frame.shape}")
        if data is None:
            chunks = (1, min(TILE, frame.shape[0]), min(TILE, frame.shape[1]), frame.shape[2])
            data = file.create_dataset(
                name,
                (0, *frame.shape),
                "u1",
                maxshape=(None, *frame.shape),
                chunks=chunks,
                compression="gzip",
                compression_opts=1,
                shuffle=True,
            )
        elif frame.shape != data.shape[1:]:
            raise ValueError(f"{name}: frame {t} is {frame.shape}, the first was {data.shape[1:]}")
        data.resize(t + 1, axis=0)
        data[t] = frame
    if data is None:
        raise ValueError(f"{name}: no frames")
    return data


def items(path: str | Path, group: str = "hr") -> list[str]:
    """Names of the items of one group, sorted."""
    with h5_reader(path) as f:
        if group not in f:
            raise UserError(f"{path}: has no group {group!r} (it holds {', '.join(f) or 'nothing'})")
        return sorted(f[group])
