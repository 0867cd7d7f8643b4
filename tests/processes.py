"""What can be seen of a process from outside: what it has saved, and how it takes signals."""

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path


def version(file: Path) -> int:
    """Another number for each content that a file is given; 0 while it is not there, as between two renames."""
    with suppress(FileNotFoundError):
        return file.stat().st_mtime_ns
    return 0


def signals(process: int, state: str, number: int) -> bool:
    """Whether a signal waits for a process that stands still (ShdPnd), or has a handler there (SigCgt); on Linux."""
    (mask,) = re.findall(rf"^{state}:\s*(\w+)", Path(f"/proc/{process}/status").read_text(), re.M)
    return bool(int(mask, 16) >> number - 1 & 1)


def suspend(process: int) -> None:
    """Return once no thread of it runs any more: the signal alone leaves each of them time for some more work."""
    os.kill(process, signal.SIGSTOP)
    end = time.monotonic() + 60
    while any(_state(thread) not in "TtZX" for thread in Path(f"/proc/{process}/task").iterdir()):
        assert time.monotonic() < end, f"process {process} goes on"
        time.sleep(0.01)


def _state(thread: Path) -> str:
    """A letter as ps prints it; X for one that has just ended."""
    with suppress(OSError):
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    return "X"
