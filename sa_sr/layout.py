"""What the HDF5 files hold, and the check that one does: a stage works on what it takes for granted, or not at all.

`sa_sr.storage` says which file has which groups. Nothing outside of a file is read, whatever it names.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from sa_sr.damage import noticing_damage
from sa_sr.errors import UserError
from sa_sr.storage import h5_reader


class Group(NamedTuple):
    """The items of one group: uint8 (T, H, W, C) with one of these C, and sides of HR divided by `scale`."""

    channels: tuple[int, ...] = (3,)
    scale: int = 1


GROUPS = {"hr": Group(), "lr": Group(scale=4), "bicubic": Group(), "weight": Group(channels=(1, 3)), "sr": Group()}

MEND = "delete the file and run again to make it anew"


@contextmanager
def h5_items(path: str | Path, *groups: str) -> Iterator[Any]:
    """Yield an HDF5 file whose `groups` have been checked, opened read-only.

    Each has the same items, at least one, of the kind that GROUPS says and of sizes that fit each other. Raises
    UserError naming the file and the item.
    """
    with h5_reader(path) as f:
        try:
            with noticing_damage(path):
                _check(f, path, groups)
        except UserError:
            raise
        except Exception as e:  # what nobody has made here can fail in any way
            raise UserError(f"{path}: can't be read ({e}); {MEND}") from e
        yield f


def frames(file: Any, path: str | Path, group: str, item: str) -> Any:
    """One item, an h5py.Dataset (T, H, W, C). UserError where it is not there, or not of the kind that GROUPS says."""
    _check_group(file, path, group)
    if item not in file[group]:
        raise UserError(f"{path}: has no {group}/{item}; there is: {_few(sorted(file[group]))}")
    return _array(file, path, group, item)


def hr_size(group: str, found: Any) -> tuple[int, int, int]:
    """Frames, height and width of the HR item that an item of `group` belongs to."""
    t, h, w, _ = found.shape
    return t, h * GROUPS[group].scale, w * GROUPS[group].scale


def _check(file: Any, path: str | Path, groups: tuple[str, ...]) -> None:
    for group in groups:
        _check_group(file, path, group)
    first, *others = groups
    names = set(file[first])
    for group in others:
        if odd := sorted(names ^ set(file[group])):
            raise UserError(f"{path}: {first} and {group} have not the same items: {_few(odd)}; {MEND}")
    for item in sorted(names):
        found = {group: _array(file, path, group, item) for group in groups}
        if len({hr_size(group, array) for group, array in found.items()}) > 1:
            shapes = ", ".join(f"{group} {array.shape}" for group, array in found.items())
            raise UserError(f"{path}: the sizes of {item!r} do not fit each other: {shapes}; {MEND}")


def _check_group(file: Any, path: str | Path, group: str) -> None:
    if not _lies_in(file, group) or not isinstance(file[group], h5py.Group):
        raise UserError(f"{path}: has no group {group!r} (it holds {_few(list(file))}); give the right file")
    if not len(file[group]):
        raise UserError(f"{path}: its group {group!r} is empty; {MEND}")


def _array(file: Any, path: str | Path, group: str, item: str) -> Any:
    found = file[group][item] if _lies_in(file[group], item) else None
    if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
        raise UserError(f"{path}: {group}/{item} is no array of this file; {MEND}")
    shape, channels = found.shape or (), GROUPS[group].channels
    if found.dtype != np.uint8 or len(shape) != 4 or 0 in shape or shape[3] not in channels:
        wanted = f"uint8 (frames, height, width, {' or '.join(map(str, channels))})"
        raise UserError(f"{path}: {group}/{item} is {found.dtype} {shape}, expected {wanted}; {MEND}")
    if not _is_stored(found):
        raise UserError(f"{path}: {group}/{item} lacks data, where HDF5 reads black; {MEND}")
    return found


def _is_stored(array: Any) -> bool:
    """Whether all that an array says it has lies in the file."""
    if array.chunks is None:
        return array.id.get_storage_size() == array.nbytes
    chunks = math.prod(-(-side // length) for side, length in zip(array.shape, array.chunks, strict=True))
    return array.id.get_num_chunks() == chunks


def _lies_in(group: Any, name: str) -> bool:
    """Whether a group has this itself; a link may lead to another file."""
    return name in group and isinstance(group.get(name, getlink=True), h5py.HardLink)


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (", ".join(names[:5]) or "nothing") + more
