"""Training curves: the loss terms of one model's runs, the share of the SA term, discriminator and validation.

Writes `out`.png (200 dpi) and `out`.pdf, and gives the same bytes for the same input.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from math import floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sa_sr.errors import UserError
from sa_sr.render import style
from sa_sr.render.published import SHARE
from sa_sr.render.style import WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 200
"""A curve of more rows than this is averaged down to at most so many points."""

DOT = {"markersize": 4.5, "markeredgecolor": "white", "zorder": 4}

Series = dict[str, np.ndarray]


@dataclass(frozen=True)
class Curve:
    """One panel: its title, and the column of history.csv or val.csv that it draws."""

    title: str
    column: str
    dashed: str | None = None
    factor: float | None = None
    val: bool = False


CURVES = [
    Curve("Perceptual loss", "l_g_percep"),
    Curve("Pixel loss", "l_g_pix"),
    Curve("SA loss", "l_g_sa"),
    Curve("Adversarial loss", "l_g_gan"),
    Curve("SA share of the loss (%)", "sa_share", factor=100),
    Curve("Discriminator output", "d_real", dashed="d_fake", factor=1),
    Curve("Validation loss", "val_loss", val=True),
    Curve("Validation PSNR (dB)", "val_psnr", factor=1, val=True),
]


def figure_curves(histories: Mapping[str, Path], vals: Mapping[str, Path], out: Path) -> None:
    """Training curves of one model's runs: loss terms, share of the SA term, discriminator, validation.

    histories, vals: name in print to history.csv and val.csv, in the order of the colours; out: the figure, .png
    and .pdf. Terms are shown as they enter the generator loss, weighted. Above 200 rows a point is the mean over
    an equal span of steps; lines are running means over a fifteenth of the training, and a footnote says over
    how many steps. Validation points are shown as they are. A panel without data, as the SA term of a baseline
    alone, is left out. Raises UserError naming a file that cannot be read.
    """
    history = {name: _thin(_series(path)) for name, path in histories.items()}
    val = {name: _series(path) for name, path in vals.items()}
    panels = [(curve, val if curve.val else history) for curve in CURVES]
    panels = [(curve, runs) for curve, runs in panels if any(_has(run, curve) for run in runs.values())]
    if not panels:
        with style.figure(WIDTH, 4 * style.LINE, out) as fig:
            style.caption(fig, (WIDTH / 2, style.LINE), "No training steps")
        return
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    top, height, gap, left, right = 62 + style.LINE * -(-len(histories) // 4), 214, 106, 70, 12
    width = WIDTH // columns - left - right
    steps = max(run["step"][-1] for run in history.values())
    colours = dict(zip(histories, cycle(style.COLOURS), strict=False))
    with style.figure(WIDTH, top + rows * (height + gap) + 18, out) as fig:
        for i, (curve, runs) in enumerate(panels):
            row, column = divmod(i, columns)
            x, y = column * (left + width + right) + left, top + row * (height + gap)
            ax = style.panel(fig, x, y, width, height)
            _draw(ax, curve, runs, colours)
            ax.set_xlim(0, 1.02 * steps)
            if i + columns >= len(panels):
                ax.set_xlabel("Step")
        style.key(fig, left, colours)
        style.footnote(fig, left, _remarks(history, val))


def _series(path: Path) -> Series:
    """The columns of a CSV of numbers."""
    try:
        with open(path, newline="", encoding="utf-8") as f:
            head, *rows = csv.reader(f)
        values = np.array(rows, dtype=float).reshape(-1, len(head))
        return {"step": values[:, head.index("step")], **dict(zip(head, values.T, strict=True))}
    except (OSError, ValueError) as e:
        raise UserError(f"{path}: not a readable record of training ({e!r}); train this run again") from e


def _thin(series: Series) -> Series:
    """Means over equal spans of rows, at most POINTS of them; a shorter rest at the end is left out."""
    span = max(1, -(-len(series["step"]) // POINTS))
    whole = len(series["step"]) // span * span
    means = {name: values[:whole].reshape(-1, span).mean(axis=1) for name, values in series.items()}
    return means | {"step": series["step"][span - 1 : whole : span]}


def _smooth(series: Series, window: int) -> Series:
    """Running means over `window` points, an odd number, where there are as many; each stands at the middle step."""
    means = {name: np.convolve(values, np.full(window, 1 / window), "valid") for name, values in series.items()}
    return means | {"step": series["step"][window // 2 : len(series["step"]) - window // 2]}


def _window(points: int) -> int:
    """Points to smooth over: a fifteenth of a curve."""
    return points // 15 | 1


def _remarks(history: Mapping[str, Series], val: Mapping[str, Series]) -> str:
    """What the reader cannot see: how the points and lines were made, and what the dots mark."""
    run = max(history.values(), key=lambda run: run["step"][0])
    each = int(run["step"][0])  # the first point stands for all steps up to it
    window = _window(len(run["step"]))
    points = f"means over {each:,} steps" if each > 1 else "single steps"
    remarks = [f"Pale: {points}; strong: running mean over {each * window:,} steps."] if window > 1 else []
    remarks += [f"Points: {points}."] if window == 1 and each > 1 else []
    remarks += ["Dots: the weights that are kept."] if val else []
    if any(np.isinf(run.get("val_psnr", 0)).any() for run in val.values()):
        remarks.append("A gap in PSNR: it is infinite, for nothing differs.")
    return " ".join(remarks)


def _draw(ax: "Axes", curve: Curve, runs: Mapping[str, Series], colours: Mapping[str, str]) -> None:
    """One panel: a line for each run that has the column, in round units."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    runs = {name: run for name, run in runs.items() if _has(run, curve)}
    values = np.abs(np.concatenate([run[curve.column] for run in runs.values()]))
    power = floor(log10(values[np.isfinite(values)].max(initial=0) or 1))
    factor = curve.factor or (1 if -1 <= power <= 2 else 10.0**-power)
    unit = "" if curve.factor or factor == 1 else rf" ($\times10^{{{power}}}$)"
    smooth = runs if curve.val else {name: _smooth(run, _window(len(run["step"]))) for name, run in runs.items()}
    styles: dict[str, Any] = {curve.column: "-"} | ({curve.dashed: (0, (2.5, 1.5))} if curve.dashed else {})
    for column, dashes in styles.items():
        for name in runs:
            run, mean, colour = runs[name], smooth[name], colours[name]
            ax.plot(mean["step"], factor * mean[column], color=colour, linestyle=dashes, zorder=3)
            if len(mean["step"]) < len(run["step"]):
                ax.plot(run["step"], factor * run[column], color=colour, linewidth=0.5, alpha=0.25)
    for name, run in runs.items() if curve.val else ():
        kept = run["kept"].argmax()
        ax.plot(run["step"][kept], factor * run[curve.column][kept], "o", color=colours[name], **DOT)
    ax.set_title(curve.title + unit, loc="left", pad=5)
    ax.margins(y=0.1)
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    if curve.column == "sa_share":
        _paper_share(ax, _second_half(smooth, "sa_share", factor))
    if curve.dashed:
        ax.set_yticks([0, 0.5, 1])
        ax.set_ylim(-0.15, 1.15)  # room for the words
        style.note(ax, max(_second_half(smooth, curve.column)), "real")
        style.note(ax, min(_second_half(smooth, curve.dashed)), "generated (dashed)", below=True)


def _paper_share(ax: "Axes", shares: list[float]) -> None:
    """The paper's share as a dotted line, named where the curves leave room: below them, or on the line above them."""
    ax.set_ylim(0, max(ax.get_ylim()[1], 1.3 * SHARE))
    ax.axhline(SHARE, color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=5)
    if min(shares) > SHARE / 3:
        style.note(ax, 0, f"dotted: {SHARE} % in the paper")
    else:
        style.note(ax, SHARE, f"{SHARE} % in the paper")


def _second_half(runs: Mapping[str, Series], column: str, factor: float = 1) -> list[float]:
    """The right half of all lines, where the words stand."""
    return [factor * value for run in runs.values() for value in run[column][len(run[column]) // 2 :].tolist()]


def _has(run: Series, curve: Curve) -> bool:
    return bool(np.any(run.get(curve.column, 0)))
