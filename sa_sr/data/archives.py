"""One file out of a zip or tar archive, as a stream: nothing is unpacked to disk under a name from outside."""

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import IO, Any, NamedTuple

from sa_sr.data.assets import Refused


class _Entry(NamedTuple):
    name: str
    size: int
    plain: bool  # an ordinary file: no directory, link or device
    open: Callable[[], Any]


@contextmanager
def member(archive: Path, pattern: str, limit: int | None = None) -> Iterator[IO[bytes]]:
    """Stream the one member whose name is or fits (as a glob) `pattern`.

    Raises Refused when none or several fit, for links, directories, names that lead out of the archive, members of
    more than `limit` bytes (decompression bombs), and damaged archives.
    """
    try:
        with archive.open("rb") as f:
            is_zip = f.read(4) == b"PK\3\4"
        with zipfile.ZipFile(archive) if is_zip else tarfile.open(archive) as box:
            entries = _entries(box)
            found = [e for e in entries if e.name == pattern] or [e for e in entries if fnmatchcase(e.name, pattern)]
            if len(found) != 1:
                raise Refused(f"{len(found)} members of the archive fit {pattern}, expected exactly one")
            entry = found[0]
            if not (entry.plain and is_inside(entry.name)):
                raise Refused(f"member {entry.name!r} is a link or a directory, or leads out of the archive")
            if limit and entry.size > limit:
                raise Refused(f"member {entry.name!r} has {entry.size} bytes, expected {limit}")
            with entry.open() as stream:
                yield stream
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as e:
        raise Refused(f"not a readable archive ({e})") from e


def is_inside(name: str) -> bool:
    """Whether a member's name stays inside its archive, on any system."""
    path = PureWindowsPath(name)  # takes / and \ alike
    return bool(name) and not (path.drive or path.root or ".." in path.parts or "\0" in name)


def _entries(box: zipfile.ZipFile | tarfile.TarFile) -> list[_Entry]:
    if isinstance(box, tarfile.TarFile):
        return [_Entry(i.name, i.size, i.isreg(), partial(box.extractfile, i)) for i in box]
    modes = (0, stat.S_IFREG)  # 0: packed where files have no Unix mode
    plain = {i: not i.is_dir() and stat.S_IFMT(i.external_attr >> 16) in modes for i in box.infolist()}
    return [_Entry(i.filename, i.file_size, plain[i], partial(box.open, i)) for i in plain]
