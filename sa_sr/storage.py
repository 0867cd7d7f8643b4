"""HDF5 files: what every stage reads and writes.

An item is an image or a clip. Both are uint8 arrays (T, H, W, C), RGB where C = 3; an image is a clip of one frame.

    data/<dataset>.h5               hr/<item>, lr/<item>, and for clips bicubic/<item>
    edges/<dataset>/<extractor>.h5  weight/<item>
    images/<method>/<dataset>.h5    sr/<item>
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sa_sr.damage import noticing_damage
from sa_sr.errors import UserError
from sa_sr.files import atomic_path

TILE = 128  # pixels: a training patch touches few chunks, a whole frame not too many


@contextmanager
def h5_writer(target: str | Path, **attrs: str | int | float) -> Iterator[h5py.File]:
    """Yield a new HDF5 file that appears at `target` only when complete; `attrs` become root attributes."""
    with atomic_path(target) as temporary, _Disk(temporary, "r+") as disk:
        with h5py.File(disk, "w", libver="v112") as f:  # v112 has checksums of all metadata
            f.check = disk.check  # pyright: ignore[reportAttributeAccessIssue]
            describe(f, **attrs)
            yield f
        disk.check()


class _Disk(io.FileIO):
    """A file for h5py whose writes never fail.

    HDF5 can't let go of what it can't write, as where the disk is full: it tries again when it closes, and crashes. So
    the first error is kept for `check`, and every write after it is left out.
    """

    error: OSError | None = None

    def check(self) -> None:
        """Raise what went wrong with an earlier write."""
        if self.error:
            raise self.error

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        while rest and not self.error:
            try:
                rest = rest[super().write(rest) :]
            except OSError as e:
                self.error = e
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as e:
            self.error = self.error or e
            return size or 0


def describe(part: Any, **attrs: str | int | float) -> None:
    """Give a file, a group or a dataset attributes.

    Texts have a fixed length, in bytes of UTF-8. Of variable length, as h5py stores them by itself, they would lie in a
    heap that has no checksum, and whose damage can make HDF5 read without end.
    """
    for name, value in attrs.items():
        if isinstance(value, str):
            content = value.encode()
            part.attrs.create(name, content, dtype=h5py.string_dtype("utf-8", max(1, len(content))))
        else:
            part.attrs[name] = value


def description(part: Any, name: str) -> str | None:
    """A text that `describe` gave as an attribute; None where there is none."""
    text = part.attrs[name] if name in part.attrs else None  # noqa: SIM401 (`get` takes what is damaged for absent)
    return text.decode() if isinstance(text, bytes) else text


def open_h5(path: str | Path) -> Any:
    """Open an h5py.File read-only; a file that is missing, or can't be opened, is a UserError that names it.

    A file that is kept open is to be read inside of `noticing_damage`. Typed Any, for h5py types whatever is looked up
    in a file as a union that admits no use.
    """
    try:
        with noticing_damage(path):
            return h5py.File(path, "r", locking=False)
    except OSError as e:
        raise UserError(f"{path}: can't be opened as HDF5 ({e}); the command that makes it makes it anew") from e


@contextmanager
def h5_reader(path: str | Path) -> Iterator[Any]:
    """Yield an HDF5 file opened read-only, closed at the end. Damage is noticed, see `noticing_damage`."""
    with noticing_damage(path), open_h5(path) as f:
        yield f


def put(file: h5py.File, name: str, frames: Iterable[np.ndarray]) -> h5py.Dataset:
    """Store frames, each uint8 (H, W, C), as the dataset `name` (T, H, W, C).

    Losslessly compressed in chunks of one frame and one tile, each with a checksum; frames are written as they come, so
    a long clip need not fit in memory. Raises ValueError for another dtype and where a frame differs in size from the
    first.
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
                fletcher32=True,  # deflate has a checksum too, but HDF5 may leave it out where it does not help
            )
        elif frame.shape != data.shape[1:]:
            raise ValueError(f"{name}: frame {t} is {frame.shape}, the first was {data.shape[1:]}")
        data.resize(t + 1, axis=0)
        data[t] = frame
        getattr(file, "check", bool)()  # of `h5_writer`: a full disk is to end a long clip at once
    if data is None:
        raise ValueError(f"{name}: no frames")
    return data
