"""Damaged HDF5 files are found out, named and set aside, so that the command that made them makes them anew."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from sa_sr.errors import UserError, lack_of_memory
from sa_sr.files import made_here

ASIDE = "damaged-"
NO_DAMAGE = ("already open", "locking")
"""Parts of HDF5's messages that tell of another trouble than the content of a file."""


@contextmanager
def noticing_damage(*paths: str | Path) -> Iterator[None]:
    """Where HDF5 fails in this block and one of the files that are read in it is damaged, set that file aside.

    If a stage has made it, it becomes `damaged-<name>` beside itself; a UserError names it in any case. Whether it is
    damaged is found out by reading all of it, for HDF5 does not say which file it means, and there are other reasons to
    fail; such errors stay as they are.
    """
    try:
        yield
    except Exception as e:
        frames = traceback.walk_tb(e.__traceback__)
        if any(str(frame.f_globals.get("__name__")).startswith("h5py.") for frame, _ in frames):
            for path in map(Path, paths):
                aside = path.with_name(f"{ASIDE}{path.name}")
                # another process that reads it may have been the first to notice
                if damage := find_damage(path if path.exists() else aside):
                    raise UserError(set_aside(path, damage)) from e
        raise


def find_damage(path: Path) -> str | None:
    """What HDF5 says where it can't read all of a file; None for a whole file, and where it is not the file's fault.

    A missing file, a permission, a lock or an error of the disk is not.
    """
    try:
        with h5py.File(path, "r", locking=False) as f:
            _read_all(f)
    except Exception as e:  # a damaged file can fail in any way
        of_the_system = (isinstance(e, OSError) and e.errno is not None) or lack_of_memory(e)
        return None if of_the_system or any(words in str(e) for words in NO_DAMAGE) else str(e)
    return None


def _read_all(file: h5py.File) -> None:
    """Read every attribute and every chunk that lies in a file, once."""

    def read(_: str, part: Any) -> None:
        dict(part.attrs)
        if isinstance(part, h5py.Dataset) and part.size:
            for place in part.iter_chunks() if part.chunks else [()]:
                part[place]

    dict(file.attrs)
    file.visititems(read)


def set_aside(path: Path, damage: str) -> str:
    """Rename a damaged file that a stage has made where it lies, and say what was done and what is to do.

    Any other file is somebody's own. It may be whole, and of a kind that is not read here.
    """
    aside = path.with_name(f"{ASIDE}{path.name}")
    if not made_here(path):
        return f"{path}: can't be read ({damage}); replace it, or delete it to have it made anew"
    try:
        if path.exists():
            os.replace(path, aside)
    except OSError as e:
        refused = f"and can't be set aside ({e.strerror})"
        return f"{path}: damaged ({damage}), {refused}; delete it and run the same command again"
    return f"{path}: damaged ({damage}), set aside as {aside.name}; run the same command again, which makes it anew"
