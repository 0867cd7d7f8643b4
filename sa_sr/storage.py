"""HDF5 layout and atomic files: what every stage reads and writes.

An item is an image or a clip. Both are uint8 arrays (T, H, W, C), RGB where C = 3; an image is a clip of one frame.

    data/<dataset>.h5               hr/<item>, lr/<item>, and for clips bicubic/<item>
    edges/<dataset>/<extractor>.h5  weight/<item>
    images/<method>/<dataset>.h5    sr/<item>
"""

import errno
import fcntl
import io
import os
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from sa_sr.errors import UserError

TILE = 128  # pixels: a training patch touches few chunks, a whole frame not too many
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_DAMAGE = ("already open", "locking", "memory allocation")
"""Parts of HDF5's messages that tell of another trouble than the content of a file."""


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`, an empty file; on success it becomes `target`, on error it is removed.

    The file is synced to disk before the rename and the folder after it, so that `target` is either absent, old or
    complete, even after a power cut. What a killed process left of earlier attempts is removed first.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_strays(target)
    temporary, held = _temporary(target)
    try:
        with held:
            yield temporary
            with open(temporary, "rb+") as f:
                os.fsync(f.fileno())
            os.replace(temporary, target)
        sync_folder(target.parent)
    except OSError as e:
        if e.errno in FULL:  # said of the temporary file, or of none
            raise OSError(e.errno, os.strerror(e.errno), str(target)) from e
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(target: Path) -> tuple[Path, IO[bytes]]:
    """A new file beside `target`, locked by this process as long as the handle is open.

    The lock is a shared one, for it stays with the finished file for a moment, which a reader may lock as well.
    """
    while True:
        temporary = target.with_name(f".{target.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
        held = open(temporary, "xb+")  # noqa: SIM115
        with suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_SH)
        if temporary.exists():  # else another process took it for a stray before it was locked
            return temporary, held
        held.close()


def remove_strays(target: Path) -> None:
    """Remove the temporary files of `target` whose writer is dead.

    A writer holds a lock of the kernel's, which ends with it. Unlike a process number that tells the living from the
    dead in another container and on another machine of a shared file system too.
    """
    for stray in os.scandir(target.parent):
        if stray.name.startswith(f".{target.name}.") and stray.name.endswith(".tmp"):
            with suppress(OSError), open(stray.path, "rb+") as f:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(stray.path)


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
            return h5py.File(path, "r")
    except OSError as e:
        raise UserError(f"{path}: can't be opened as HDF5 ({e}); the command that makes it makes it anew") from e


@contextmanager
def h5_reader(path: str | Path) -> Iterator[Any]:
    """Yield an HDF5 file opened read-only, closed at the end. Damage is noticed, see `noticing_damage`."""
    with noticing_damage(path), open_h5(path) as f:
        yield f


@contextmanager
def noticing_damage(*paths: str | Path) -> Iterator[None]:
    """Where HDF5 fails in this block and one of the files that are read in it is damaged, set that file aside.

    It becomes `damaged-<name>` beside itself, and a UserError says so. Whether it is damaged is found out by reading
    all of it, for HDF5 does not say which file it means, and there are other reasons to fail; such errors stay as they
    are.
    """
    try:
        yield
    except Exception as e:
        frames = traceback.walk_tb(e.__traceback__)
        if any(str(frame.f_globals.get("__name__")).startswith("h5py.") for frame, _ in frames):
            blame_damage(paths, e)
        raise


def blame_damage(paths: Iterable[str | Path], error: Exception) -> None:
    """Set the first of these files aside that is damaged, and raise the UserError which says so from `error`."""
    for path in map(Path, paths):
        aside = path.with_name(f"damaged-{path.name}")
        # another process that reads it may have been the first to notice
        if damage := find_damage(path if path.exists() else aside):
            raise UserError(_set_aside(path, aside, damage)) from error


def find_damage(path: Path) -> str | None:
    """What HDF5 says where it can't read all of a file; None for a whole file, and where it is not the file's fault.

    A missing file, a permission, a lock or an error of the disk is not; nor is a file that is not named as HDF5 is.
    """
    if path.suffix != ".h5":
        return None
    try:
        with h5py.File(path, "r") as f:
            _read_all(f)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as e:
        of_the_system = isinstance(e, OSError) and e.errno is not None
        return None if of_the_system or any(words in str(e) for words in NO_DAMAGE) else str(e)
    return None


def _read_all(group: Any) -> None:
    """Read every attribute and every chunk once, and nothing that lies elsewhere."""
    dict(group.attrs)
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.SoftLink | h5py.ExternalLink):
            continue
        part = group[name]
        if isinstance(part, h5py.Group):
            _read_all(part)
        else:
            dict(part.attrs)
            for place in part.iter_chunks() if part.chunks else [()]:
                part[place]


def _set_aside(path: Path, aside: Path, damage: str) -> str:
    """Rename a damaged file, and say what was done and what is to do."""
    try:
        if path.exists():
            os.replace(path, aside)
    except OSError as e:
        refused = f"and can't be set aside ({e.strerror})"
        return f"{path}: damaged ({damage}), {refused}; delete it and run the same command again"
    return f"{path}: damaged ({damage}), set aside as {aside.name}; run the same command again, which makes it anew"


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
