"""Clear Snakemake's lock of a folder after a hard kill, and only then.

Snakemake locks what a run will write, and leaves the lock behind when it is killed. The lock does not say whose it is;
but a run that lives is a process of this machine that works in this folder.
"""

import logging
import os
from pathlib import Path

import psutil

from sa_sr.errors import UserError

log = logging.getLogger("sa_sr")


def unlock(folder: Path) -> None:
    """Remove the locks in `folder`/.snakemake, unless a Snakemake runs there. Nothing happens where there is none.

    On a shared file system a Snakemake of another machine can't be seen: run this where the last one was started.
    Raises UserError naming the process that lives.
    """
    locks = sorted((folder / ".snakemake/locks").glob("*.lock"))
    if not locks:
        return
    if alive := running(folder):
        raise UserError(f"{folder}: Snakemake is running here as process {alive}; wait for it, or end it")
    for lock in locks:
        lock.unlink(missing_ok=True)
    log.info("%s: removed the lock of a Snakemake that is no longer there", folder)


def running(folder: Path) -> int | None:
    """The number of a process that runs Snakemake in a folder.

    Those in Slurm jobs of this machine do not count: they run with --nolock, and may outlive the one that holds it.
    """
    for process in psutil.process_iter(["cmdline", "cwd", "pid"]):
        command, place, number = (process.info[key] for key in ("cmdline", "cwd", "pid"))
        runs = any(Path(word).name == "snakemake" for word in (command or [])[:3]) and "--nolock" not in command
        if runs and place and number != os.getpid() and Path(place).resolve() == folder.resolve():
            return number
    return None
