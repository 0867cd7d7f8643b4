"""Stage `health`: whether each training went as it should, in numbers and in words."""

import csv as csv_files
import textwrap
from html import escape
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pandas as pd

from sa_sr.errors import UserError
from sa_sr.files import atomic_path, write_text
from sa_sr.render.labels import label
from sa_sr.render.markdown import pipe_table
from sa_sr.render.page import page
from sa_sr.training.health import WINDOW, Finding, Rows, findings

TITLE = "Health of the trainings"
NOTES = (
    "D(real) and D(generated): the probabilities that the loss of the discriminator D looks at, 1 for real; with a "
    "relativistic loss (ESRGAN's) each patch is held against the mean of the other kind. The loss of D is 0 where it "
    "never errs; where it only guesses, it is 0.69 if relativistic and 1.39 if not. Out of range: values of the output "
    "more than 0.1 below 0 or above 1. All these are means over the last quarter of a training. ∇D, ∇G: median norm of "
    "the gradients over all of it, and how many times that their largest is."
)
COLUMNS = [
    *("training", "steps", "d_real", "d_fake", "l_d", "grad_d", "grad_d_peak", "grad_g", "grad_g_peak"),
    *("out_of_range", "findings", "verdict"),
]


def health(histories: list[Path], csv: Path, md: Path, html: Path) -> None:
    """Tabulate how trainings went, a row for each, and say of what was found what it means.

    histories: history.csv of runs and of pretrainings, each in a folder named after its training; one without any steps
    is left out. csv, md, html: files to write. In the CSV `out_of_range` is a fraction, `findings` their number, and
    `verdict` says "healthy" or names them with their steps. Raises UserError naming what can't be read.
    """
    trained = {path.parent.name: steps for path in histories if (steps := _steps(path))}
    found = {training: findings(steps) for training, steps in trained.items()}
    rows = pd.DataFrame([_row(name, steps, found[name]) for name, steps in trained.items()], columns=COLUMNS)
    with atomic_path(csv) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    printed = pd.DataFrame(
        {
            "Training": map(_label, trained),
            "Seed": map(_seed, trained),
            "D(real)": _print(rows.d_real, "{:.2f}"),
            "D(generated)": _print(rows.d_fake, "{:.2f}"),
            "loss of D": _print(rows.l_d, "{:.2g}"),
            "∇D": _print(rows.grad_d, "{:.2g}"),
            "peak of ∇D": _print(rows.grad_d_peak, "{:.3g}×"),
            "∇G": _print(rows.grad_g, "{:.2g}"),
            "peak of ∇G": _print(rows.grad_g_peak, "{:.3g}×"),
            "out of range": _print(100 * rows.out_of_range.astype(float), "{:.1f} %"),
            "Verdict": [_verdict(steps, [f.rule.name for f in found[name]]) for name, steps in trained.items()],
        }
    )
    table = pipe_table(printed, ("left", *["right"] * (len(printed.columns) - 2), "left"))
    said = [
        f"{_label(name)}, seed {_seed(name)}: {finding}. {finding.rule.remark}"
        for name, several in found.items()
        for finding in several
    ]
    listed = "".join(textwrap.fill(line, 120, initial_indent="- ", subsequent_indent="  ") + "\n" for line in said)
    write_text(md, f"### {TITLE}\n\n{table}\n\n{listed}\n{textwrap.fill(NOTES, 120)}\n".replace("\n\n\n", "\n\n"))
    items = "".join(f"<li>{escape(line)}</li>\n" for line in said)
    drawn = printed.to_html(index=False, border=0) + (f"\n<ul>\n{items}</ul>" if said else "")
    write_text(html, page("health", TITLE, "", [drawn], NOTES))


def unhealthy(csv: Path) -> list[str]:
    """A line for each training of such a table in which something was found."""
    with open(csv, newline="", encoding="utf-8") as f:
        return [f"{row['training']}: {row['verdict']}" for row in csv_files.DictReader(f) if row["findings"] != "0"]


def _print(numbers: pd.Series, form: str) -> list[str]:
    return [form.format(number) if pd.notna(number) else "" for number in numbers]


def _label(training: str) -> str:
    """Of a run, "SA-ESRGAN (canny)"; of a pretraining, whose name has no extractor, "ESRGAN, pretraining"."""
    model, *extractor = training.split("-")[:-1]
    return label(model, *extractor) if extractor else f"{label(model)}, pretraining"


def _seed(training: str) -> str:
    return training.rpartition("-s")[2]


def _verdict(rows: Rows, found: list[str]) -> str:
    """Each finding once, or why there is none."""
    sound = "healthy" if len(rows) >= WINDOW else f"too short to judge, with fewer than {WINDOW} rows"
    return "; ".join(dict.fromkeys(found)) or sound


def _steps(path: Path) -> Rows:
    try:
        with open(path, newline="", encoding="utf-8") as f:
            return [{name: float(value) for name, value in row.items()} for row in csv_files.DictReader(f)]
    except (OSError, ValueError, TypeError) as e:
        raise UserError(f"{path}: not a readable record of training ({e!r}); train it again") from e


def _row(training: str, rows: Rows, found: list[Finding]) -> dict[str, Any]:
    last = rows[-max(1, len(rows) // 4) :]
    mean = {name: fmean(row[name] for row in last) for name in rows[0]}
    return {
        "training": training,
        "steps": int(rows[-1]["step"]),
        **{name: mean.get(name) for name in ("d_real", "d_fake", "l_d", "out_of_range")},
        **_norms(rows, "grad_d"),
        **_norms(rows, "grad_g"),
        "findings": len(found),
        "verdict": _verdict(rows, [str(finding) for finding in found]),
    }


def _norms(rows: Rows, name: str) -> dict[str, float | None]:
    """Median of the gradient's norm, and its maximum in units of that; None where a training has no such network."""
    norms = [row[name] for row in rows if name in row]
    middle = median(norms) if norms else None
    return {name: middle, f"{name}_peak": max(norms) / middle if middle else None}
