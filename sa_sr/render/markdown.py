"""Markdown that shows texts as they are, whatever signs are in them."""

import re

import pandas as pd

SIGNS = re.compile(r"[\\`*\[\]<>|~$]|&(?=#?\w+;)|(?<!\w)_|_(?!\w)")
"""What would make a text bold, code, a link, HTML, mathematics, a character of another kind or the next cell."""


def escape(text: str) -> str:
    """Plain text as one line of Markdown."""
    return SIGNS.sub(r"\\\g<0>", " ".join(text.split()))


def pipe_table(frame: pd.DataFrame, sides: tuple[str, ...]) -> str:
    """A table of texts, with the side on which each column is aligned: left or right."""
    plain = frame.astype(str).map(escape).rename(columns=escape)
    return plain.to_markdown(index=False, colalign=sides, disable_numparse=True)
