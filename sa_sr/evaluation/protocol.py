"""Stages `evaluate` and `aggregate`: every frame of every item into a tidy table, then means over clips and data sets.

A perfect frame has PSNR `inf`, and so have the means over it: a mean without such frames would be of something else.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from sa_sr.errors import UserError
from sa_sr.evaluation.metrics import SPACES, Lpips, scores
from sa_sr.progress import progress
from sa_sr.storage import atomic_path, h5_reader, lookup

METHOD = ["method", "model", "extractor", "seed", "dataset"]
QUANTITY = ["metric", "space", "border"]
COLUMNS = [*METHOD, "item", "frame", "frames", *QUANTITY, "value"]
EDGE = 2
"""Frames at each end of a clip where the five-frame window is incomplete: the subset `interior` is without them."""


@dataclass(frozen=True)
class Protocol:
    """What is measured: PSNR and SSIM in each space with each border cut off, and LPIPS of the whole RGB frame."""

    spaces: tuple[str, ...] = SPACES
    borders: tuple[int, ...] = (4, 8)
    ssim: str = "gaussian"
    """Window of SSIM, "gaussian" or "uniform"."""
    lpips: str | None = "alex"
    """Network of LPIPS, "alex" or "vgg"; None leaves LPIPS out."""
    lpips_version: str = "0.1"
    """Of LPIPS's linear layers, "0.1" or "0.0"."""


def evaluate(
    sr: Path,
    data: Path,
    out: Path,
    protocol: Protocol,
    method: str,
    model: str,
    extractor: str | None,
    seed: int | str | None,
    dataset: str,
    lpips_weights: Path | None = None,
    threads: int = 1,
) -> None:
    """Stage: compare every frame of an SR file with the data file's HR frame; one CSV row per value.

    sr: file with sr/<item>; data: file with hr/<item>; out: CSV with the columns COLUMNS, whole or not at all. method,
    model, extractor, seed and dataset go into every row; bicubic has neither extractor nor seed. lpips_weights: the
    asset of the LPIPS network, see `Lpips`; threads: of the CPU. Frames count from 0; values have 6 decimals; LPIPS has
    space rgb and border 0.
    Raises UserError naming the item that one file lacks, whose shape differs, or whose frames are too small.
    """
    cv2.setNumThreads(threads)
    head = [method, model, extractor or "", "" if seed is None else seed, dataset]
    with h5_reader(sr) as produced, h5_reader(data) as truth, atomic_path(out) as temporary:
        pairs = _pairs(produced, truth, sr, data)
        total = sum(len(hr) for _, _, hr in pairs)
        lpips = _lpips(protocol.lpips, protocol.lpips_version, lpips_weights, threads) if protocol.lpips else None
        with open(temporary, "w", newline="", encoding="utf-8") as f:
            table = csv.writer(f, lineterminator="\n")
            table.writerow(COLUMNS)
            work = ((item, t, a, b) for item, a, b in pairs for t in range(len(b)))
            for item, t, a, b in progress(work, f"evaluate {method} on {dataset}", total, unit="frames"):
                try:
                    for *quantity, value in _measure(a[t], b[t], protocol, lpips):
                        table.writerow([*head, item, t, len(b), *quantity, f"{value:.6f}"])
                except ValueError as e:
                    raise UserError(f"{sr}: sr/{item}, frame {t}: {e}") from e


def aggregate(csvs: list[Path], frames: Path, clips: Path, means: Path) -> None:
    """Stage: join the CSVs of `evaluate`, average over the frames of each item, then over the items of each data set.

    frames: all rows; clips: one per method, data set, item, subset and quantity, `n` counting the frames; means: the
    same without the item, `n` counting the items, each of which weighs the same, and `frames` all of their frames.
    subset `all` is every frame, `interior` leaves out the first and last two of a clip (an image keeps its one). Order
    is that of the input.
    Raises UserError naming the file that is not such a CSV, and for rows that occur twice.
    """
    rows = pd.concat([_read(path) for path in csvs], ignore_index=True)
    twice = rows[rows.duplicated(COLUMNS[:-1])]
    if len(twice):
        row = twice.iloc[0]
        raise UserError(f"{row.method} on {row.dataset}, item {row['item']}, is there twice; give each CSV once")
    clip_ends = (rows.frame < EDGE) | (rows.frame >= rows.frames - EDGE)
    subsets = {"all": rows, "interior": rows[(rows.frames == 1) | ~clip_ends]}
    per_item = pd.concat([_mean(part, [*METHOD, "item"], subset) for subset, part in subsets.items()])
    per_set = pd.concat([_mean(part, METHOD, str(subset)) for subset, part in per_item.groupby("subset", sort=False)])
    for table, path in ((rows, frames), (per_item, clips), (per_set, means)):
        with atomic_path(path) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")


def _lpips(net: str, version: str, weights: Path | None, threads: int) -> Lpips:
    import torch

    torch.set_num_threads(threads)
    return Lpips(weights, net, "cuda" if torch.cuda.is_available() else "cpu", version)


def _pairs(produced: Any, truth: Any, sr: Path, data: Path) -> list[tuple[str, Any, Any]]:
    """(item, SR dataset, HR dataset) for all items, which have to agree before anything is measured."""
    ours: set[str] = set(lookup(produced, "sr") or ())
    theirs: set[str] = set(lookup(truth, "hr") or ())
    for item in sorted(ours ^ theirs):
        lacking, group, other = (sr, "sr", data) if item in theirs else (data, "hr", sr)
        raise UserError(f"{lacking}: lacks {group}/{item}, which {other} has; delete the older file and run again")
    pairs = [(item, produced["sr"][item], truth["hr"][item]) for item in sorted(ours)]
    if not pairs:
        raise UserError(f"{data}: holds no items")
    for item, a, b in pairs:
        if a.shape != b.shape:
            raise UserError(f"{sr}: sr/{item} is {a.shape}, and hr/{item} of {data} is {b.shape}")
    return pairs


def _measure(
    sr: np.ndarray, hr: np.ndarray, protocol: Protocol, lpips: Lpips | None
) -> Iterator[tuple[str, str, int, float]]:
    """(metric, space, border, value) of one frame."""
    yield from scores(sr, hr, protocol.spaces, protocol.borders, protocol.ssim)
    if lpips:
        yield "lpips", "rgb", 0, lpips(sr, hr)


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
