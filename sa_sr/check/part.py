"""One part of the check, and how it is printed."""

import textwrap
from dataclasses import dataclass
from functools import partial

WIDTH = 110
"""Columns of the text."""


@dataclass(frozen=True)
class Part:
    """One part of the check, as it is printed.

    rows: cells of a table, aligned as `align` says ("<" or ">" for each column); notes: sentences below it; problems:
    what keeps the experiment from running, each in a few words.
    """

    title: str
    align: str
    rows: list[tuple[str, ...]]
    notes: list[str]
    problems: list[str]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = [
            "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, self.align, widths, strict=True))
            for row in self.rows
        ]
        wrap = partial(textwrap.wrap, width=WIDTH, initial_indent="  ", subsequent_indent="    ")
        told = [line for note in self.notes for line in wrap(note, break_long_words=False, break_on_hyphens=False)]
        return "\n".join([self.title, *(f"  {line.rstrip()}" for line in lines), *told])


def verdict(parts: list[Part]) -> str:
    """The last line: "ready", or what keeps the experiment from running."""
    problems = [problem for part in parts for problem in part.problems]
    return f"not ready: {'; '.join(problems)}" if problems else "ready"


def size(count: float) -> str:
    """Bytes, in the unit that fits, with one decimal."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} TB"


def counted(count: int, what: str) -> str:
    """How many there are of something: "1 frame", "2 frames"."""
    return f"{count} {what}{'s' * (count != 1)}"
