"""Training state which survives: a file in a folder that Snakemake does not know of, and the one before it.

Snakemake deletes declared outputs of a failed job, so progress can't live there. The folder is locked while a process
trains in it, and a state is used only by a training with the same fingerprint (settings, code and data), and only if it
is whole: a file begins with the SHA-256 of the rest.
"""

import hashlib
import io
import logging
import os
import time
from pathlib import Path
from typing import Any, Self

import torch

from sa_sr.errors import UserError
from sa_sr.files import atomic_path
from sa_sr.lock import Held, Lock

log = logging.getLogger("sa_sr")
SAVE_SECONDS = 300.0
DIGEST = 32
"""Bytes of a SHA-256."""


class StateFolder:
    """The state folder of one run, held by this process inside a `with` block.

    folder: created if absent; fingerprint: text that changes with anything that may change the result; save_seconds:
    how often a state is due. Raises UserError naming the holder when another process trains here.
    """

    def __init__(self, folder: Path, fingerprint: str, save_seconds: float = SAVE_SECONDS):
        names = ("last", "previous", "stale", "returning")
        self.file, self.previous, self.stale, self.returning = (folder / f"{name}.pt" for name in names)
        self.fingerprint, self.save_seconds = fingerprint, save_seconds
        self._saved = time.monotonic()

    def __enter__(self) -> Self:
        folder = self.file.parent
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = Lock(folder / "lock")
        try:
            self._lock.__enter__()
        except Held as e:
            raise UserError(f"{folder} is in use by {e}; wait until it is done and start again, or end it") from None
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.__exit__()

    def load(self) -> dict[str, Any] | None:
        """The newest state that is whole, or None.

        A damaged file is named and set aside, and the state before it is used. One of another fingerprint is set aside
        as stale.pt, and training starts anew; when its own fingerprint comes back, as after an edit that is taken back
        or a data file that was damaged, it goes on from there, and what was trained meanwhile is set aside in its turn.
        """
        own = other = state = None
        for file in (self.file, self.previous, self.stale, self.returning):
            saved = _read(file)
            if saved and saved["fingerprint"] == self.fingerprint:
                own, state = file, saved["state"]
                break
            if saved and not other:
                other = file
        if other in (self.file, self.previous):
            # in this order no kill in between loses either of them
            if own and own != self.returning:
                os.replace(own, self.returning)
            if other == self.file:
                self.previous.unlink(missing_ok=True)
            os.replace(other, self.stale)
            if own:
                os.replace(self.returning, self.file)
            log.info("%s is of other settings, code or data: set aside as stale.pt", other)
        return state

    def due(self) -> bool:
        """Whether it is time to save again, or for `save` to refuse."""
        return self._lock.lost or time.monotonic() - self._saved >= self.save_seconds

    def save(self, state: dict[str, Any]) -> None:
        """Make this the newest state, whole or not at all, and keep the one before it.

        Raises UserError where there is no room, and where another process has taken the folder over, see `sa_sr.lock`;
        both older states are then as they were.
        """
        content = io.BytesIO()
        torch.save({"fingerprint": self.fingerprint, "state": state}, content)
        try:
            self._lock.check()
            with atomic_path(self.file) as temporary:
                with open(temporary, "wb") as f:
                    f.write(hashlib.sha256(content.getbuffer()).digest())
                    f.write(content.getbuffer())
                    f.flush()
                    os.fsync(f.fileno())
                if self.file.exists():
                    os.replace(self.file, self.previous)
        except Held as e:
            raise UserError(f"{self.file.parent} was taken over by {e}, as this process had been suspended") from None
        except OSError as e:
            raise UserError(f"{self.file}: the state can't be saved ({e}); make room, and run again: it goes on") from e
        self._saved = time.monotonic()

    def let_go(self) -> None:
        """For loader processes, which are forked from this one and outlive it for some seconds where it is killed."""
        self._lock.leave()

    def finish(self) -> None:
        """The training is done: of its states the last one is enough."""
        if self.file.exists():
            self.previous.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any] | None:
    """What a state file holds; None where there is none, or where it is damaged and has been set aside."""
    if not file.exists():
        return None
    content = file.read_bytes()
    if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
        return torch.load(io.BytesIO(content[DIGEST:]), map_location="cpu", weights_only=True)
    aside = file.with_name(f"damaged-{file.name}")
    os.replace(file, aside)
    log.warning("%s is damaged: set aside as %s", file, aside.name)
    return None
