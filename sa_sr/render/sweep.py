"""Figure `sweep`: the metrics over the values of one parameter, beside the baseline.

Every value is drawn as baseline + paired difference, with the interval of that difference. It tells the two apart where
it lies clear of the baseline's line and rests on enough to decide (docs/statistics.md); where it does not, it is pale.
The spread of the photos, which both have in common, is not in it.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from sa_sr.errors import UserError
from sa_sr.evaluation import FEWEST, WHOLE
from sa_sr.render import style
from sa_sr.render.differences import Difference, read_differences
from sa_sr.render.labels import BASELINE, METRICS, SPACES, extractor_label, label, symbol
from sa_sr.render.placing import Label, place
from sa_sr.render.published import SHARE
from sa_sr.render.spec import belongs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = ("lpips", "psnr", "ssim")
LEFT, RIGHT, HEIGHT, BELOW = 84, 14, 236, 76
"""Pixels beside, of and below a panel."""
AUTO = "auto"
DECADE = 10
"""Values that span more than this, and are positive, stand on a logarithmic axis."""
DIGIT = 11
"""Pixels of a digit at the axes."""


class SweepSpec(BaseModel):
    """What one figure shows."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    extractors: tuple[str, ...]
    """Those of the configuration, in the order of their colours."""
    model: str
    extractor: str
    key: str
    """What is varied: `beta2` or a parameter of the extractor."""
    points: tuple[tuple[str, bool | float | str], ...]
    """Variant and value, in the order of the line; that of the extractor's own name is the configured one. "auto": the
    beta2 that its calibration found."""
    dataset: str
    space: Literal["rgb", "y"]
    border: int
    subset: Literal["all", "interior"]

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers; others stand side by side."""
        return all(isinstance(value, float) or value == AUTO for _, value in self.points)


@dataclass(frozen=True)
class Point:
    """A value of the parameter: where it stands, its name, what was measured, and the share in training (%).

    The share of a training of no steps is nan.
    """

    x: float
    name: str
    configured: bool
    measured: dict[str, Difference]
    share: float

    def value(self, metric: str) -> float:
        return _drawn(self.measured[metric].value)


def figure_sweep(differences: Path, shares: Path, spec: SweepSpec, out: Path) -> None:
    """Draw LPIPS, PSNR and SSIM over the values of a parameter, and LPIPS over the share of the SA part.

    differences: differences.csv of `statistics`; shares: shares.csv; spec: which sweep; out: the figure, .png and .pdf.
    The configured value has a ring. A point without an interval is drawn alone; what is not finite is named below and
    leaves a gap. Raises UserError naming the variant that one of the tables lacks.
    """
    points = _points(differences, shares, spec)
    by_extractor = style.by_extractor(spec.extractors)
    names = {label(spec.model, e): by_extractor[e] for e in (BASELINE, spec.extractor)}
    black, colour = names.values()
    width, top = style.WIDTH // 4 - LEFT - RIGHT, 62 + style.LINE
    remarks, foot = style.foot(_remarks(points, spec))
    with style.figure(style.WIDTH, top + HEIGHT + BELOW + foot, out) as fig:
        for i, metric in enumerate(SHOWN):
            ax = style.panel(fig, i * (LEFT + width + RIGHT) + LEFT, top, width, HEIGHT)
            ax.axhline(_baseline(points, metric), color=black, linewidth=0.9, zorder=2)
            _curve(ax, metric, [point.x for point in points], points, colour)
            _values_axis(ax, points, spec)
        ax = style.panel(fig, 3 * (LEFT + width + RIGHT) + LEFT, top, width, HEIGHT)
        baseline = _baseline(points, "lpips")
        ax.axhline(baseline, color=black, linewidth=0.9, zorder=2)
        ax.plot([0], [baseline], "o", color=black, markersize=4, zorder=4)
        _over_share(ax, points, colour)
        style.key(fig, LEFT, names)
        style.footnote(fig, LEFT, remarks)


def _values_axis(ax: "Axes", points: list[Point], spec: SweepSpec) -> None:
    """The horizontal axis: the values themselves, as many as can be written without touching."""
    xs = [point.x for point in points]
    if spec.numeric and min(xs) > 0 and max(xs) > DECADE * min(xs):
        ax.set_xscale("log")
    ax.minorticks_off()
    _limits(ax, xs)
    shown = _apart(ax, points)
    ax.set_xticks(xs, [point.name if point in shown else "" for point in points])
    ax.set_xlabel(f"{extractor_label(spec.extractor)}: {symbol(spec.key, mathtext=True)}")


def _over_share(ax: "Axes", points: list[Point], colour: str) -> None:
    """LPIPS over the share, the paper's as a dotted line. The values stand at their points, bars in the first panel."""
    from matplotlib.ticker import MaxNLocator

    _curve(ax, "lpips", [point.share for point in points], points, colour, bars=False)
    shown = [point for point in points if math.isfinite(point.share + point.value("lpips"))]
    most = max([SHARE, *(point.share for point in shown)])
    ax.set_xlim(-0.06 * most, 1.15 * most)
    ax.set_xlabel("SA share of the loss (%)")
    ax.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    ax.axvline(SHARE, color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    words = {"ha": "right", "va": "bottom", "size": 7, "color": style.MUTED, "transform": ax.transAxes}
    ax.text(1, 1.015, f"dotted: {SHARE} %, paper", **words)
    at = np.array([(point.share, point.value("lpips")) for point in shown]).reshape(-1, 2)
    labels = [Label(point.name, tuple(where), colour) for point, where in zip(shown, at, strict=True)]
    lines = [at, np.array([(SHARE, y) for y in ax.get_ylim()])]
    if math.isfinite(baseline := _baseline(points, "lpips")):
        labels.append(Label("", (0, baseline), colour))
        lines.append(np.array([(x, baseline) for x in ax.get_xlim()]))
    place(ax, labels, lines)


def _curve(ax: "Axes", metric: str, xs: list[float], points: list[Point], colour: str, bars: bool = True) -> None:
    """Points joined in their order, with bars for their intervals, and a ring at the configured one."""
    from matplotlib.ticker import MaxNLocator

    values = [point.value(metric) for point in points]
    ax.plot(xs, values, "-", color=colour, linewidth=0.7, alpha=0.6, zorder=3)
    for x, value, point in zip(xs, values, points, strict=True):
        if not math.isfinite(x + value):
            continue
        one = point.measured[metric]
        if one.difference is not None and one.low is not None and one.high is not None and bars:
            alpha, cap = (1.0, 2.2) if one.decidable else (0.4, 0.0)
            reach = [[max(0, one.difference - one.low)], [max(0, one.high - one.difference)]]
            ax.errorbar(x, value, yerr=reach, color=colour, linewidth=0.9, alpha=alpha, capsize=cap)
        face, size = ("white", 6) if point.configured else (colour, 4)
        ax.plot([x], [value], "o", color=colour, markerfacecolor=face, markersize=size, zorder=4)
    ax.margins(y=0.14)
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    if not np.isfinite([_baseline(points, metric), *values]).any():
        ax.set_yticks([])  # no scale of nothing
    ax.set_title(_heading(metric), loc="left", pad=5)


def _limits(ax: "Axes", xs: list[float]) -> None:
    """Room at both ends: a tenth of the span, on whatever scale."""
    to, back = (np.log, np.exp) if ax.get_xscale() == "log" else (np.asarray, np.asarray)
    low, high = to(min(xs)), to(max(xs))
    room = 0.1 * (high - low) or 0.5
    ax.set_xlim(float(back(low - room)), float(back(high + room)))


def _apart(ax: "Axes", points: list[Point]) -> list[Point]:
    """The points whose values can be written at the axis without touching; the configured one comes first."""
    taken: list[tuple[float, float]] = []
    shown = []
    for point in sorted(points, key=lambda point: not point.configured):
        at = ax.transData.transform((point.x, 0))[0]
        half = DIGIT * (len(point.name) + 1) / 2
        if all(at + half <= low or at - half >= high for low, high in taken):
            taken.append((at - half, at + half))
            shown.append(point)
    return shown


def _heading(metric: str) -> str:
    m = METRICS[metric]
    return f"{m.label} ({m.unit}) {m.arrow}" if m.unit else f"{m.label} {m.arrow}"


def _remarks(points: list[Point], spec: SweepSpec) -> str:
    compared = [found for point in points for found in point.measured.values() if found.low is not None]
    evidence = "; ".join(dict.fromkeys(found.evidence() for found in compared))
    over = f"Bars: 95 % interval of the paired difference to {label(spec.model)} ({evidence}). " if compared else ""
    if not all(found.decidable for found in compared):
        over += f"Pale ones decide nothing, which takes {FEWEST} images, clips or seeds. "
    frames = " Without the two frames at each end of a clip." if spec.subset == "interior" else ""
    how = f"PSNR and SSIM on {SPACES[spec.space]}, border {spec.border}.{frames}"
    ring = "the configured value" if dict(spec.points)[spec.extractor] != AUTO else "calibrated (auto)"
    return f"{over}Ring: {ring}. {how}{_lacking(points, spec)}"


def _lacking(points: list[Point], spec: SweepSpec) -> str:
    """What has no place in the panels, and why."""
    sign = symbol(spec.key, mathtext=True)
    said = []
    for metric in SHOWN:
        lost = ["the baseline"] if math.isnan(_baseline(points, metric)) else []
        lost += [f"{sign} {point.name}" for point in points if math.isnan(point.value(metric))]
        said += [f"{METRICS[metric].label} of {', '.join(lost)}"] if lost else []
    untrained = [f"{sign} {point.name}" for point in points if math.isnan(point.share)]
    remark = f" Not drawn, for it is not finite: {'; '.join(said)}." if said else ""
    return remark + (f" Trained for no steps, so without a share: {', '.join(untrained)}." if untrained else "")


def _baseline(points: list[Point], metric: str) -> float:
    return _drawn(points[0].measured[metric].baseline)


def _drawn(value: float | None) -> float:
    """nan, which leaves a gap, where there is no finite number: a perfect frame has PSNR inf."""
    return value if value is not None and math.isfinite(value) else math.nan


# --- what stands in the tables ---


def _points(differences: Path, shares: Path, spec: SweepSpec) -> list[Point]:
    compared = {
        (key.extractor, key.quantity.metric): found
        for key, found in read_differences(differences).items()
        if (key.model, key.dataset, key.quantity.region) == (spec.model, spec.dataset, WHOLE)
        and belongs(key.quantity, spec)
    }
    trained = _trained(shares, spec)
    points = []
    for i, (variant, value) in enumerate(spec.points):
        measured = {metric: compared[variant, metric] for metric in SHOWN if (variant, metric) in compared}
        for table, there in ((differences, len(measured) == len(SHOWN)), (shares, variant in trained)):
            if not there:
                raise UserError(f"{table}: has no {spec.model}-{variant}, which this sweep shows; make it anew")
        beta2, share = trained[variant]
        value = beta2 if value == AUTO else value
        name = f"{value:g}" if isinstance(value, float) else str(value).lower()
        x = float(value) if spec.numeric else float(i)
        points.append(Point(x, name, variant == spec.extractor, measured, 100 * share))
    return sorted(points, key=lambda point: point.x)


def _trained(path: Path, spec: SweepSpec) -> dict[str, tuple[float, float]]:
    """beta2 and share in training of each variant, means over the seeds; nan is the share of trainings of no steps."""
    found: dict[str, list[tuple[float, float]]] = {}
    try:
        with open(path, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                if row["model"] == spec.model:
                    values = float(row["beta2"]), float(row["share_in_training"] or "nan")
                    found.setdefault(row["extractor"], []).append(values)
    except (OSError, KeyError, ValueError, TypeError) as e:
        raise UserError(f"{path}: not a readable table of shares ({e!r}); delete it and run `shares` again") from e
    return {variant: (fmean(b for b, _ in v), fmean(s for _, s in v)) for variant, v in found.items()}
