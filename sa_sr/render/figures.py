"""Figures of pictures: the paper's Figure 1 (edge maps) and Figures 8-10 (comparisons).

Each function reads files, writes `out`.png (200 dpi) and `out`.pdf, and gives the same bytes for the same
input. Crops are enlarged by whole factors, nearest neighbour: a reader sees the pixels, artefacts included.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter

from sa_sr.data.resize import imresize
from sa_sr.errors import UserError
from sa_sr.evaluation import WHOLE
from sa_sr.evaluation.pictures import luma
from sa_sr.layout import frames, h5_items
from sa_sr.render import style
from sa_sr.render.labels import BICUBIC, METRICS, SPACES, label
from sa_sr.render.style import GUTTER, WIDTH

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
