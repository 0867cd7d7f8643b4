"""Files that are whole or not there, also where a process is killed or a disk is full."""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


def record_of(artefact: str | Path) -> Path:
    """Where the record of a file lies, which says what made it: see `sa_sr.records`."""
    path = Path(artefact)
    return path.with_name(f".{path.name}.made.json")


def made_here(artefact: str | Path) -> bool:
    """Whether a stage has made a file where the file lies, as its record says.

    A file that was copied elsewhere with its record is its owner's, who may edit it.
    """
    try:
        record = json.loads(record_of(artefact).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and os.path.abspath(str(record.get("path"))) == os.path.abspath(artefact)
