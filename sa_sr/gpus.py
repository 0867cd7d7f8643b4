"""A lease for each GPU, so that parallel jobs of one user on one machine never share one by accident.

A lease is a lock of the kernel's on a file of the device's, in a folder of the user's own, and ends with its process,
also with `kill -9`. It is a POSIX record lock: forked processes do not inherit it, so the loader processes that outlive
a killed training for some seconds do not keep its GPU.
"""

import fcntl
import logging
import os
import re
import shlex
import socket
import stat
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from io import FileIO
from pathlib import Path

from sa_sr.errors import UserError
from sa_sr.rank import by_srun, by_torchrun

log = logging.getLogger("sa_sr")
FOLDER = Path(f"/tmp/sa_sr-gpus-{os.getuid()}")
"""Not in $TMPDIR, which two shells may have set to different folders."""
POLL_SECONDS = 1.0
VISIBLE = "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"
"""Environment variables by which Slurm, or a person, says which GPUs a job has."""
DEVICE = re.compile(r"\d|GPU-|MIG-")
"""How they begin then. Where there is to be none they are empty, -1, none, or NoDevFiles (Slurm)."""
CPU = "SA_SR_CPU"
"""Environment variable: where it is 1, a job whose GPU is not seen computes on the CPU."""
OURS = "SA_SR_GPUS"
"""Environment variable: the number of the process that has a lease, and the names of its devices."""
_open: list[object] = []
"""Files of the lease. None of them may be closed or opened again: closing any handle of a file drops its lock."""


def lease(count: int) -> list[int]:
    """Take `count` of the GPUs that this process sees, for as long as it lives, and wait where fewer are free.

    Returns their CUDA indexes, none where there is no CUDA; see `take`. A device goes by its UUID, for index 0 may be
    another one in each job. What programs other than this one use is not known, nor what other users do. Raises
    UserError where the environment promises a GPU that is not seen: a CPU would hold it for days.
    """
    names = devices()
    given = [f"{name}={os.environ.get(name)}" for name in VISIBLE if DEVICE.match(os.environ.get(name, ""))]
    if not names and given and os.environ.get(CPU) != "1":
        raise UserError(
            f"a GPU was given ({given[0]}), but torch {version('torch')} sees none: install a torch for the driver "
            f"here, or set {CPU}=1 to compute on the CPU all the same"
        )
    return [names.index(name) for name in take(names, count, FOLDER)] if names else []


def devices() -> list[str]:
    """The UUIDs of the GPUs that this process sees, in the order of their CUDA indexes."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [str(torch.cuda.get_device_properties(index).uuid) for index in range(count)]


def listing() -> list[str]:
    """A line for each GPU that this process sees: its index, its model, and who holds it."""
    import torch

    names = devices()
    held = holders(names, FOLDER) if names else {}
    return [f"{i}  {torch.cuda.get_device_name(i)}  {held.get(name, 'free')}" for i, name in enumerate(names)]


def take(names: Sequence[str], count: int, folder: Path) -> list[str]:
    """Take `count` of the devices of these names, for as long as this process lives.

    Where fewer are free it says once who holds the others, and waits holding none: two jobs that want several never
    wait for each other, but one that wants several may wait long behind many that want one. The whole job has one
    lease: another call gets the same devices, and so do the processes that this one starts. Those that srun has started
    have been given theirs, and those of torchrun take the first ones without asking. Raises UserError where there are
    not so many, and where the folder is not this user's alone; ValueError where the job holds fewer already.
    """
    if count > len(names):
        raise UserError(f"{count} GPUs are wanted, and {len(names)} can be seen here; ask for no more than there are")
    if by_srun() or by_torchrun():
        return list(names[:count])
    if ours := _ours():
        if count > len(ours):
            raise ValueError(f"{count} devices are wanted of a lease of {len(ours)}")
        return ours[:count]
    told = False
    while True:
        with _looking(names, folder) as (free, held):
            if len(free) >= count:
                taken = list(free)[:count]
                _keep(folder, [free.pop(name) for name in taken])
                os.environ[OURS] = " ".join([str(os.getpid()), *taken])
                return taken
        if not told:
            who = "; ".join(dict.fromkeys(held.values()))  # each once
            log.warning("waiting for %d of %d GPUs; taken: %s", count, len(names), who)
            told = True
        time.sleep(POLL_SECONDS)


def holders(names: Sequence[str], folder: Path) -> dict[str, str]:
    """Who holds those of the devices that are held by others: process, host, and what it runs."""
    with _looking([name for name in names if name not in _ours()], folder) as (_, held):
        return held


def _ours() -> list[str]:
    """What this process has leased, or the one that started it."""
    holder, *names = os.environ.get(OURS, "0").split()
    return names if int(holder) in (os.getpid(), os.getppid()) else []


@contextmanager
def _looking(names: Sequence[str], folder: Path) -> Iterator[tuple[dict[str, FileIO], dict[str, str]]]:
    """The files of the free devices, locked as long as they are open, and who holds the others.

    Meanwhile no other process looks, so that two which want several do not take one each again and again. Files that
    the caller does not remove from the mapping are closed in the end.
    """
    _make(folder)
    free, held = {}, {}
    with ExitStack() as ending:
        turn = ending.enter_context(open(folder / "turn", "w"))
        fcntl.lockf(turn, fcntl.LOCK_EX)
        ending.callback(lambda: [file.close() for file in free.values()])
        for name in names:
            file = FileIO(folder / name, "a+")
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                free[name] = file
            except BlockingIOError:
                file.seek(0)
                held[name] = file.read().decode(errors="replace").strip()
                file.close()
        yield free, held


def _make(folder: Path) -> None:
    """Make the folder, or see that it is what it should be: anybody may have put something there."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise UserError(f"{folder}: not a folder of your own that is closed to others; have it removed and start again")


def _keep(folder: Path, files: list[FileIO]) -> None:
    """Say in the files who holds the devices, and hold them until this process ends."""
    runs = textwrap.shorten(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]), 100, placeholder=" ...")
    holder = f"process {os.getpid()} on {socket.gethostname()}: {runs}\n".encode(errors="replace")
    for file in files:
        file.truncate(0)
        with suppress(OSError):  # a full disk: the lock is what counts
            file.write(holder)
    place = os.open(folder, os.O_RDONLY)
    fcntl.flock(place, fcntl.LOCK_SH)  # systemd removes old files from /tmp, but none from a locked folder
    _open.extend([*files, place])
