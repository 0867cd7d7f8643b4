"""Stage `claims`: each claim of the paper beside what came out, as CSV, Markdown and HTML.

A claim about a metric is judged by its cells: every table of the configuration and every extractor but `none`. It is
`reproduced` where all cells are better, `not reproduced` where any is worse, and else `undecided`; cells for which the
paper makes no such claim are `exempt` and do not count. A claim about the share of the loss is judged by the trainings
of these extractors: `reproduced` where all lie in its range, else `not reproduced`. Where there is nothing to judge by,
a claim is undecided.
"""

import csv as csv_files
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sa_sr.config import Table
from sa_sr.config.claims import Claim
from sa_sr.errors import UserError
from sa_sr.evaluation import FEWEST
from sa_sr.files import atomic_path, write_text
from sa_sr.render.differences import Compared, Difference, read_differences, signed
from sa_sr.render.labels import BASELINE, METRICS, label
from sa_sr.render.markdown import escape, pipe_table
from sa_sr.render.page import page
from sa_sr.render.published import PUBLISHED, SOURCE
from sa_sr.render.spec import belongs

TITLE = "What the paper claims, and what came out"
NOTES = (
    f"Claims of {SOURCE}, in our words. A cell is an extractor in a table, compared with the same model without the "
    "method: better or worse where the 95 % interval of the difference excludes zero and rests on at least "
    f"{FEWEST} images, clips or seeds, else undecided. A claim is reproduced where all its cells are better, and not "
    "reproduced where any is worse; exempt are cells for which the paper doesn't claim it. Numbers are differences to "
    "the model without the method, with their intervals in the tables and in claims.csv; one without a word is "
    "undecided."
)
FEW = "With {} of each method a verdict speaks of these networks on other pictures, and not of the method."
COLUMNS = [
    *("claim", "verdict", "table", "model", "extractor", "dataset", "metric", "region", "value", "difference", "low"),
    *("high", "unit", "units", "seeds", "cell"),
]
REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"


@dataclass(frozen=True)
class Cell:
    """What a claim is judged by: a difference (None where it was not measured), or the shares of a method's trainings.

    place: the table in print; judgement: better, worse, undecided or exempt, of shares "in range", "out of range", or
    "set" where beta2 was calculated to give the share.
    """

    table: str
    place: str
    model: str
    extractor: str
    dataset: str
    judgement: str
    found: Difference | None = None
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A claim with its cells."""

    name: str
    claim: Claim
    cells: list[Cell]

    def count(self, judgement: str) -> int:
        return sum(cell.judgement == judgement for cell in self.cells)

    @property
    def counted(self) -> int:
        return len(self.cells) - self.count("exempt") - self.count("set")

    @property
    def verdict(self) -> str:
        if self.count("worse") or self.count("out of range"):
            return NOT_REPRODUCED
        good = self.count("better") + self.count("in range")
        return REPRODUCED if good and good == self.counted else UNDECIDED

    @property
    def counts(self) -> str:
        """ "5 of 8 cells better, 0 worse, 3 undecided"; of shares "4 of 4 between 10 and 20 %"."""
        if not self.cells:
            return "nothing to judge by"
        if self.claim.share is not None:
            least, largest = self.claim.share
            shares = [100 * share for cell in self.cells for share in cell.shares]
            found = f"{min(shares):.1f} to {max(shares):.1f} %"
            good = f"{self.count('in range')} of {self.counted} between {100 * least:g} and {100 * largest:g} %"
            return f"{good}: {found}" + (f"; {self.count('set')} set by calibration" if self.count("set") else "")
        exempt = f"; {self.count('exempt')} exempt" if self.count("exempt") else ""
        return (
            f"{self.count('better')} of {self.counted} cells better, {self.count('worse')} worse, "
            f"{self.count('undecided')} undecided{exempt}"
        )


def claims(
    differences: Path,
    shares: Path | None,
    spec: dict[str, Claim],
    tables: dict[str, Table],
    extractors: list[str],
    csv: Path,
    md: Path,
    html: Path,
) -> None:
    """Judge each claim, and list the cells that it is judged by.

    differences: differences.csv of `statistics`; shares: shares.csv of `shares`, None where no run has a spatially
    adaptive part; spec, tables, extractors: claims by their names and tables by theirs, both in the order of print, and
    all extractors of the configuration; csv: with the columns COLUMNS, one row for each cell, of a share its mean,
    least and largest value over the seeds; md, html: for people. Raises UserError naming what can't be read.
    """
    compared = read_differences(differences)
    trained = _shares(shares, extractors) if shares else []
    judged = [
        Judged(
            name,
            claim,
            list(_cells(claim, tables, extractors, compared) if claim.metric else _in_range(claim, trained)),
        )
        for name, claim in spec.items()
    ]
    rows = pd.DataFrame([row for one in judged for row in _rows(one)], columns=COLUMNS)
    rows = rows.astype({"units": "Int64", "seeds": "Int64"})  # whole numbers, some of them missing
    with atomic_path(csv) as temporary:
        rows.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
    verdicts = pd.DataFrame(
        [[f"{one.claim.statement} ({one.claim.where})", one.verdict, one.counts] for one in judged],
        columns=["Claim", "Verdict", "Cells"],
    )
    cells = _matrix([one for one in judged if one.claim.metric])
    strange = [f"{_place(name, tables)} ({table.label})" for name, table in tables.items() if not table.same_data]
    seeds = {d.seeds for one in judged for cell in one.cells if (d := cell.found)}
    few = (
        f" {FEW.format('one training' if seeds == {1} else f'{max(seeds)} trainings')}"
        if min(seeds, default=6) < FEWEST
        else ""
    )
    notes = NOTES + few + (f" Not on the paper's data: {', '.join(strange)}." if strange else "")
    one = pipe_table(verdicts, ("left",) * 3)
    other = pipe_table(cells, ("left", *["right"] * (len(cells.columns) - 1)))
    said = textwrap.fill(escape(notes), 120, break_on_hyphens=False)
    write_text(md, f"### {TITLE}\n\n{one}\n\n{other}\n\n{said}\n")
    drawn = verdicts.to_html(index=False, border=0, classes="words"), cells.to_html(index=False, border=0)
    write_text(html, page("claims", TITLE, "", drawn, notes))


def _matrix(judged: list[Judged]) -> pd.DataFrame:
    """What claims about metrics are judged by, for people: a row for each cell, a column for each claim."""
    cells = [cell for one in judged[:1] for cell in one.cells]
    columns = {"Cell": [f"{cell.place}: {label(cell.model, cell.extractor)}" for cell in cells]}
    for one in judged:
        heading = _heading(one.claim)
        columns[heading if heading not in columns else f"{heading}, {one.name}"] = [
            _printed(one.claim, cell) for cell in one.cells
        ]
    beneath = zip(*([cell.found.evidence() if cell.found else "" for cell in one.cells] for one in judged), strict=True)
    columns["from"] = [" or ".join(filter(None, dict.fromkeys(row))) for row in beneath]
    return pd.DataFrame(columns)


def _heading(claim: Claim) -> str:
    """The metric and its region: "PSNR (dB)", "noise, flat"."""
    metric = METRICS[claim.metric or ""]
    unit = f" ({metric.unit})" if metric.unit else ""
    return metric.label + (f", {claim.region}" if claim.region != "all" else "") + unit


def _cells(
    claim: Claim, tables: dict[str, Table], extractors: list[str], compared: dict[Compared, Difference]
) -> Iterator[Cell]:
    """The cells of a claim about a metric."""
    for name, table in tables.items():
        for extractor in extractors:
            if extractor == BASELINE:
                continue
            found = None
            for key, difference in compared.items():
                ours = key[:3] == (table.model, extractor, table.dataset)
                if ours and key.quantity[:2] == (claim.metric, claim.region) and belongs(key.quantity, table):
                    found = difference
            exempt = (table.published, extractor) in claim.exceptions
            judgement = "exempt" if exempt else found.verdict if found else UNDECIDED
            yield Cell(name, _place(name, tables), table.model, extractor, table.dataset, judgement, found)


def _in_range(claim: Claim, trained: list[Cell]) -> Iterator[Cell]:
    """The trainings of each method as cells of a claim about the share of the loss."""
    least, largest = claim.share or (0, 1)
    for cell in trained:
        inside = all(least <= share <= largest for share in cell.shares)
        judgement = cell.judgement or ("in range" if inside else "out of range")
        yield Cell("", "", cell.model, cell.extractor, "", judgement, shares=cell.shares)


def _shares(csv: Path, extractors: list[str]) -> list[Cell]:
    """The shares in training by model and extractor, of the extractors that are no variants of a sweep; `set` are those
    of a calibration. A training of no steps has none."""
    found: dict[tuple[str, str, str], list[float]] = {}
    try:
        with open(csv, newline="", encoding="utf-8") as f:
            for row in csv_files.DictReader(f):
                if row["extractor"] in extractors and row["share_in_training"]:
                    key = row["model"], row["extractor"], "set" if row["chosen"] == "auto" else ""
                    found.setdefault(key, []).append(float(row["share_in_training"]))
    except (OSError, ValueError, TypeError, KeyError) as e:
        raise UserError(f"{csv}: not a readable table of shares ({e!r}); delete it and run `shares` again") from e
    return [Cell("", "", model, extractor, "", how, shares=tuple(s)) for (model, extractor, how), s in found.items()]


def _rows(judged: Judged) -> Iterator[list]:
    """The rows of claims.csv about one claim."""
    claim = judged.claim
    for cell in judged.cells:
        head = [judged.name, judged.verdict, cell.table, cell.model, cell.extractor, cell.dataset]
        if cell.shares:
            s = cell.shares
            numbers = ["share", "", sum(s) / len(s), None, min(s), max(s), "", None, len(s)]
        elif found := cell.found:
            numbers = [claim.metric, claim.region, found.value, found.difference, found.low, found.high]
            numbers += [found.unit, found.units, found.seeds]
        else:
            numbers = [claim.metric, claim.region, *[None] * 7]
        yield [*head, *numbers, cell.judgement]


def _printed(claim: Claim, cell: Cell) -> str:
    """ "+0.41 better", "+0.31" where nothing is decided, "−0.0023 exempt"."""
    if cell.found is None:
        return "not measured"
    number = signed(cell.found.difference, METRICS[claim.metric or ""].decimals)
    return number if cell.judgement == UNDECIDED else f"{number} {cell.judgement}"


def _place(name: str, tables: dict[str, Table]) -> str:
    """ "Table II", where it is one of the paper's; "Table II (mine)", where another stands for that one, too."""
    published = tables[name].published
    if published is None:
        return name
    alone = sum(table.published == published for table in tables.values()) == 1
    return f"Table {PUBLISHED[published].number}" + ("" if alone else f" ({name})")
