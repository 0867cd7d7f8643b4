"""Stage `evaluate`: every frame of every item into a tidy table."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sa_sr.errors import UserError
from sa_sr.evaluation import COLUMNS
from sa_sr.evaluation.metrics import SPACES, Lpips, scores
from sa_sr.files import atomic_path
from sa_sr.layout import h5_items
from sa_sr.progress import progress


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
    with h5_items(sr, "sr") as produced, h5_items(data, "hr") as truth, atomic_path(out) as temporary:
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


def _lpips(net: str, version: str, weights: Path | None, threads: int) -> Lpips:
    import torch

    torch.set_num_threads(threads)
    return Lpips(weights, net, "cuda" if torch.cuda.is_available() else "cpu", version)


def _pairs(produced: Any, truth: Any, sr: Path, data: Path) -> list[tuple[str, Any, Any]]:
    """(item, SR dataset, HR dataset) for all items, which have to agree before anything is measured."""
    ours, theirs = set(produced["sr"]), set(truth["hr"])
    for item in sorted(ours ^ theirs):
        lacking, group, other = (sr, "sr", data) if item in theirs else (data, "hr", sr)
        raise UserError(f"{lacking}: lacks {group}/{item}, which {other} has; delete the older file and run again")
    pairs = [(item, produced["sr"][item], truth["hr"][item]) for item in sorted(ours)]
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
