"""What a training leaves to read: history.csv and val.csv."""

import csv
import io
from pathlib import Path

from sa_sr.files import write_text

ROWS = 2000
"""At most so many rows: a row is the mean over steps / ROWS steps, so half a million steps stay readable."""


class History:
    """Means of the loss terms over short intervals, and every validation; part of the training state.

    steps: length of the training, which sets the interval: steps between rows; `planned`: rows in the end.
    """

    def __init__(self, steps: int):
        self.interval = -(-steps // ROWS) or 1
        self.planned = steps // self.interval
        self.rows: list[dict[str, float]] = []
        self.validations: list[dict[str, float]] = []
        self._sums: dict[str, float] = {}

    def add(self, step: int, terms: dict[str, float]) -> None:
        """Count the terms of one step."""
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        if step % self.interval == 0:
            self.rows.append({"step": step, **{name: total / self.interval for name, total in self._sums.items()}})
            self._sums = {}

    def state_dict(self) -> dict:
        return {"rows": self.rows, "validations": self.validations, "sums": self._sums}

    def load_state_dict(self, state: dict) -> None:
        self.rows, self.validations, self._sums = state["rows"], state["validations"], state["sums"]

    def write(self, history: Path, validations: Path, kept: int = 0) -> None:
        """Write both as CSV, six significant digits; `kept` is the step whose weights are the result."""
        chosen = [{**row, "kept": float(row["step"] == kept)} for row in self.validations]
        for path, rows in ((history, self.rows), (validations, chosen)):
            text = io.StringIO()
            writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else ["step"], lineterminator="\n")
            writer.writeheader()
            writer.writerows({k: v if k == "step" else f"{v:.6g}" for k, v in row.items()} for row in rows)
            write_text(path, text.getvalue())
