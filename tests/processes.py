"""What can be seen of a process from outside: what it has saved, and how it takes signals."""

import re
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
