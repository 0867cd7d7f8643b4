"""Stage `shares`: how much of each run's loss was spatially adaptive, when it began and all along.

The paper aims at "around 15 %" (IV-C) and says neither when nor on what this is measured.
"""

import json
import math
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd

from sa_sr.config import Run
from sa_sr.errors import UserError
from sa_sr.files import atomic_path, write_text
from sa_sr.render.labels import label
from sa_sr.render.markdown import pipe_table
from sa_sr.render.page import page
from sa_sr.render.published import SHARE

TITLE = "Share of the spatially adaptive (SA) part in the generator loss"
NOTES = (
    "At the start: over the first batches, with the pretrained generator and a discriminator that has learnt nothing. "
    "In training: the sum of the SA part over all steps, divided by the sum of the loss. "
    f"The paper aims at around {SHARE} % and does not say when."
)


def shares(calibrations: list[Path], csv: Path, md: Path, html: Path) -> None:
    """Tabulate the calibrations of all spatially adaptive runs beside what their trainings came to.

    calibrations: results of `calibrate`, each in its run's folder beside run.json and history.csv; csv, md, html: files
    to write. Shares are fractions in the CSV and per cent elsewhere; a training of no steps has none. Raises UserError
    naming what can't be read.
    """
    rows = pd.DataFrame([_row(path) for path in calibrations])
    with atomic_path(csv) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")
    printed = pd.DataFrame(
        {
            "Method": [label(*names) for names in zip(rows.model, rows.extractor, strict=True)],
            "Seed": rows.seed,
            "β₂": rows.beta2.map("{:g}".format),
            "chosen": rows.chosen,
            "at the start": _per_cent(rows.share_at_start),
            "in training": _per_cent(rows.share_in_training),
        }
    )
    table = pipe_table(printed, ("left", "right", "right", "left", "right", "right"))
    write_text(md, f"### {TITLE}\n\n{table}\n\n{textwrap.fill(NOTES, 120)}\n")
    write_text(html, page("shares", TITLE, "", [printed.to_html(index=False, border=0)], NOTES))


def _per_cent(fractions: pd.Series) -> list[str]:
    return [f"{100 * fraction:.1f} %" if pd.notna(fraction) else "–" for fraction in fractions]


def _row(path: Path) -> dict[str, Any]:
    try:
        measured = json.loads(path.read_text(encoding="utf-8"))
        trained = json.loads((path.parent / "run.json").read_text(encoding="utf-8"))
        history = pd.read_csv(path.parent / "history.csv")
        steps = len(history["step"])  # without any, it is the only column
        sa, whole = [math.fsum(history[name]) for name in ("l_g_sa", "l_g_total")] if steps else [math.nan] * 2
        run = Run.parse(measured["name"])
        return {
            "run": run.name,
            "model": run.model,
            "extractor": run.extractor,
            "seed": run.seed,
            "beta2": trained["beta2"],
            "chosen": measured["chosen"],
            "share_at_start": measured["share"],
            "share_in_training": sa / whole if whole else 0.0,
        }
    except (OSError, ValueError, KeyError) as e:
        raise UserError(f"{path.parent}: no complete record of a training ({e!r}); run it again") from e
