"""Training state which survives: one atomic file in a folder that Snakemake does not know of.

Snakemake deletes declared outputs of a failed job, so progress can't live there. The folder is locked while a process
trains in it, and the state is used only by a training with the same fingerprint (settings, code and data).
"""

import fcntl
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any, Self

import torch

from sa_sr.errors import UserError
from sa_sr.storage import atomic_path

log = logging.getLogger("sa_sr")
SAVE_SECONDS = 300
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class StateFolder:
    """The state folder of one run, held by this process inside a `with` block.

    folder: created if absent; fingerprint: text that changes with anything that may change the result. Raises UserError
    naming the holder when another process trains here. SIGTERM, SIGINT and SIGUSR1 are noted in `interrupted`; the
    trainer saves and ends at the next step.
    """

    def __init__(self, folder: Path, fingerprint: str):
        self.file, self.fingerprint, self.interrupted = folder / "last.pt", fingerprint, 0
        self._saved = time.monotonic()

    def __enter__(self) -> Self:
        folder = self.file.parent
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = open(folder / "lock", "a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip()
            self._lock.close()
            raise UserError(f"{folder} is in use by {holder}; wait for that job or cancel it") from None
        self._lock.truncate(0)
        job = os.environ.get("SLURM_JOB_ID", "none")
        self._lock.write(f"process {os.getpid()} on {socket.gethostname()}, Slurm job {job}\n")
        self._lock.flush()
        self._handlers = {number: signal.signal(number, self._interrupt) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._lock.close()

    def _interrupt(self, number: int, _frame: object) -> None:
        self.interrupted = number

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None. One of another fingerprint is kept aside as stale.pt, and training starts anew."""
        if not self.file.exists():
            return None
        saved = torch.load(self.file, map_location="cpu", weights_only=True)
        if saved["fingerprint"] == self.fingerprint:
            return saved["state"]
        os.replace(self.file, self.file.with_name("stale.pt"))
        log.info("%s is of other settings, code or data: set aside as stale.pt, starting at step 0", self.file)
        return None

    def due(self) -> bool:
        """Whether it is time to save: now and then, and at once when asked to stop."""
        return bool(self.interrupted) or time.monotonic() - self._saved > SAVE_SECONDS

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state, whole or not at all."""
        with atomic_path(self.file) as temporary:
            torch.save({"fingerprint": self.fingerprint, "state": state}, temporary)
        self._saved = time.monotonic()


def ignore_signals(_worker: int) -> None:
    """For loader workers: a signal to the whole process group is the trainer's to answer, who still needs them."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
