"""Stage `aggregate`: all measurements in one table, then means over clips and over data sets.

A perfect frame has PSNR `inf`, beside which nothing else would count. Where one method has it, the frame is left out of
that quantity's means and comparisons for all methods, so that these stay of the same frames; tables say of how many.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from sa_sr.errors import UserError
from sa_sr.evaluation import COLUMNS, METHOD, PAIRS, QUANTITY
from sa_sr.files import atomic_path

EDGE = 2
"""Frames at each end of a clip where the five-frame window is incomplete: the subset `interior` is without them."""


def aggregate(csvs: list[Path], frames: Path, clips: Path, means: Path, parquet: Path) -> None:
    """Stage: join the CSVs of `evaluate`, average over the frames of each item, then over the items of each data set.

    frames, parquet: all rows, as CSV and as Parquet with typed columns; clips: one per method, data set, item, subset
    and quantity, `n` counting the frames; means: the same without the item, `n` counting the items, each of which
    weighs the same, `frames` all of their frames, and `perfect` those that were left out. The subsets are those of
    `subsets`. Order is that of the input.
    Raises UserError naming the file that is not such a CSV, and for rows that occur twice.
    """
    rows = joined(csvs)
    per_item = pd.concat([_mean(part, [*METHOD, "item"], subset) for subset, part in subsets(rows).items()])
    per_set = pd.concat([_mean(part, METHOD, str(subset)) for subset, part in per_item.groupby("subset", sort=False)])
    every = pd.concat([_mean(part, METHOD, subset) for subset, part in _whole_subsets(rows).items()])
    every = every.drop(columns="value").rename(columns={"n": "perfect"})
    per_set = per_set.merge(every, on=[*METHOD, "subset", *QUANTITY])
    per_set["perfect"] -= per_set["frames"]
    for table, path in ((rows, frames), (per_item, clips), (per_set, means)):
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
    with atomic_path(parquet) as temporary:
        rows.to_parquet(temporary, engine="pyarrow", index=False)


def joined(csvs: list[Path]) -> pd.DataFrame:
    """All rows of CSVs with the columns COLUMNS; UserError for a file that is none, and for rows that occur twice."""
    rows = pd.concat([_read(path) for path in csvs], ignore_index=True)
    twice = rows[rows.duplicated(COLUMNS[:-1])]
    if len(twice):
        row = twice.iloc[0]
        raise UserError(f"{row.method} on {row.dataset}, item {row['item']}, is there twice; give each CSV once")
    return rows


def subsets(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of every frame, and those without the first and last two frames of a clip (an image keeps its one).

    What compares a frame with the one before is interior where both are. A quantity of a frame that is infinite for any
    method is left out for all of them, unless nothing would be left of it on a data set.
    """
    return {name: _comparable(part) for name, part in _whole_subsets(rows).items()}


def _comparable(rows: pd.DataFrame) -> pd.DataFrame:
    place = ["dataset", "item", "frame", *QUANTITY]
    perfect = rows.loc[np.isinf(rows["value"]), place].drop_duplicates()
    found = rows[place].merge(perfect, on=place, how="left", indicator=True)["_merge"].eq("both").set_axis(rows.index)
    without = found.groupby([rows[name] for name in ("dataset", *QUANTITY)]).transform("all")
    return rows.loc[~found | without]


def _whole_subsets(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    first = rows.frame - rows.metric.isin(PAIRS)
    clip_ends = (first < EDGE) | (rows.frame >= rows.frames - EDGE)
    return {"all": rows, "interior": rows.loc[(rows.frames == 1) | ~clip_ends]}


def _read(path: Path) -> pd.DataFrame:
    """One CSV of `evaluate`; names stay text, so that an item called "NA" or "007" remains itself."""
    numbers = {"frame": int, "frames": int, "border": int, "value": float}
    try:
        rows = pd.read_csv(path, dtype={c: numbers.get(c, str) for c in COLUMNS}, keep_default_na=False)
    except (OSError, ValueError) as e:
        raise UserError(f"{path}: not a readable evaluation CSV ({e}); delete it and run `evaluate` again") from e
    if list(rows.columns) != COLUMNS:
        raise UserError(f"{path}: not an evaluation CSV: its columns are {', '.join(map(str, rows.columns))}")
    return rows


def _mean(rows: pd.DataFrame, names: list[str], subset: str) -> pd.DataFrame:
    """Mean value and count for each combination of `names` and quantity, marked with the subset.

    Where the rows are means themselves, `frames` adds up what they count.
    """
    columns = {"value": ("value", "mean"), "n": ("value", "count")}
    if "n" in rows:
        columns["frames"] = ("n", "sum")
    table = rows.groupby([*names, *QUANTITY], sort=False).agg(**columns).reset_index()
    table.insert(len(names), "subset", subset)
    return table
