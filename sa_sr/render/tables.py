"""Stage `table`: one of the paper's Tables I-IV with our numbers, as CSV, Markdown, LaTeX and HTML.

The CSV is complete and tidy: every metric, region, space, border and subset that was measured, one value per row. The
others print one choice of them in the paper's layout: bicubic, the baseline, then one row per extractor; PSNR, SSIM,
LPIPS, what the spatially adaptive loss changes, the published value beside and, on the paper's data, the difference to
it. How it was measured stands above the cells, what explains them below.
"""

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sa_sr.errors import UserError
from sa_sr.evaluation import WHOLE
from sa_sr.files import atomic_path
from sa_sr.render.differences import Difference, Differences, of_table, read_differences, remark_on, signed
from sa_sr.render.grid import Cell, Grid, Group, write
from sa_sr.render.labels import BASELINE, BICUBIC, LPIPS_NETS, METRICS, PAPER, SPACES, SSIM_WINDOWS, Metric, label
from sa_sr.render.published import SOURCE
from sa_sr.render.spec import Quantity, TableSpec


@dataclass(frozen=True)
class Entry:
    """One row of the CSV: a quantity of one method, and what the paper has for it.

    `extractor` is "bicubic" for bicubic, which has none. `value` is the mean over seeds and `std` the sample standard
    deviation, None for one seed; `n` counts images or clips, `frames` what was measured of them, `perfect` those that
    were left out; `difference` is to the baseline `none`, with what differences.csv says of it up to `verdict`;
    `difference_to_published` is to the paper's value, on whatever data that was; `best` marks the leader of the trained
    methods at printed precision; `printed` the cells of the printed tables.
    """

    table: str
    method: str
    model: str
    extractor: str
    dataset: str
    dataset_label: str
    metric: str
    region: str
    space: str
    border: int
    subset: str
    value: float
    std: float | None
    seeds: int
    n: int
    frames: int
    perfect: int
    difference: float | None
    low: float | None
    high: float | None
    unit: str | None
    units: int | None
    p_holm: float | None
    verdict: str | None
    best: bool
    printed: bool
    published: float | None
    difference_to_published: float | None
    published_difference: float | None
    published_dataset: str | None

    @property
    def quantity(self) -> Quantity:
        return Quantity(self.metric, self.region, self.space, self.border, self.subset)


def table(
    means: Path, differences: Path, csv: Path, md: Path, tex: Path, spec: TableSpec, html: Path | None = None
) -> None:
    """Write one table in three or four formats.

    means: means.csv of `aggregate`; differences: differences.csv of `statistics`; csv, md, tex, html: files to write,
    each whole or not at all; spec: which table. Raises UserError naming the method, metric and data set where a value
    that is to be printed is missing.
    """
    compared = of_table(read_differences(differences), spec)
    entries = summarise(means, compared, spec)
    printed = {(e.extractor, e.metric): e for e in entries if e.printed}
    title = f"{label(spec.model)} with and without the spatially adaptive (SA) loss, ×4. Data: {spec.dataset_label}"
    grid = Grid(spec.name, spec.number, title, _protocol(printed, spec), spec.methods, _groups(printed, compared, spec))
    _write_csv(csv, entries)
    write(grid, md, tex, html)


def summarise(means: Path, compared: Differences, spec: TableSpec) -> list[Entry]:
    """Everything that was measured for the rows of one table, in the order of its rows and columns.

    Raises UserError where a printed value is missing.
    """
    samples = _read(means, spec)
    quantities = sorted({q for _, q in samples}, key=lambda q: (list(METRICS).index(q.metric), q))
    mean = {key: statistics.fmean(values) for key, (values, _) in samples.items()}
    leaders = {
        q: _leaders({e: mean[e, q] for e in spec.extractors if (e, q) in mean}, METRICS[q.metric]) for q in quantities
    }
    entries = []
    for extractor in spec.rows:
        for quantity in quantities:
            if (extractor, quantity) not in samples:
                continue
            values, counts = samples[extractor, quantity]
            value = mean[extractor, quantity]
            published = _published(spec, extractor, quantity)
            published_base = _published(spec, BASELINE, quantity)
            entries.append(
                Entry(
                    table=spec.name,
                    method=spec.method(extractor),
                    model=BICUBIC if extractor == BICUBIC else spec.model,
                    extractor=extractor,
                    dataset=spec.dataset,
                    dataset_label=spec.dataset_label,
                    **quantity._asdict(),
                    value=value,
                    std=statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None,
                    seeds=len(values),
                    **counts,
                    **_of(compared.get((extractor, quantity))),
                    best=extractor in leaders[quantity],
                    printed=spec.prints(quantity),
                    published=published,
                    difference_to_published=None if published is None else value - published,
                    published_difference=_published_difference(extractor, published, published_base),
                    published_dataset=spec.paper.dataset if spec.paper and published is not None else None,
                )
            )
    _check_complete(entries, means, spec)
    return entries


def _of(found: Difference | None) -> dict[str, Any]:
    """What the CSV says of a difference; bicubic and the baseline have none."""
    return {
        name: getattr(found, name, None) for name in ("difference", "low", "high", "unit", "units", "p_holm", "verdict")
    }


def _read(means: Path, spec: TableSpec) -> dict[tuple[str, Quantity], tuple[list[float], dict[str, int]]]:
    """The table's part of means.csv: (extractor or "bicubic", quantity) to the values of all seeds, and counts."""
    values, counts = defaultdict(list), {}
    try:
        with open(means, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                extractor = BICUBIC if row["method"] == BICUBIC else row["extractor"]
                ours = row["method"] == BICUBIC or row["model"] == spec.model
                if row["dataset"] == spec.dataset and ours and extractor in spec.rows and row["metric"] in METRICS:
                    quantity = Quantity.of(row)
                    values[extractor, quantity].append(float(row["value"]))
                    counts[extractor, quantity] = {name: int(row[name]) for name in ("n", "frames", "perfect")}
    except KeyError as e:
        raise UserError(f"{means}: has no column {e}; delete it and run `aggregate` again") from e
    except (OSError, ValueError, TypeError) as e:
        raise UserError(f"{means}: not a readable table of means ({e}); delete it and run `aggregate` again") from e
    return {key: (sample, counts[key]) for key, sample in values.items()}


def _check_complete(entries: list[Entry], means: Path, spec: TableSpec) -> None:
    there = {(e.extractor, e.metric): e for e in entries if e.printed}
    for extractor in spec.rows:
        for metric in PAPER:
            method = BICUBIC if extractor == BICUBIC else f"{spec.model}-{extractor}"
            how = "" if metric == "lpips" else f", space {spec.space}, border {spec.border}"
            what = f"{metric.upper()} of {method} on {spec.dataset}{how}, subset {spec.subset}"
            if (extractor, metric) not in there:
                raise UserError(
                    f"{means}: {spec.name} needs {what}, and has no such row; evaluate that method on this data set "
                    "and aggregate again"
                )
            if extractor not in (BICUBIC, BASELINE) and there[extractor, metric].verdict is None:
                raise UserError(f"differences.csv lacks {what}, which {spec.name} needs; run `statistics` again")


def _published_difference(extractor: str, value: float | None, base: float | None) -> float | None:
    """To the baseline; bicubic and the baseline itself have none."""
    return None if extractor in (BICUBIC, BASELINE) or value is None or base is None else value - base


def _leaders(values: dict[str, float], metric: Metric) -> set[str]:
    """The best at printed precision; nobody where all are equal."""
    rounded = {extractor: round(value, metric.decimals) for extractor, value in values.items()}
    if len(set(rounded.values())) < 2:
        return set()
    if metric.higher_is_better is None:
        return set()
    best = (max if metric.higher_is_better else min)(rounded.values())
    return {extractor for extractor, value in rounded.items() if value == best}


def _published(spec: TableSpec, extractor: str, quantity: Quantity) -> float | None:
    """The paper's value, beside printed cells only: it gives one per metric and not how it was measured."""
    if spec.paper is None or extractor not in spec.paper.rows or not spec.prints(quantity):
        return None
    return getattr(spec.paper.rows[extractor], quantity.metric)


def _write_csv(target: Path, entries: list[Entry]) -> None:
    """Values to six digits after the point, nothing where there is none."""
    with atomic_path(target) as temporary, open(temporary, "w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(field.name for field in fields(Entry))
        for entry in entries:
            writer.writerow(f"{v:.6f}" if isinstance(v, float) else v for v in asdict(entry).values())


def _groups(printed: dict[tuple[str, str], Entry], compared: Differences, spec: TableSpec) -> list[Group]:
    """Measured values, differences to the baseline, the paper's values: three columns each."""
    differences = {(e, quantity.metric): found for (e, quantity), found in compared.items() if spec.prints(quantity)}

    def cells(draw: Callable[[Entry, int], Cell]) -> list[list[Cell]]:
        return [
            [draw(printed[extractor, key], metric.decimals) for key, metric in PAPER.items()] for extractor in spec.rows
        ]

    def measured(entry: Entry, decimals: int) -> Cell:
        spread = "" if entry.std is None else f"± {entry.std:.{decimals}f}"
        return Cell(f"{entry.value:.{decimals}f}", small=spread, bold=entry.best)

    def difference(entry: Entry, decimals: int) -> Cell:
        found = differences.get((entry.extractor, entry.metric))
        return Cell(signed(found.difference, decimals), found.mark, found.interval(decimals)) if found else Cell()

    def published(entry: Entry, decimals: int) -> Cell:
        if entry.published is None:
            return Cell()
        ours_less = f"({signed(entry.difference_to_published, decimals)})" if spec.same_data else ""
        return Cell(f"{entry.published:.{decimals}f}", small=ours_less)

    def names(pattern: str) -> list[str]:
        return [pattern.format(metric.label, metric.arrow) for metric in PAPER.values()]

    bold = "Bold: best of the trained methods." if any(entry.best for entry in printed.values()) else ""
    groups = [Group("Measured", names("{} {}"), cells(measured), bold)]
    if differences:
        remark = f"Δ: difference to {label(spec.model)}, before rounding{remark_on(differences.values())}"
        groups.append(Group(f"Difference to {label(spec.model)}", names("Δ{}"), cells(difference), remark))
    if (paper := spec.paper) is not None:
        caution = (
            "in brackets ours less it" if spec.same_data else "on other data than ours, whose values are not comparable"
        )
        source = f"† Paper: Table {paper.number} of {SOURCE}, on {paper.dataset}, protocol not given; {caution}."
        groups.append(Group(f"Paper, {paper.dataset}", names("{}†"), cells(published), source))
    return groups


def _protocol(printed: dict[tuple[str, str], Entry], spec: TableSpec) -> str:
    """How the printed values were measured, on which frames, and over what they were averaged."""
    whole = "frames" if spec.kind == "clips" else "images"
    metrics = (
        f"PSNR (dB) and SSIM ({SSIM_WINDOWS[spec.ssim]}) on {SPACES[spec.space]}, {spec.border} pixels cut off at each "
        f"border; LPIPS ({LPIPS_NETS[spec.lpips.net]}, v{spec.lpips.version}) on RGB, whole {whole}."
    )
    return f"{metrics} {sample(printed.values(), spec)}"


def sample(entries: Iterable[Entry], spec: TableSpec, spread: bool = True) -> str:
    """The sentence on what was averaged: frames, items and seeds; spread: their standard deviation is printed, too."""
    entries = list(entries)
    counts = {entry.seeds for entry in entries if entry.extractor != BICUBIC}
    seeds = "one training seed"
    if max(counts) > 1:
        number = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
        seeds = f"mean{' ± standard deviation' if spread else ''} over {number} training seeds"
    fullest = max(entries, key=lambda entry: (entry.n, entry.frames))
    return f"{_averaging(fullest, spec)}; {seeds}.{_without_perfect(entries, spec)}"


def _without_perfect(entries: list[Entry], spec: TableSpec) -> str:
    """A sentence on the frames that are perfect, where there are any."""
    name = "image" if spec.kind == "images" else "frame"
    left = {METRICS[e.metric].label + (f" of {e.region}" if e.region != WHOLE else ""): e.perfect for e in entries}
    told = [f"{what} without {n} {name}{'s' if n > 1 else ''}" for what, n in left.items() if n]
    return f" {', '.join(told)} that a method matches exactly, where it is infinite." if told else ""


def _averaging(entry: Entry, spec: TableSpec) -> str:
    """Which frames count and over what their values are averaged."""
    if spec.kind == "images":
        return f"Mean over {entry.n} images" if entry.n > 1 else "One image"
    which = [] if spec.strides == (1,) else [f"every {' or '.join(map(_ordinal, spec.strides))}"]
    which += ["without the first and last two of a clip"] if spec.subset == "interior" else []
    taken = f"{entry.frames} frames" + (f" ({', '.join(which)})" if which else "")
    if entry.n == 1:
        return f"Mean over {taken} of one clip"
    return f"{taken} of {entry.n} clips, averaged over the frames of each clip, then over the clips"


def _ordinal(n: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st ..."""
    ending = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"
