"""Clear Snakemake's lock of a folder after a hard kill, and only then.

Snakemake locks what a run will write, and leaves the lock behind when it is killed. The lock does not say whose it is.
So the Snakefile holds a lock of its own in the folder, which ends with its process (`hold`). And a Snakemake that runs
without this Snakefile is a process of this machine that works in the folder, or writes its log there.
"""

import atexit
import logging
import os
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from sa_sr.errors import UserError
from sa_sr.lock import Held, Lock

log = logging.getLogger("sa_sr")
HOLDING = ExitStack()
FIRST = "pid:[4026531836]"
"""The namespace that holds all processes of a machine, as Linux numbers it."""


def hold(folder: Path) -> bool:
    """Let `unlock` know, in containers and on other machines too, that this process runs Snakemake in a folder.

    Where another one runs there already, that one is known. Returns whether this process is the one that is known.
    """
    with suppress(Held, OSError):
        (folder / ".snakemake").mkdir(parents=True, exist_ok=True)
        HOLDING.enter_context(_lock(folder))
        atexit.register(HOLDING.close)
        return True
    return False


def unlock(folder: Path) -> None:
    """Remove the locks in `folder`/.snakemake, unless a Snakemake runs there. Nothing happens where there is none.

    Raises UserError naming the process that lives, and where it can't be known whether one does: in a container, for a
    run of another Snakefile.
    """
    locks = sorted((folder / ".snakemake/locks").glob("*.lock"))
    if not locks:
        return
    if alive := running(folder):
        raise UserError(f"{folder}: Snakemake is running here as process {alive}; wait for it, or end it")
    if not _lock(folder).file.exists() and not _sees_all():
        raise UserError(
            f"{folder}: a Snakemake outside of this container may be running here; if none is, `snakemake --unlock` "
            "removes the lock"
        )
    try:
        with _lock(folder):
            for lock in locks:
                lock.unlink(missing_ok=True)
    except Held as e:
        raise UserError(f"{folder}: Snakemake is running here as {e}; wait for it, or end it") from None
    log.info("%s: removed the lock of a Snakemake that is no longer there", folder)


def running(folder: Path) -> int | None:
    """The number of a process that runs Snakemake in a folder, by its command line or by the log that it writes.

    Those in Slurm jobs of this machine do not count: they are started with --nolock, and may outlive the one with the
    lock.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            command = process.cmdline()
            if process.pid == os.getpid() or "--nolock" in command:
                continue
            named = any(Path(word).name == "snakemake" for word in command)
            if (named and Path(process.cwd()).samefile(folder)) or _logs(process, folder):
                return process.pid
    return None


def _logs(process: psutil.Process, folder: Path) -> bool:
    """Whether a process writes a log of Snakemake's in a folder."""
    logs = folder.resolve() / ".snakemake/log"
    written = (Path(file.path) for file in process.open_files() if getattr(file, "mode", "") != "r")
    return any(path.is_relative_to(logs) for path in written)


def _lock(folder: Path) -> Lock:
    return Lock(folder / ".snakemake/sa_sr.lock")


def _sees_all() -> bool:
    """Whether all processes of this machine can be seen from here."""
    try:
        return os.readlink("/proc/self/ns/pid") == FIRST
    except OSError:  # a system without namespaces
        return True
