"""Stage `table`: one of the paper's Tables I-IV with our numbers, as CSV, Markdown and LaTeX.

The CSV is complete and tidy: every metric, space, border and subset that was measured, one value per row. The
other two print one choice of them in the paper's layout: bicubic, the baseline, then one row per extractor; PSNR,
SSIM, LPIPS, what the spatially adaptive loss changes, and the published value beside.
"""

import csv
import statistics
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from html import escape as escape_html
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from sa_sr.errors import UserError
from sa_sr.render.labels import BASELINE, BICUBIC, METRICS, SPACES, Metric, label
from sa_sr.render.published import PUBLISHED, SOURCE, PublishedTable
from sa_sr.storage import atomic_path, write_text

SSIM, LPIPS = "11 × 11 Gaussian window, σ = 1.5", "AlexNet, v0.1"
"""How sa_sr.evaluation.metrics measures."""


class TableSpec(BaseModel):
    """What one table shows, and the facts of the protocol that its caption states."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    """Name of the table, "table1" ...: LaTeX label and, where it is one of the paper's, its number."""
    model: str
    dataset: str
    """Name of the data set in means.csv."""
    dataset_label: str
    """The data set's name in print, honest about what it is: "City scene B (stands in for Vid4)"."""
    extractors: tuple[str, ...] = (BASELINE, "local_variance", "canny")
    """The rows below bicubic, in this order; differences refer to `none`."""
    space: Literal["rgb", "y"] = "rgb"
    """Channels of the printed PSNR and SSIM."""
    border: int = 4
    """Pixels cut off at each side before the printed PSNR and SSIM."""
    subset: Literal["all", "interior"] = "all"
    """`interior`: without the first and last two frames of each clip."""
    published: str | None = None
    """The paper's table to print beside ours."""
    kind: Literal["images", "clips"] = "clips"
    """What the data set holds."""

    @property
    def rows(self) -> tuple[str, ...]:
        return (BICUBIC, *self.extractors)

    @property
    def paper(self) -> PublishedTable | None:
        if self.published is None:
            return None
        if self.published not in PUBLISHED:
            there = ", ".join(PUBLISHED)
            raise UserError(f"tables.{self.name}.published: the paper has no {self.published!r}, only {there}")
        return PUBLISHED[self.published]

    def prints(self, quantity: "Quantity") -> bool:
        """Whether the table shows it; LPIPS is always of whole RGB frames."""
        measured_so = quantity.metric == "lpips" or (quantity.space, quantity.border) == (
            self.space,
            self.border,
        )
        return measured_so and quantity.subset == self.subset


class Quantity(NamedTuple):
    """What was measured: a metric on some channels, without some border, over some frames."""

    metric: str
    space: str
    border: int
    subset: str


@dataclass(frozen=True)
class Entry:
    """One row of the CSV: a quantity of one method, and what the paper has for it.

    `extractor` is "bicubic" for bicubic, which has none. `value` is the mean over seeds and `std` the sample standard
    deviation, None for one seed; `n` counts images or clips; `difference` is to the baseline `none`; `best` marks
    the leader of the trained methods at printed precision; `printed` the cells of the Markdown and LaTeX table.
    """

    table: str
    method: str
    model: str
    extractor: str
    dataset: str
    dataset_label: str
    metric: str
    space: str
    border: int
    subset: str
    value: float
    std: float | None
    seeds: int
    n: int
    difference: float | None
    best: bool
    printed: bool
    published: float | None
    published_difference: float | None
    published_dataset: str | None


def table(means: Path, csv: Path, md: Path, tex: Path, spec: TableSpec, html: Path | None = None) -> None:
    """Write one table in three or four formats.

    means: means.csv of `aggregate`; csv, md, tex, html: files to write, each whole or not at all; spec: which table.
    Raises UserError naming the method, metric and data set where means.csv lacks a value that is to be printed.
    """
    entries = summarise(means, spec)
    printed = {(e.extractor, e.metric): e for e in entries if e.printed}
    groups = _groups(printed, spec)
    _write_csv(csv, entries)
    write_text(md, _markdown(groups, spec, _notes(printed, spec, mark="† ")))
    write_text(tex, _latex(groups, spec, _notes(printed, spec)))
    if html is not None:
        write_text(html, _html(groups, spec, _notes(printed, spec)))


def summarise(means: Path, spec: TableSpec) -> list[Entry]:
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
            values, n = samples[extractor, quantity]
            value, base = mean[extractor, quantity], mean.get((BASELINE, quantity))
            published = _published(spec, extractor, quantity)
            published_base = _published(spec, BASELINE, quantity)
            entries.append(
                Entry(
                    table=spec.name,
                    method=_method(spec, extractor),
                    model=BICUBIC if extractor == BICUBIC else spec.model,
                    extractor=extractor,
                    dataset=spec.dataset,
                    dataset_label=spec.dataset_label,
                    **quantity._asdict(),
                    value=value,
                    std=statistics.stdev(values) if len(values) > 1 else None,
                    seeds=len(values),
                    n=n,
                    difference=_difference(extractor, value, base),
                    best=extractor in leaders[quantity],
                    printed=spec.prints(quantity),
                    published=published,
                    published_difference=_difference(extractor, published, published_base),
                    published_dataset=spec.paper.dataset if spec.paper and published is not None else None,
                )
            )
    _check_complete(entries, means, spec)
    return entries


def _method(spec: TableSpec, extractor: str) -> str:
    return label(BICUBIC) if extractor == BICUBIC else label(spec.model, extractor)


def _read(means: Path, spec: TableSpec) -> dict[tuple[str, Quantity], tuple[list[float], int]]:
    """The table's part of means.csv: (extractor or "bicubic", quantity) to the values of all seeds, and n."""
    values, counts = defaultdict(list), {}
    try:
        with open(means, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                extractor = BICUBIC if row["method"] == BICUBIC else row["extractor"]
                ours = row["method"] == BICUBIC or row["model"] == spec.model
                if row["dataset"] == spec.dataset and ours and extractor in spec.rows and row["metric"] in METRICS:
                    quantity = Quantity(row["metric"], row["space"], int(row["border"]), row["subset"])
                    values[extractor, quantity].append(float(row["value"]))
                    counts[extractor, quantity] = int(row["n"])
    except KeyError as e:
        raise UserError(f"{means}: has no column {e}; delete it and run `aggregate` again") from e
    except (OSError, ValueError, TypeError) as e:
        raise UserError(f"{means}: not a readable table of means ({e}); delete it and run `aggregate` again") from e
    return {key: (sample, counts[key]) for key, sample in values.items()}


def _check_complete(entries: list[Entry], means: Path, spec: TableSpec) -> None:
    there = {(e.extractor, e.metric) for e in entries if e.printed}
    for extractor in spec.rows:
        for metric in METRICS:
            if (extractor, metric) not in there:
                method = BICUBIC if extractor == BICUBIC else f"{spec.model}-{extractor}"
                how = "" if metric == "lpips" else f", space {spec.space}, border {spec.border}"
                raise UserError(
                    f"{means}: {spec.name} needs {metric.upper()} of {method} on {spec.dataset}{how}, subset "
                    f"{spec.subset}, and has no such row; evaluate that method on this data set and aggregate again"
                )


def _difference(extractor: str, value: float | None, base: float | None) -> float | None:
    """To the baseline; bicubic and the baseline itself have none."""
    return None if extractor in (BICUBIC, BASELINE) or value is None or base is None else value - base


def _leaders(values: dict[str, float], metric: Metric) -> set[str]:
    """The best at printed precision; nobody where all are equal."""
    rounded = {extractor: round(value, metric.decimals) for extractor, value in values.items()}
    if len(set(rounded.values())) < 2:
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


# --- the printed table ---


@dataclass(frozen=True)
class Cell:
    """One printed cell, Unicode: a number, perhaps in bold, and what follows it."""

    number: str = ""
    spread: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Group:
    """Neighbouring columns under one heading: names, the mark that stands for the heading, cells by row."""

    heading: str
    columns: list[str]
    mark: str
    rows: list[list[Cell]]


def _groups(printed: dict[tuple[str, str], Entry], spec: TableSpec) -> list[Group]:
    """Measured values, differences to the baseline, and the paper's values: three columns each."""

    def cells(draw: Callable[[Entry, int], Cell]) -> list[list[Cell]]:
        return [
            [draw(printed[extractor, key], metric.decimals) for key, metric in METRICS.items()]
            for extractor in spec.rows
        ]

    def measured(entry: Entry, decimals: int) -> Cell:
        spread = "" if entry.std is None else f" ± {entry.std:.{decimals}f}"
        return Cell(f"{entry.value:.{decimals}f}", spread, entry.best)

    def difference(entry: Entry, decimals: int) -> Cell:
        return Cell("" if entry.difference is None else _signed(entry.difference, decimals))

    def published(entry: Entry, decimals: int) -> Cell:
        return Cell("" if entry.published is None else f"{entry.published:.{decimals}f}")

    names = [metric.label for metric in METRICS.values()]
    arrows = [f"{metric.label} {metric.arrow}" for metric in METRICS.values()]
    groups = [Group("Measured", arrows, "", cells(measured))]
    if any(entry.difference is not None for entry in printed.values()):
        groups.append(
            Group(f"Difference to {label(spec.model)}", [f"Δ{name}" for name in names], "", cells(difference))
        )
    if spec.paper is not None:
        groups.append(Group(f"Paper, {spec.paper.dataset}", names, "†", cells(published)))
    return groups


def _signed(value: float, decimals: int) -> str:
    """ "+0.12", "−0.0004" with a true minus sign, "0.00" without one."""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def _title(spec: TableSpec) -> str:
    return f"{label(spec.model)} with and without the spatially adaptive (SA) loss, ×4. Data: {spec.dataset_label}"


def _heading(spec: TableSpec) -> str:
    """The title with the paper's number; LaTeX counts for itself."""
    return f"Table {PUBLISHED[spec.published].number}. {_title(spec)}" if spec.published in PUBLISHED else _title(spec)


def _notes(printed: dict[tuple[str, str], Entry], spec: TableSpec, mark: str = "") -> str:
    """What was measured, how, and what stands beside it."""
    whole = "frames" if spec.kind == "clips" else "images"
    notes = [
        f"PSNR (dB) and SSIM ({SSIM}) on {SPACES[spec.space]}, {spec.border} pixels cut off at each border; LPIPS "
        f"({LPIPS}) on RGB, whole {whole}.",
        _averaging(printed, spec),
    ]
    if any(entry.best for entry in printed.values()):
        notes.append("Bold: best of the trained methods.")
    if spec.paper is not None:
        paper = f"{mark}Paper: Table {spec.paper.number} of {SOURCE}, on {spec.paper.dataset}, protocol not given"
        if spec.paper.dataset.lower() != spec.dataset.lower():
            paper += "; not the data measured here, so compare the differences rather than the values"
        notes.append(paper + ".")
    return " ".join(notes)


def _averaging(printed: dict[tuple[str, str], Entry], spec: TableSpec) -> str:
    n = printed[BICUBIC, "psnr"].n
    if spec.kind == "images":
        parts = [f"Mean over {n} images" if n > 1 else "One image"]
    else:
        parts = [
            (f"Mean over the frames of each clip, then over {n} clips" if n > 1 else "Mean over the frames of one clip")
        ]
        if spec.subset == "interior":
            parts.append("the first and last two frames of a clip are left out")
    seeds = sorted({entry.seeds for entry in printed.values() if entry.extractor != BICUBIC})
    if seeds[-1] > 1:
        count = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        parts.append(f"mean ± standard deviation over {count} training seeds")
    return "; ".join(parts) + "."


def _markdown(groups: list[Group], spec: TableSpec, notes: str) -> str:
    """A pipe table whose source is aligned too, so that it reads well in a terminal."""

    def text(cell: Cell) -> str:
        return (f"**{cell.number}**" if cell.bold else cell.number) + cell.spread

    grid = [["Method", *(column + group.mark for group in groups for column in group.columns)]]
    for i, extractor in enumerate(spec.rows):
        grid.append([_method(spec, extractor), *(text(cell) for group in groups for cell in group.rows[i])])
    first, *others = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = []
    for method, *numbers in grid:
        lines.append(f"| {' | '.join([method.ljust(first), *map(str.rjust, numbers, others)])} |")
    lines.insert(1, "|".join(["", f":{'-' * (first + 1)}", *(f"{'-' * (width + 1)}:" for width in others), ""]))
    note = textwrap.fill(notes, width=min(120, len(lines[0])), break_on_hyphens=False)
    return "\n".join([f"### {_heading(spec)}", "", *lines, "", note, ""])


HTML = """<!doctype html>
<meta charset="utf-8">
<title>{name}</title>
<style>
  body {{ margin: 1.5em; font: 15px/1.45 Georgia, "Times New Roman", serif; color: #1a1a1a; background: white }}
  table {{ border-collapse: collapse; border: solid #1a1a1a; border-width: 1.5px 0 }}
  caption, p {{ text-align: left; max-width: 52em }}
  caption {{ font-weight: bold; padding-bottom: .6em }}
  th, td {{ padding: .15em .7em; text-align: right; font-weight: normal }}
  td {{ white-space: nowrap; font-variant-numeric: tabular-nums }}
  th:first-child, td:first-child {{ text-align: left }}
  thead tr:last-child > * {{ border-bottom: 1px solid #1a1a1a }}
  th[colspan] {{ text-align: center; border-bottom: 1px solid #c8c8c8 }}
  p {{ color: #6b6b6b; font-size: 13px }}
</style>
<table>
<caption>{title}</caption>
<thead>
{head}
</thead>
<tbody>
{body}
</tbody>
</table>
<p>{notes}</p>
"""


def _html(groups: list[Group], spec: TableSpec, notes: str) -> str:
    """A page of its own, for a browser and for the report."""

    def cells(texts: Iterable[str], tag: str = "td") -> str:
        return "<tr>" + "".join(f"<{tag}>{text}</{tag}>" for text in texts) + "</tr>"

    def text(cell: Cell) -> str:
        return (f"<b>{cell.number}</b>" if cell.bold else cell.number) + cell.spread

    headings = "".join(f'<th colspan="{len(group.columns)}">{escape_html(group.heading)}</th>' for group in groups)
    names = ["Method", *(column for group in groups for column in group.columns)]
    body = [
        cells([escape_html(_method(spec, extractor)), *(text(cell) for group in groups for cell in group.rows[i])])
        for i, extractor in enumerate(spec.rows)
    ]
    return HTML.format(
        name=spec.name,
        title=escape_html(_heading(spec)),
        head=f"<tr><td></td>{headings}</tr>\n{cells(names, 'th')}",
        body="\n".join(body),
        notes=escape_html(notes),
    )


LATEX = {
    **{character: rf"\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "−": r"$-$",
    "σ": r"$\sigma$",
    "Δ": r"$\Delta$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "†": r"$\dagger$",
    "–": "--",
    "—": "---",
}


def escape(text: str) -> str:
    """Plain Unicode text as LaTeX: special characters escaped, signs and arrows in mathematics."""
    return "".join(LATEX.get(character, character) for character in text)


def _latex(groups: list[Group], spec: TableSpec, notes: str) -> str:
    r"""A `table*` float with booktabs rules; the document needs \usepackage{booktabs} and nothing else."""

    def text(cell: Cell) -> str:
        number = escape(cell.number)
        return (rf"\textbf{{{number}}}" if cell.bold else number) + escape(cell.spread)

    def line(*cells: str) -> str:
        return f"    {' & '.join(cells)} \\\\"

    headings, rules, first = [], [], 2
    for group in groups:
        last = first + len(group.columns) - 1
        headings.append(rf"\multicolumn{{{len(group.columns)}}}{{c}}{{{escape(group.heading)}}}")
        rules.append(rf"\cmidrule({'l' if group is groups[-1] else 'lr'}){{{first}-{last}}}")
        first = last + 1
    rows = [
        line(escape(_method(spec, extractor)), *(text(cell) for group in groups for cell in group.rows[i]))
        for i, extractor in enumerate(spec.rows)
    ]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table*}[t]",
        r"  \centering",
        rf"  \caption{{{escape(_title(spec))}. {escape(notes)}}}",
        rf"  \label{{tab:{spec.name}}}",
        r"  \footnotesize \setlength{\tabcolsep}{3pt}",  # ten columns in the width of a page
        rf"  \begin{{tabular}}{{@{{}}l{'r' * (first - 2)}@{{}}}}",
        r"    \toprule",
        line("", *headings),
        f"    {' '.join(rules)}",
        line("Method", *(escape(column) for group in groups for column in group.columns)),
        r"    \midrule",
        rows[0],
        r"    \addlinespace",
        *rows[1:],
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"
