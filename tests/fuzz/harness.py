"""What the fuzzers have in common: a parser of files takes any bytes, or answers with a UserError of few words."""

import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

from sa_sr.errors import UserError

GROWTH = 512 << 20
"""Bytes by which one input, of at most some 100 kB, may let the process grow."""


def fuzz_file(read: Callable[[Path], object]) -> None:
    """Run libFuzzer, with the options on the command line, on a reader of files."""
    file = Path(tempfile.mkdtemp(), "input")

    def one(data: bytes) -> None:
        file.write_bytes(data)
        fuzz_one(lambda: read(file))

    start(one)


def fuzz_one(read: Callable[[], object]) -> None:
    """One call: UserError is an answer, all else a finding, and so is memory out of proportion."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        read()
    except UserError as e:
        assert len(str(e)) < 4000, "a message of too many words"  # noqa: PT017
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert grown < GROWTH, f"took {grown} bytes"


def start(one: Callable[[bytes], None]) -> None:
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
