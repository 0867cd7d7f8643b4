"""Stage `evaluate`: every frame of every item into a tidy table."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from sa_sr.config.results import Evaluation, LpipsChoice
from sa_sr.errors import UserError
from sa_sr.evaluation import COLUMNS, WHOLE
from sa_sr.evaluation.artefacts import colour_shift, noise
from sa_sr.evaluation.edges import edge_match
from sa_sr.evaluation.metrics import Features, Lpips, scores
from sa_sr.evaluation.regions import regions
from sa_sr.evaluation.temporal import flow_error, motion, warping_error
from sa_sr.files import atomic_path
from sa_sr.layout import h5_items
from sa_sr.progress import progress

Value = tuple[str, str, str, int, float]
"""Metric, region, space, border, value."""


def evaluate(
    sr: Path,
    data: Path,
    out: Path,
    protocol: Evaluation,
    method: str,
    model: str,
    extractor: str | None,
    seed: int | str | None,
    dataset: str,
    lpips_weights: Path | None = None,
    threads: int = 1,
) -> None:
    """Stage: compare every frame of an SR file with the data file's HR frame; one CSV row per value.

    PSNR and SSIM in each space with each border cut off, LPIPS of the RGB frame, each of the whole frame and of its
    regions; edges, noise, colour; and of clips what their frames have to do with each other.

    sr: file with sr/<item>; data: file with hr/<item>; out: CSV with the columns COLUMNS, whole or not at all.
    protocol: what is measured, and how. method, model, extractor, seed and dataset go into every row; bicubic has
    neither extractor nor seed. lpips_weights: the asset of the LPIPS network, None leaves LPIPS and tLPIPS out;
    threads: of the CPU, which computes everything. Frames count from 0, and
    what compares two frames of a clip stands at the later one; values have 6 decimals. All but PSNR and SSIM have
    border 0. What does not exist has no row: a region without pixels, warping error and tOF where no pixel is visible
    in both frames.
    Raises UserError naming the item that one file lacks, whose shape differs, or whose frames are too small.
    """
    cv2.setNumThreads(threads)
    head = [method, model, extractor or "", "" if seed is None else seed, dataset]
    with h5_items(sr, "sr") as produced, h5_items(data, "hr") as truth, atomic_path(out) as temporary:
        pairs = _pairs(produced, truth, sr, data)
        total = sum(len(hr) for _, _, hr in pairs)
        lpips = _lpips(protocol.lpips, lpips_weights, threads) if lpips_weights else None
        with open(temporary, "w", newline="", encoding="utf-8") as f:
            table = csv.writer(f, lineterminator="\n")
            table.writerow(COLUMNS)
            work = ((item, t, a, b) for item, a, b in pairs for t in range(len(b)))
            before = None
            for item, t, a, b in progress(work, f"evaluate {method} on {dataset}", total, unit="frames"):
                try:
                    now = Pair.of(a[t], b[t], lpips)
                    values = [*_frame(now, protocol, lpips), *(_motion(before, now, lpips) if before and t else ())]
                except ValueError as e:
                    raise UserError(f"{sr}: sr/{item}, frame {t}, beside hr/{item} of {data}: {e}") from e
                for *quantity, value in values:
                    table.writerow([*head, item, t, len(b), *quantity, f"{value:.6f}"])
                before = now


class Pair(NamedTuple):
    """A frame, the truth, and what LPIPS sees of both: looked at once, compared again with the next of a clip."""

    sr: np.ndarray
    hr: np.ndarray
    features: tuple[Features, Features] | None

    @classmethod
    def of(cls, sr: np.ndarray, hr: np.ndarray, lpips: Lpips | None) -> "Pair":
        return cls(sr, hr, (lpips.features(sr), lpips.features(hr)) if lpips else None)


def _lpips(chosen: LpipsChoice, weights: Path, threads: int) -> Lpips:
    import torch

    torch.set_num_threads(threads)
    return Lpips(weights, chosen.net, version=chosen.version)


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


def _frame(pair: Pair, protocol: Evaluation, lpips: Lpips | None) -> Iterator[Value]:
    """What is measured on one frame."""
    sr, hr = pair.sr, pair.hr
    areas = regions(hr, **dict(protocol.regions))
    yield from scores(sr, hr, protocol.spaces, protocol.borders, protocol.ssim, areas)
    if lpips and pair.features:
        distance, spread = lpips.distance_and_map(*pair.features)
        yield "lpips", WHOLE, "rgb", 0, distance
        for name, area in areas.items():
            if area.any():
                yield "lpips", name, "rgb", 0, float(spread[area].mean(dtype=np.float64))
    for name, share in edge_match(sr, hr, **dict(protocol.edges))._asdict().items():
        yield f"edge_{name}", WHOLE, "y", 0, share
    if (amplitude := noise(sr, hr, areas["flat"], protocol.regions.window)) is not None:
        yield "noise", "flat", "y", 0, amplitude
    yield "colour_shift", WHOLE, "rgb", 0, colour_shift(sr, hr)


def _motion(before: Pair, now: Pair, lpips: Lpips | None) -> Iterator[Value]:
    """What is measured on a frame of a clip and the one before."""
    truth = motion(before.hr, now.hr)
    if (error := warping_error(before.sr, now.sr, truth)) is not None:
        yield "warp", WHOLE, "rgb", 0, error
    if (ends := flow_error(before.sr, now.sr, truth)) is not None:
        yield "tof", WHOLE, "y", 0, ends
    if lpips and before.features and now.features:
        ours, theirs = map(lpips.distance, now.features, before.features)
        yield "tlpips", WHOLE, "rgb", 0, abs(ours - theirs)
