"""The settings of all runs side by side: first where they differ, then what they share."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from sa_sr.errors import UserError
from sa_sr.render.page import scrolling

NAMING = {"name", "model", "extractor", "seed"}
"""Keys that are in the name of a run."""


def runs_table(paths: Sequence[Path]) -> str:
    """HTML: a table of the keys that differ, one column for each run, and the others in an element to open.

    paths: run.json of every run, in order. Raises UserError naming one that can't be read.
    """
    runs = {path.parent.name: _flat(_read(path)) for path in paths}
    keys = [key for key in sorted({key for run in runs.values() for key in run}) if key not in NAMING]
    common = {key for key in keys if len({run.get(key) for run in runs.values()}) == 1}
    if not runs:
        return ""
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    return (
        f"<p>Settings of {count}, from each run.json: where they differ.</p>\n"
        f"{_table([key for key in keys if key not in common], runs)}"
        f"<details><summary>{len(common)} settings that all runs share</summary>\n"
        f"{_table(sorted(common), {'all runs': next(iter(runs.values()))})}</details>\n"
    )


def _table(keys: list[str], runs: dict[str, dict[str, str]]) -> str:
    if not keys:
        return "<p>None.</p>\n"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in runs)
    rows = "".join(
        f'<tr><th scope="row">{escape(key)}</th>'
        + "".join(f"<td>{escape(run.get(key, '–'))}</td>" for run in runs.values())
        + "</tr>\n"
        for key in keys
    )
    return scrolling(
        f'<table class="settings">\n<thead><tr><th scope="col">Key</th>{head}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n</table>"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as e:
        raise UserError(f"{path}: not the settings of a run ({e}); delete it and run again") from e


def _flat(values: dict[str, Any], above: str = "") -> dict[str, str]:
    """{"terms.gan": "0.005", ...}"""
    found = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{above}{key}.")
        else:
            found[above + key] = value if isinstance(value, str) else json.dumps(value)
    return found
