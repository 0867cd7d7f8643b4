"""Exceptions whose words are meant to be read by a person, and words for those of libraries."""

import errno
from collections.abc import Iterator

MEMORY = ("out of memory", "allocate memory", "memory allocation", "Insufficient memory", "bad_alloc", "ALLOC_FAILED")
"""Parts of the messages of libraries that have no memory left, and no type of error for it."""


class UserError(Exception):
    """Something the user can mend: bad configuration, unreadable file, failed download.

    The message says what is wrong, where (key, file, image, asset) and what to do about it. The command line prints it
    without a traceback and exits with status 1.
    """


class Refused(Exception):
    """Why a source of an asset, or an archive, is not taken: the next source is tried, or the user told."""


def lack_of_memory(error: BaseException) -> str:
    """What a library says whose lack of memory is the reason of an error; empty where the reason is another."""
    for e in _reasons(error):
        without = isinstance(e, MemoryError) or (isinstance(e, OSError) and e.errno == errno.ENOMEM)
        if without or any(words in str(e) for words in MEMORY):
            return " ".join(str(e).split())[:300] or type(e).__name__
    return ""


def explained(error: BaseException) -> str:
    """What a person can do about an error that is no fault of the program's; empty for any other."""
    if said := lack_of_memory(error):
        return f"not enough memory ({said}); run fewer jobs at a time, or lower `batch`, `patch` or --tile"
    for e in _reasons(error):
        if str(e).startswith("DataLoader worker"):
            said = " ".join(str(e).split())
            return (
                f"a process that loads patches was ended from outside, as for lack of memory ({said}); give the job "
                "more memory or fewer --workers, and run it again"
            )
    return ""


def _reasons(error: BaseException) -> Iterator[BaseException]:
    """An error and those that led to it."""
    reason: BaseException | None = error
    while reason is not None:
        yield reason
        reason = reason.__cause__ or (None if reason.__suppress_context__ else reason.__context__)
