"""A lock that one process holds at a time, on this machine or on any other that shares the file system.

Where the file system has locks the kernel holds it, and lets go of it however the process ends. Some have none: Lustre
mounted without `flock`, NFS without its lock service, many in user space. There a file beside it, `<name>.held`, is the
lock of whoever created it, who renews its time at every beat and removes it in the end. It is abandoned once a newcomer
has seen no renewal for some beats: it compares what it reads twice, for the clocks of two machines may differ.
"""

import errno
import fcntl
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

log = logging.getLogger("sa_sr")
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
BEAT = 10.0
"""Seconds between two renewals, far more than what file systems round times to."""
BEATS = 6
"""So many without a renewal, and whoever holds the lock is taken for dead."""


class Held(Exception):
    """The lock is another's: the text says whose."""


class Lock:
    """The lock `file`, held inside a `with` block, which raises Held at its beginning if another process has it.

    lost: whether another process has taken this one for dead, as it may where there are no locks, and this one was
    suspended for more than a minute. It is then to stop.
    """

    def __init__(self, file: Path):
        self.file, self.beating, self.lost = file, file.with_name(f"{file.name}.held"), False
        self._mine, self._ended = "", threading.Event()

    def __enter__(self) -> Self:
        job = f", Slurm job {os.environ['SLURM_JOB_ID']}" if "SLURM_JOB_ID" in os.environ else ""
        me = f"process {os.getpid()} on {socket.gethostname()}{job}\n"
        self._handle = open(self.file, "a+")
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._handle.truncate(0)
            self._handle.write(me)
            self._handle.flush()
        except OSError as e:
            self._handle.seek(0)
            other = self._handle.read()
            self._handle.close()
            if isinstance(e, BlockingIOError):
                raise Held(_name(other)) from None
            if e.errno not in NO_LOCKS:
                raise
            self._mine = f"{me}{uuid.uuid4().hex}\n"
            self._create()
            threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()
        self._ended.set()
        with suppress(OSError):
            if self._mine and self._renew():
                self.beating.unlink()

    def check(self) -> None:
        """Raise Held if another process has taken this one for dead; OSError where that can't be found out."""
        if self._mine and not self._renew():
            raise Held(_name(self._read()[0]))

    def leave(self) -> None:
        """For a process that is forked from the holder, and may outlive it: let go of the lock there."""
        self._handle.close()

    def _create(self) -> None:
        """Create the file that is the lock, in the place of an abandoned one too. Raises Held."""
        while True:
            with suppress(FileExistsError), open(self.beating, "x") as f:
                f.write(self._mine)
                return
            before = now = self._read()
            if now == ("", 0):  # let go of meanwhile
                continue
            log.info("%s: held by %s; waiting %.0f s for a sign of life", self.file, _name(before[0]), BEAT * BEATS)
            for _ in range(BEATS):
                time.sleep(BEAT)
                if (now := self._read()) != before:
                    break
            if now != before:
                if now[0]:
                    raise Held(_name(now[0]))
                continue  # let go of, or another newcomer has just created it
            aside = self.beating.with_name(f"{self.beating.name}.{uuid.uuid4().hex}")
            with suppress(FileNotFoundError):  # it was removed, or another newcomer was faster
                os.rename(self.beating, aside)
                if aside.read_text() == before[0]:
                    aside.unlink()
                else:  # so fast that this is its lock; a third one's, made in this very moment, is lost and stops
                    os.replace(aside, self.beating)

    def _read(self) -> tuple[str, int]:
        """Text and time of the lock, empty and 0 if there is none. NFS asks its server when a file is opened."""
        with suppress(FileNotFoundError), open(self.beating) as f:
            return f.read(), os.fstat(f.fileno()).st_mtime_ns
        return "", 0

    def _renew(self) -> bool:
        """Renew the time of the lock, if it is still this one's."""
        with suppress(FileNotFoundError), open(self.beating, "r+") as f:
            self.lost = f.read() != self._mine
            if not self.lost:
                os.utime(f.fileno())
            return not self.lost
        self.lost = True
        return False

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            with suppress(OSError):  # the server may be away for a while
                self._renew()


@contextmanager
def waiting(file: Path) -> Iterator[None]:
    """Hold the lock `file` as soon as nobody else does."""
    with ExitStack() as holding:
        while True:
            try:
                holding.enter_context(Lock(file))
                break
            except Held:
                time.sleep(0.5)
        yield


def _name(text: str) -> str:
    return text.partition("\n")[0] or "another process"
