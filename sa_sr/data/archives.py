"""Files out of a zip or tar archive: nothing is unpacked to disk, let alone under a name from outside."""

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, NamedTuple

from sa_sr.errors import Refused

ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2"}
LIMIT = 512 << 20
"""Bytes of a member that may be read into memory: what is larger is no picture but a decompression bomb."""
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
"""What reading an archive raises that is cut off, altered, encrypted, or none at all; beside OSError."""


class Entry(NamedTuple):
    """A line of an archive's table of contents: its name as it stands there, and the bytes it says it has."""

    name: str
    size: int
    plain: bool  # an ordinary file: no directory, link or device
    open: Callable[[], Any]


@dataclass(frozen=True)
class Member:
    """A file in an archive, which opens and prints like a Path as long as the archive is open.

    Raises Refused for links, directories, names that lead out of the archive and members of more than LIMIT bytes, so
    that there is none of these.
    """

    archive: Path
    entry: Entry

    def __post_init__(self) -> None:
        _check(self.entry, LIMIT)

    def open(self, mode: str = "rb") -> IO[bytes]:
        """Its content, in memory. Raises OSError where the archive is damaged."""
        try:
            with self.entry.open() as stream:
                return BytesIO(stream.read(self.entry.size))  # the size bounds what zlib may inflate, too
        except DAMAGED as e:
            raise OSError(f"the archive is damaged or encrypted: {e}") from e

    def __str__(self) -> str:
        return f"{self.archive}/{PurePosixPath(self.entry.name)}"


@contextmanager
def entries(archive: Path) -> Iterator[list[Entry]]:
    """The table of contents of a zip or tar archive, in its order; open as long as the context lasts.

    Raises Refused where the archive turns out to be damaged.
    """
    try:
        with zipfile.ZipFile(archive) if _is_zip(archive) else tarfile.open(archive) as box:
            yield _entries(box)
    except tarfile.ReadError as e:  # it tells what it tried, on several lines
        raise Refused("not a readable archive (neither zip nor tar, or damaged)") from e
    except DAMAGED as e:
        raise Refused(f"not a readable archive ({e})") from e


@contextmanager
def member(archive: Path, pattern: str, limit: int | None = None) -> Iterator[IO[bytes]]:
    """Stream the one member whose name is or fits (as a glob) `pattern`.

    Raises Refused when none or several fit, for links, directories, names that lead out of the archive, members of
    more than `limit` bytes (decompression bombs), and damaged archives.
    """
    with entries(archive) as there:
        found = [e for e in there if e.name == pattern] or [e for e in there if fnmatchcase(e.name, pattern)]
        if len(found) != 1:
            raise Refused(f"{len(found)} members of the archive fit {pattern}, expected exactly one")
        _check(found[0], limit)
        with found[0].open() as stream:
            yield stream


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive, by its suffix or by how it begins."""
    return path.suffix.lower() in ARCHIVES or _is_zip(path) or tarfile.is_tarfile(path)


def is_inside(name: str) -> bool:
    """Whether a member's name stays inside its archive, on any system."""
    path = PureWindowsPath(name)  # takes / and \ alike
    return bool(name) and not (path.drive or path.root or ".." in path.parts or "\0" in name)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as f:
        return f.read(4) == b"PK\3\4"


def _check(entry: Entry, limit: int | None) -> None:
    if not (entry.plain and is_inside(entry.name)):
        raise Refused(f"member {entry.name!r} is a link or a directory, or leads out of the archive")
    if limit and entry.size > limit:
        raise Refused(f"member {entry.name!r} has {entry.size} bytes, expected at most {limit}")


def _entries(box: zipfile.ZipFile | tarfile.TarFile) -> list[Entry]:
    if isinstance(box, tarfile.TarFile):
        return [Entry(i.name, i.size, i.isreg(), partial(box.extractfile, i)) for i in box]
    modes = (0, stat.S_IFREG)  # 0: packed where files have no Unix mode
    plain = {i: not i.is_dir() and stat.S_IFMT(i.external_attr >> 16) in modes for i in box.infolist()}
    return [Entry(i.filename, i.file_size, plain[i], partial(box.open, i)) for i in plain]
