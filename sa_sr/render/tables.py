"""Stage `table`: one of the paper's Tables I-IV with our numbers, as CSV, Markdown, LaTeX and HTML.

The CSV is tidy: the paper's metrics in every space, border and subset that was measured, one value per row. The
others print one choice of them in the paper's layout: bicubic, the baseline, then one row per extractor; PSNR, SSIM,
LPIPS, what the spatially adaptive loss changes, the published value beside and, on the paper's data, the difference to
it. How it was measured stands above the cells, what explains them below.
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

from sa_sr.config.results import LpipsChoice
from sa_sr.errors import UserError
from sa_sr.evaluation import WHOLE
from sa_sr.files import atomic_path, write_text
from sa_sr.render.labels import BASELINE, BICUBIC, LPIPS_NETS, PAPER, SPACES, SSIM_WINDOWS, Metric, label
from sa_sr.render.page import page
from sa_sr.render.published import PUBLISHED, SOURCE, PublishedTable


class TableSpec(BaseModel):
    """What one table shows, and the facts of the protocol that its header states."""

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
    ssim: Literal["gaussian", "uniform"] = "gaussian"
    """Window of SSIM."""
    lpips: LpipsChoice = LpipsChoice()
    """Network and version of LPIPS."""
    published: str | None = None
    """The paper's table to print beside ours."""
    same_data: bool = False
    """Whether the paper measured the same data set: then the difference to it is printed too."""
    kind: Literal["images", "clips"] = "clips"
    """What the data set holds."""
    strides: tuple[int, ...] = (1,)
    """Every n-th frame of the footage was taken; more than one number where the sources differ."""

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
    deviation, None for one seed; `n` counts images or clips, `frames` what was measured of them; `difference` is to the
    baseline `none`, `difference_to_published` to the paper's value, on whatever data that was; `best` marks the leader
    of the trained methods at printed precision; `printed` the cells of the printed tables.
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
    frames: int
    difference: float | None
    best: bool
    printed: bool
    published: float | None
    difference_to_published: float | None
    published_difference: float | None
    published_dataset: str | None


def table(means: Path, csv: Path, md: Path, tex: Path, spec: TableSpec, html: Path | None = None) -> None:
    """Write one table in three or four formats.

    means: means.csv of `aggregate`; csv, md, tex, html: files to write, each whole or not at all; spec: which table.
    Raises UserError naming the method, metric and data set where means.csv lacks a value that is to be printed.
    """
    entries = summarise(means, spec)
    printed = {(e.extractor, e.metric): e for e in entries if e.printed}
    protocol, groups = _protocol(printed, spec), _groups(printed, spec)
    _write_csv(csv, entries)
    write_text(md, _markdown(groups, spec, protocol))
    write_text(tex, _latex(groups, spec, protocol))
    if html is not None:
        write_text(html, _html(groups, spec, protocol))


def summarise(means: Path, spec: TableSpec) -> list[Entry]:
    """Everything that was measured for the rows of one table, in the order of its rows and columns.

    Raises UserError where a printed value is missing.
    """
    samples = _read(means, spec)
    quantities = sorted({q for _, q in samples}, key=lambda q: (list(PAPER).index(q.metric), q))
    mean = {key: statistics.fmean(values) for key, (values, _, _) in samples.items()}
    leaders = {
        q: _leaders({e: mean[e, q] for e in spec.extractors if (e, q) in mean}, PAPER[q.metric]) for q in quantities
    }
    entries = []
    for extractor in spec.rows:
        for quantity in quantities:
            if (extractor, quantity) not in samples:
                continue
            values, n, frames = samples[extractor, quantity]
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
                    frames=frames,
                    difference=_difference(extractor, value, base),
                    best=extractor in leaders[quantity],
                    printed=spec.prints(quantity),
                    published=published,
                    difference_to_published=None if published is None else value - published,
                    published_difference=_difference(extractor, published, published_base),
                    published_dataset=spec.paper.dataset if spec.paper and published is not None else None,
                )
            )
    _check_complete(entries, means, spec)
    return entries


def _method(spec: TableSpec, extractor: str) -> str:
    return label(BICUBIC) if extractor == BICUBIC else label(spec.model, extractor)


def _read(means: Path, spec: TableSpec) -> dict[tuple[str, Quantity], tuple[list[float], int, int]]:
    """The table's part of means.csv: (extractor or "bicubic", quantity) to the values of all seeds, n and frames."""
    values, counts = defaultdict(list), {}
    try:
        with open(means, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                extractor = BICUBIC if row["method"] == BICUBIC else row["extractor"]
                ours = row["method"] == BICUBIC or row["model"] == spec.model
                printed = row["metric"] in PAPER and row["region"] == WHOLE
                if row["dataset"] == spec.dataset and ours and extractor in spec.rows and printed:
                    quantity = Quantity(row["metric"], row["space"], int(row["border"]), row["subset"])
                    values[extractor, quantity].append(float(row["value"]))
                    counts[extractor, quantity] = int(row["n"]), int(row["frames"])
    except KeyError as e:
        raise UserError(f"{means}: has no column {e}; delete it and run `aggregate` again") from e
    except (OSError, ValueError, TypeError) as e:
        raise UserError(f"{means}: not a readable table of means ({e}); delete it and run `aggregate` again") from e
    return {key: (sample, *counts[key]) for key, sample in values.items()}


def _check_complete(entries: list[Entry], means: Path, spec: TableSpec) -> None:
    there = {(e.extractor, e.metric) for e in entries if e.printed}
    for extractor in spec.rows:
        for metric in PAPER:
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
    """Neighbouring columns under one heading: names, cells by row, and what explains them below the table."""

    heading: str
    columns: list[str]
    rows: list[list[Cell]]
    remark: str = ""


def _groups(printed: dict[tuple[str, str], Entry], spec: TableSpec) -> list[Group]:
    """Measured values, differences to the baseline, the paper's values, differences to these: three columns each."""

    def cells(draw: Callable[[Entry, int], Cell]) -> list[list[Cell]]:
        return [
            [draw(printed[extractor, key], metric.decimals) for key, metric in PAPER.items()] for extractor in spec.rows
        ]

    def measured(entry: Entry, decimals: int) -> Cell:
        spread = "" if entry.std is None else f" ± {entry.std:.{decimals}f}"
        return Cell(f"{entry.value:.{decimals}f}", spread, entry.best)

    def difference(entry: Entry, decimals: int) -> Cell:
        return Cell(_signed(entry.difference, decimals))

    def published(entry: Entry, decimals: int) -> Cell:
        return Cell("" if entry.published is None else f"{entry.published:.{decimals}f}")

    def difference_to_published(entry: Entry, decimals: int) -> Cell:
        return Cell(_signed(entry.difference_to_published, decimals))

    def names(pattern: str) -> list[str]:
        return [pattern.format(metric.label, metric.arrow) for metric in PAPER.values()]

    bold = "Bold: best of the trained methods." if any(entry.best for entry in printed.values()) else ""
    groups = [Group("Measured", names("{} {}"), cells(measured), bold)]
    if any(entry.difference is not None for entry in printed.values()):
        heading = f"Difference to {label(spec.model)}"
        groups.append(
            Group(heading, names("Δ{}"), cells(difference), f"Δ: difference to {label(spec.model)}, before rounding.")
        )
    if (paper := spec.paper) is not None:
        caution = "" if spec.same_data else "; on other data than ours, whose values are not comparable"
        source = f"† Paper: Table {paper.number} of {SOURCE}, on {paper.dataset}, protocol not given{caution}."
        groups.append(Group(f"Paper, {paper.dataset}", names("{}†"), cells(published), source))
        if spec.same_data:
            heading = "Ours less the paper's"
            groups.append(Group(heading, names("Δ{}†"), cells(difference_to_published), "Δ†: ours less the paper's."))
    return groups


def _signed(value: float | None, decimals: int) -> str:
    """ "+0.12", "−0.0004" with a true minus sign, "0.00" without one; nothing for None."""
    if value is None:
        return ""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def _title(spec: TableSpec) -> str:
    return f"{label(spec.model)} with and without the spatially adaptive (SA) loss, ×4. Data: {spec.dataset_label}"


def _heading(spec: TableSpec) -> str:
    """The title with the paper's number; LaTeX counts for itself."""
    return f"Table {PUBLISHED[spec.published].number}. {_title(spec)}" if spec.published in PUBLISHED else _title(spec)


def _protocol(printed: dict[tuple[str, str], Entry], spec: TableSpec) -> str:
    """How the printed values were measured, on which frames, and over what they were averaged."""
    whole = "frames" if spec.kind == "clips" else "images"
    metrics = (
        f"PSNR (dB) and SSIM ({SSIM_WINDOWS[spec.ssim]}) on {SPACES[spec.space]}, {spec.border} pixels cut off at each "
        f"border; LPIPS ({LPIPS_NETS[spec.lpips.net]}, v{spec.lpips.version}) on RGB, whole {whole}."
    )
    counts = {entry.seeds for entry in printed.values() if entry.extractor != BICUBIC}
    seeds = "one training seed"
    if max(counts) > 1:
        number = " to ".join(str(count) for count in sorted({min(counts), max(counts)}))
        seeds = f"mean ± standard deviation over {number} training seeds"
    return f"{metrics} {_averaging(printed[BICUBIC, 'psnr'], spec)}; {seeds}."


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


def _remarks(groups: list[Group]) -> str:
    """What explains the cells."""
    return " ".join(group.remark for group in groups if group.remark)


def _markdown(groups: list[Group], spec: TableSpec, protocol: str) -> str:
    """A pipe table whose source is aligned too, so that it reads well in a terminal."""

    def text(cell: Cell) -> str:
        return (f"**{cell.number}**" if cell.bold else cell.number) + cell.spread

    grid = [["Method", *(column for group in groups for column in group.columns)]]
    for i, extractor in enumerate(spec.rows):
        grid.append([_method(spec, extractor), *(text(cell) for group in groups for cell in group.rows[i])])
    first, *others = [max(map(len, column)) for column in zip(*grid, strict=True)]
    lines = []
    for method, *numbers in grid:
        lines.append(f"| {' | '.join([method.ljust(first), *map(str.rjust, numbers, others)])} |")
    lines.insert(1, "|".join(["", f":{'-' * (first + 1)}", *(f"{'-' * (width + 1)}:" for width in others), ""]))
    above, below = (
        textwrap.fill(text, width=min(120, len(lines[0])), break_on_hyphens=False)
        for text in (protocol, _remarks(groups))
    )
    return "\n\n".join(filter(None, [f"### {_heading(spec)}", above, "\n".join(lines), below])) + "\n"


def _html(groups: list[Group], spec: TableSpec, protocol: str) -> str:
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
    head = f"<tr><td></td>{headings}</tr>\n{cells(names, 'th')}"
    rows = "\n".join(body)
    drawn = f"<table>\n<thead>\n{head}\n</thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
    return page(spec.name, _heading(spec), protocol, drawn, _remarks(groups))


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


def _latex(groups: list[Group], spec: TableSpec, protocol: str) -> str:
    r"""A `table*` float with booktabs rules; the document needs \usepackage{booktabs} and nothing else."""

    def text(cell: Cell) -> str:
        number = escape(cell.number)
        spread = rf" {{\tiny{escape(cell.spread)}}}" if cell.spread else ""
        return (rf"\textbf{{{number}}}" if cell.bold else number) + spread

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
    remarks = _remarks(groups)
    # ten columns fit a page 516 pt wide in \footnotesize, thirteen do not
    size = r"\footnotesize" if first <= 11 else r"\scriptsize"
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table*}[t]",
        r"  \centering",
        rf"  \caption{{{escape(_title(spec))}. {escape(protocol)}}}",
        rf"  \label{{tab:{spec.name}}}",
        rf"  {size} \setlength{{\tabcolsep}}{{3pt}}",
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
        *([rf"  \par\smallskip \parbox{{\linewidth}}{{{escape(remarks)}}}"] if remarks else []),
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"
