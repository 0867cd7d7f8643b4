"""Stage `figure`: the paper's Figure 1 (edge maps), Figures 8-10 (comparisons), and the training curves.

Each function reads files, writes `out`.png (200 dpi) and `out`.pdf, and gives the same bytes for the same
input. Crops are enlarged by whole factors, nearest neighbour: a reader sees the pixels, artefacts included.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, cycle
from math import floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import uniform_filter

from sa_sr.data.resize import imresize
from sa_sr.errors import UserError
from sa_sr.evaluation import WHOLE
from sa_sr.evaluation.pictures import luma
from sa_sr.layout import frames, h5_items
from sa_sr.render import style
from sa_sr.render.labels import BICUBIC, METRICS, SPACES, label
from sa_sr.render.published import SHARE
from sa_sr.render.style import GUTTER, WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Crop = tuple[int, int, int, int]
"""x, y, width, height in HR pixels."""

Scores = dict[tuple[str, str], float]
"""(method, metric) to value."""

SCALE = 4
ZOOM = 4
"""Enlargement of crops whose size is not given."""


def figure_edge_maps(data: Path, edges: Mapping[str, Path], item: str, frame: int, out: Path) -> None:
    """Figure 1: the gray image and its edge maps, scaled by 255 as in the paper.

    data: data file; edges: name in print to edge file, in the order of the panels; item, frame: which picture
    (frames count from 0); out: the figure, .png and .pdf. A map of three channels is shown as their mean.
    Raises UserError naming a file that lacks the frame.
    """
    panels = [Panel("Gray image", luma(_frame(data, "hr", item, frame)))]
    panels += [Panel(name, _frame(path, "weight", item, frame).mean(axis=2)) for name, path in edges.items()]
    for panel, path in zip(panels[1:], edges.values(), strict=True):
        if panel.image.shape != panels[0].image.shape:
            raise UserError(f"{path}: {item} is {panel.image.shape}, in {data} {panels[0].image.shape}; make it anew")
    columns = _columns(len(panels))
    images = [_fit(np.rint(panel.image).astype(np.uint8), style.share(columns), WIDTH) for panel in panels]
    height, width = images[0].shape
    grid = Grid(columns, len(panels), width, height, lines=1)
    with style.figure(*grid.size, out) as fig:
        for i, (panel, image) in enumerate(zip(panels, images, strict=True)):
            style.picture(fig, image, *grid.at(i))
            style.caption(fig, grid.below(i), f"({chr(ord('a') + i)}) {panel.name}")


def figure_comparison(
    data: Path,
    sr_files: Mapping[str, Path],
    item: str,
    frame: int,
    out: Path,
    crop: Crop | None = None,
    scores: Path | None = None,
    space: str = "rgb",
    border: int = 4,
) -> None:
    """Figures 8-10: the whole ground truth with a window marked, then the window in it and in each result.

    data: data file; sr_files: name in print to sr file (results/<config>/images/<method>/<dataset>.h5), in the
    order of the panels, "Bicubic" included; item, frame: which picture (frames count from 0); out: the figure,
    .png and .pdf; crop: the window, None for the one that `choose_crop` finds; scores: frames.csv of
    `aggregate`, to print the frame's PSNR (channels `space`, `border` pixels cut off) and LPIPS under each
    result. Where the panels leave one place free, the LR input takes it.
    Raises UserError where a file lacks the frame or its scores, or the crop does not fit.
    """
    truth = _frame(data, "hr", item, frame)
    results = {name: _frame(path, "sr", item, frame) for name, path in sr_files.items()}
    for name, result in results.items():
        if result.shape != truth.shape:
            raise UserError(f"{sr_files[name]}: {item} is {result.shape}, in {data} {truth.shape}; make it anew")
    columns = _columns(len(results) + 2)
    room = style.share(columns)
    x, y, w, h = crop = crop or choose_crop(truth, _trained(results), _shape(truth, room // ZOOM))
    if min(x, y) < 0 or min(w, h) < 1 or x + w > truth.shape[1] or y + h > truth.shape[0] or w > room:
        size = f"{truth.shape[1]}x{truth.shape[0]}"
        raise UserError(
            f"crop {list(crop)} (x, y, width, height) does not lie in the {size} pixels of {item} of {data}, "
            f"or is wider than the {room} pixels of a panel"
        )

    panels = [Panel("Ground truth", truth)]
    if (len(results) + 2) % columns == columns - 1:
        panels.append(Panel("LR input", _enlarge(_frame(data, "lr", item, frame), SCALE)))
    read = _scores(scores, data.stem, item, frame, space, border) if scores else {}
    panels += [Panel(name, results[name], _note(read, path, scores)) for name, path in sr_files.items()]

    zoom = max(1, room // w)
    grid = Grid(columns, len(panels) + 1, w * zoom, h * zoom, lines=2 if scores else 1)
    width, height = grid.size
    with style.figure(width, height + (style.FOOT if scores else 0), out) as fig:
        if scores:
            style.footnote(
                fig, 0, f"Of the whole picture; PSNR on {SPACES[space]}, {border} pixels cut off at each border."
            )
        whole = _fit(truth, grid.width, grid.height)
        left, top = (grid.width - whole.shape[1]) // 2, grid.height - whole.shape[0]  # on its caption
        style.mark(style.picture(fig, whole, left, top), crop, whole.shape[1] / truth.shape[1])
        style.caption(fig, grid.below(0), _title(data, item, frame))
        for i, panel in enumerate(panels, start=1):
            style.picture(fig, _enlarge(panel.image[y : y + h, x : x + w], zoom), *grid.at(i))
            style.caption(fig, grid.below(i), panel.name, panel.note)


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


def choose_crop(truth: np.ndarray, results: Sequence[np.ndarray], size: tuple[int, int]) -> Crop:
    """The window that shows most: where the ground truth has detail and the results disagree about it.

    truth, results: uint8 (H, W, 3); size: width and height of the window, at most the picture's. A pixel's
    interest is the local standard deviation of the ground truth times the mean difference between the results
    (with fewer than two of them, the deviation alone). The window with the largest sum wins, among those on a
    grid of 4 pixels and, where there is room, 8 pixels inside the border. No result is favoured.
    """
    gray = luma(truth)
    interest = np.sqrt(np.maximum(uniform_filter(gray**2, 7) - uniform_filter(gray, 7) ** 2, 0))
    differences = [np.abs(a - b) for a, b in combinations(map(luma, results), 2)]
    if differences:
        interest *= np.mean(differences, axis=0)
    w, h = size
    integral = np.pad(interest, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    sums = integral[h:, w:] - integral[:-h, w:] - integral[h:, :-w] + integral[:-h, :-w]
    top, left = (8 if side > 16 else 0 for side in sums.shape)
    inner = sums[top : sums.shape[0] - top : SCALE, left : sums.shape[1] - left : SCALE]
    row, column = np.unravel_index(inner.argmax(), inner.shape)
    return left + SCALE * int(column), top + SCALE * int(row), w, h


# --- the grid of panels ---


@dataclass(frozen=True)
class Panel:
    """An image, what stands under it, and a second line in gray."""

    name: str
    image: np.ndarray
    note: str = ""


@dataclass(frozen=True)
class Grid:
    """Equal panels in rows, `lines` of caption under each; all in pixels, from the top left corner."""

    columns: int
    count: int
    width: int
    height: int
    lines: int

    @property
    def pitch(self) -> tuple[int, int]:
        return self.width + GUTTER, self.height + style.CAPTION + self.lines * style.LINE + GUTTER

    @property
    def size(self) -> tuple[int, int]:
        rows = -(-self.count // self.columns)
        return self.columns * self.pitch[0] - GUTTER, rows * self.pitch[1] - GUTTER

    def at(self, i: int) -> tuple[int, int]:
        return i % self.columns * self.pitch[0], i // self.columns * self.pitch[1]

    def below(self, i: int) -> tuple[float, float]:
        x, y = self.at(i)
        return x + self.width / 2, y + self.height + style.CAPTION


def _columns(panels: int) -> int:
    """Three columns where they come out even, or but for one; else four."""
    return min(panels, 3 if panels % 3 == 0 or panels == 5 else 4)


def _shape(truth: np.ndarray, width: int) -> tuple[int, int]:
    """A window of the picture's own shape, so that both fill their panels."""
    height, whole = truth.shape[:2]
    width = min(width, whole)
    return width, round(width * height / whole)


def _fit(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """The image resampled (bicubic, antialiased) to fit in the size; where the shapes are within 1 %, to fill it."""
    scales = width / image.shape[1], height / image.shape[0]
    scale = max(scales) if max(scales) < 1.01 * min(scales) else min(scales)
    return imresize(image, scale)[:height, :width]


def _enlarge(image: np.ndarray, factor: int) -> np.ndarray:
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


# --- what stands in the files ---


def _frame(path: Path, group: str, item: str, frame: int) -> np.ndarray:
    """One frame (H, W, C)."""
    with h5_items(path, group) as f:
        clip = frames(f, path, group, item)
        if not 0 <= frame < len(clip):
            raise UserError(f"{path}: {group}/{item} has no frame {frame}; it has {len(clip)}, counted from 0")
        return np.asarray(clip[frame])


def _title(data: Path, item: str, frame: int) -> str:
    with h5_items(data, "hr") as f:
        return item if len(frames(f, data, "hr", item)) == 1 else f"{item}, frame {frame}"


def _trained(results: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [result for name, result in results.items() if name != label(BICUBIC)]


def _scores(path: Path, dataset: str, item: str, frame: int, space: str, border: int) -> Scores:
    """The PSNR and LPIPS of one frame by every method."""
    wanted = {("psnr", WHOLE, space, border), ("lpips", WHOLE, "rgb", 0)}
    try:
        with open(path, newline="", encoding="utf-8") as f:
            return {
                (row["method"], row["metric"]): float(row["value"])
                for row in csv.DictReader(f)
                if (row["dataset"], row["item"], int(row["frame"])) == (dataset, item, frame)
                and (row["metric"], row["region"], row["space"], int(row["border"])) in wanted
            }
    except (OSError, KeyError, ValueError, TypeError) as e:
        raise UserError(f"{path}: not a readable table of scores ({e!r}); run `aggregate` again") from e


def _note(scores: Scores, sr_file: Path, source: Path | None) -> str:
    """ "PSNR 28.31 dB, LPIPS 0.1234" of the method whose folder the sr file lies in; nothing without a source."""
    if source is None:
        return ""
    method = sr_file.parent.name
    for metric in ("psnr", "lpips"):
        if (method, metric) not in scores:
            raise UserError(f"{source}: has no {metric} of {method} for this frame; evaluate and aggregate again")
    psnr, lpips = METRICS["psnr"], METRICS["lpips"]
    return (
        f"{psnr.label} {scores[method, 'psnr']:.{psnr.decimals}f} {psnr.unit}, "
        f"{lpips.label} {scores[method, 'lpips']:.{lpips.decimals}f}"
    )


# --- training curves ---

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
