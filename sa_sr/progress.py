"""Progress of long work: a bar on a terminal, else a line now and then for the log."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from sa_sr.rank import rank

log = logging.getLogger("sa_sr")
T = TypeVar("T")
EVERY = 10.0
"""Seconds between two lines where there is no terminal."""


def progress(work: Iterable[T], what: str, total: int | None = None, done: int = 0, unit: str = "it") -> Iterator[T]:
    """Yield from `work`, showing how much of it is done, the rate and the time left.

    total: how many there will be, `done` ones included which an earlier process did.
    """
    if rank():  # of several processes that do the same, the first one says it
        yield from work
        return
    if sys.stderr.isatty():
        yield from tqdm(work, what, total, initial=done, unit=unit, file=sys.stderr, dynamic_ncols=True)
        return
    start = said = time.monotonic()
    count = done
    for count, one in enumerate(work, done + 1):
        yield one
        now = time.monotonic()
        if now - said > EVERY:
            log.info(
                "%s", tqdm.format_meter(count, total or 0, now - start, prefix=what, unit=unit, initial=done, ncols=0)
            )
            said = now
    log.info("%s: %d %s in %.1f s", what, count - done, unit, time.monotonic() - start)
