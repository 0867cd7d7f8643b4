"""Figure `plane`: every method on the perception-distortion plane, LPIPS over PSNR.

A better picture lies to the lower right; where no method reaches further, one can be had only for the other.
Source: Blau, Michaeli, The Perception-Distortion Tradeoff, 2018.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from sa_sr.errors import UserError
from sa_sr.render import style
from sa_sr.render.labels import BASELINE, BICUBIC, EXTRACTORS, METRICS, SPACES, extractor_label, label, setting
from sa_sr.render.placing import Label, place

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS, LEFT, RIGHT, ABOVE, BELOW = 3, 84, 20, 76, 88
"""Panels in a row; pixels beside, above and below a panel."""
HEIGHT = 330, 480
"""Of a panel, in pixels: three to a row, and one alone."""
ROOM = 0.16
"""Room around the trained methods, of their span."""
LEAST = {"psnr": 0.05, "lpips": 0.002}
"""Half of the least span of an axis."""
TITLE = 36
"""Letters of a title that fit above a panel."""
FAR = 0.7
"""How far bicubic may lie outside of the trained methods, in their spans; beyond it is drawn at the edge."""


class Shown(BaseModel):
    """One panel."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str
    dataset: str
    space: Literal["rgb", "y"]
    border: int
    subset: Literal["all", "interior"]
    lines: tuple[tuple[str, ...], ...] = ()
    """The variants of each sweep in the order of their values."""


class PlaneSpec(BaseModel):
    """What the figure shows."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    extractors: tuple[str, ...]
    """Those of the configuration, in the order of their colours."""
    panels: tuple[Shown, ...]


@dataclass(frozen=True)
class Method:
    """Bicubic or a variant: PSNR and LPIPS of each of its seeds."""

    extractor: str
    seeds: tuple[tuple[float, float], ...]

    @property
    def mean(self) -> tuple[float, float]:
        return fmean(psnr for psnr, _ in self.seeds), fmean(lpips for _, lpips in self.seeds)

    @property
    def own(self) -> str:
        """The extractor that it is a variant of."""
        return self.extractor.partition(".")[0]

    @property
    def name(self) -> str:
        """What stands beside its point."""
        if self.extractor in (BICUBIC, BASELINE):
            return label(BICUBIC) if self.extractor == BICUBIC else "baseline"
        short = EXTRACTORS.get(self.extractor, self.extractor)
        return setting(self.extractor, mathtext=True) if self.varied else short

    @property
    def described(self) -> str:
        """Its name where it stands apart from its colour: with the extractor that it is a variant of."""
        return f"{EXTRACTORS.get(self.own, self.own)} {self.name}" if self.varied else self.name

    @property
    def finite(self) -> bool:
        """Whether it has a place: a perfect frame has PSNR inf, and so have the means over it."""
        return bool(np.isfinite(self.seeds).all())

    @property
    def varied(self) -> bool:
        """Whether a sweep made it."""
        return "." in self.extractor


def figure_plane(means: Path, spec: PlaneSpec, out: Path) -> None:
    """Draw a panel for each model and data set: bicubic and every variant as points, those of a sweep joined.

    means: means.csv of `aggregate`; spec: which panels; out: the figure, .png and .pdf. A point is the mean over the
    seeds, small dots are single seeds. Bicubic is drawn at the edge where its place would squeeze all others together.
    A method whose mean is not finite has no place, and is named below. Raises UserError naming the model and data set
    of which means.csv has nothing.
    """
    rows = _rows(means)
    measured = [(shown, _methods(rows, shown, means)) for shown in spec.panels]
    panels = [(shown, [method for method in methods if method.finite]) for shown, methods in measured]
    drawn = [method for _, methods in panels for method in methods]
    remarks, foot = style.foot(" ".join([*_remarks(drawn), *_lacking(measured)]))
    colours = style.by_extractor(spec.extractors)
    columns = min(COLUMNS, len(panels))
    width, height = style.WIDTH // columns - LEFT - RIGHT, HEIGHT[columns == 1]
    lines = -(-len(panels) // columns)
    pitch, top = ABOVE + height + BELOW, style.LINE * -(-(len(colours) + 1) // 4)
    with style.figure(style.WIDTH, top + lines * pitch + foot - 16, out) as fig:
        for i, (shown, methods) in enumerate(panels):
            row, column = divmod(i, columns)
            left = column * (LEFT + width + RIGHT) + LEFT
            ax = style.panel(fig, left, top + row * pitch + ABOVE, width, height)
            _draw(ax, shown, methods, colours)
        names = {extractor_label(e) if e != BASELINE else "Baseline": colour for e, colour in colours.items()}
        style.key(fig, LEFT, {label(BICUBIC): style.MUTED} | names)
        style.footnote(fig, LEFT, remarks)


def _draw(ax: "Axes", shown: Shown, methods: list[Method], colours: dict[str, str]) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    if methods:
        _points(ax, shown, methods, colours)
    else:
        ax.set(xticks=[], yticks=[])
        words = "no method\nwith finite PSNR and LPIPS"
        ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", va="center", size=7, color=style.MUTED)
    ax.set_title(_short(f"{label(shown.model)}, {shown.dataset}"), loc="left", pad=17)
    upright = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "baseline", "size": 8}
    ax.annotate(f"{METRICS['lpips'].label} {METRICS['lpips'].arrow}", (0, 1), (0, 5), **upright)
    psnr = METRICS["psnr"]
    frames = ", interior" if shown.subset == "interior" else ""
    ax.set_xlabel(f"{psnr.label} ({psnr.unit}) {psnr.arrow}, {SPACES[shown.space]}, border {shown.border}{frames}")


def _points(ax: "Axes", shown: Shown, methods: list[Method], colours: dict[str, str]) -> None:
    trained = [method for method in methods if method.extractor != BICUBIC]
    at = {method.extractor: method.mean for method in trained}
    _limits(ax, methods)
    lines = []
    for names in shown.lines:
        line = np.array([at[variant] for variant in names if variant in at]).reshape(-1, 2)
        ax.plot(*line.T, color=colours[names[0].partition(".")[0]], linewidth=0.6, alpha=0.6, zorder=2)
        lines.append(line)
    labels = []
    for method in trained:
        colour = colours[method.own]
        if len(method.seeds) > 1:
            ax.plot(*np.array(method.seeds).T, "o", color=colour, markersize=2, alpha=0.45, linewidth=0, zorder=3)
        marker = {"marker": "s" if method.extractor == BASELINE else "o", "markersize": 3.4 if method.varied else 5}
        ax.plot(*method.mean, color=colour, markeredgecolor="white", markeredgewidth=0.5, zorder=4, **marker)
        labels.append(Label(method.name, method.mean, colour))
    ax.text(0.985, 0.02, "better ↘", transform=ax.transAxes, ha="right", va="bottom", size=7, color=style.MUTED)
    for method in methods:
        if method.extractor == BICUBIC:
            labels.append(_bicubic(ax, method))
    place(ax, labels, lines)


def _short(title: str) -> str:
    """What is wider than a panel is cut."""
    return title if len(title) <= TITLE else f"{title[: TITLE - 1]}…"


def _limits(ax: "Axes", methods: list[Method]) -> None:
    """Around the trained methods, where there are any, and bicubic where it is not far from them."""
    trained = [method for method in methods if method.extractor != BICUBIC] or methods
    around = np.array([seed for method in trained for seed in (*method.seeds, method.mean)])
    low, high = around.min(axis=0), around.max(axis=0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, list(LEAST.values()))
    low, high = middle - half, middle + half
    for method in methods:
        reach = np.array(method.mean)
        if method.extractor == BICUBIC and (np.maximum(low - reach, reach - high) <= FAR * (high - low)).all():
            low, high = np.minimum(low, reach), np.maximum(high, reach)
    room = ROOM * (high - low)
    ax.set_xlim(low[0] - room[0], high[0] + room[0])
    ax.set_ylim(low[1] - room[1], high[1] + room[1])


def _bicubic(ax: "Axes", method: Method) -> Label:
    """A diamond, or at the edge an arrow to where it would lie, with its values."""
    to, back = ax.transLimits.transform, ax.transLimits.inverted().transform
    there = to(method.mean)
    edge = np.clip(there, 0.06, 0.94)
    if (edge == there).all():
        ax.plot(*method.mean, "D", color=style.MUTED, markersize=4, zorder=4)
        return Label(method.name, method.mean, style.MUTED)
    towards = np.sign(there - edge) * 0.055
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": style.MUTED, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0}
    ax.annotate(
        "", tuple(back(edge + towards)), tuple(back(edge - towards / 2)), arrowprops={**arrow, "mutation_scale": 7}
    )
    psnr, lpips = method.mean
    values = f"{psnr:.{METRICS['psnr'].decimals}f} {METRICS['psnr'].unit}, {lpips:.{METRICS['lpips'].decimals}f}"
    return Label(f"{method.name} ({values})", tuple(back(edge)), style.MUTED)


def _remarks(methods: list[Method]) -> list[str]:
    remarks = ["Larger points: the configuration's own methods."]
    if any(method.varied for method in methods):
        remarks = ["Large points: the configuration's own methods; small ones: sweeps, joined in the order of values."]
    if any(len(method.seeds) > 1 for method in methods):
        remarks.append("Points are means over the seeds, which are the dots.")
    return remarks


def _lacking(panels: list[tuple[Shown, list[Method]]]) -> list[str]:
    """What has no place in the panels, and why."""
    said = []
    for shown, methods in panels:
        if lost := [method.described for method in methods if not method.finite]:
            said.append(f"{label(shown.model)}, {shown.dataset}: {', '.join(lost)}")
    return [f"Not drawn, for PSNR or LPIPS is not finite: {'; '.join(said)}."] if said else []


# --- what stands in the table ---


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, newline="", encoding="utf-8") as f:
            return list(csv.DictReader(f))
    except (OSError, ValueError) as e:
        raise UserError(f"{path}: can't be read ({e}); delete it and run `aggregate` again") from e


def _methods(rows: list[dict[str, str]], shown: Shown, path: Path) -> list[Method]:
    """Bicubic and all variants of which both metrics were measured so, finite or not, in the order of the table."""
    wanted = {("psnr", shown.space, shown.border): "psnr", ("lpips", "rgb", 0): "lpips"}
    found: dict[str, dict[tuple[str, str], float]] = {}
    try:
        for row in rows:
            quantity = wanted.get((row["metric"], row["space"], int(row["border"])))
            there = row["dataset"] == shown.dataset and row["subset"] == shown.subset and row["model"]
            if quantity and row["region"] == "all" and there in (BICUBIC, shown.model):
                extractor = BICUBIC if there == BICUBIC else row["extractor"]
                found.setdefault(extractor, {})[row["seed"], quantity] = float(row["value"])
    except (KeyError, ValueError, TypeError) as e:
        raise UserError(f"{path}: not a readable table of means ({e!r}); delete it and run `aggregate` again") from e
    methods = []
    for extractor, values in found.items():
        seeds = dict.fromkeys(seed for seed, _ in values)
        pairs = [(values[s, "psnr"], values[s, "lpips"]) for s in seeds if {(s, "psnr"), (s, "lpips")} <= values.keys()]
        if pairs:
            methods.append(Method(extractor, tuple(pairs)))
    if not any(method.extractor != BICUBIC for method in methods):
        how = f"space {shown.space}, border {shown.border}, subset {shown.subset}"
        raise UserError(
            f"{path}: has no PSNR ({how}) with LPIPS of {shown.model} on {shown.dataset}; evaluate and aggregate again"
        )
    return methods
