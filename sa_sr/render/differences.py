"""differences.csv of the stage `statistics`, and its numbers in print."""

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sa_sr.errors import UserError
from sa_sr.evaluation import FEWEST
from sa_sr.render.spec import Quantity, TableSpec

MARK = "*"
"""Behind a difference beyond noise."""


class Compared(NamedTuple):
    """A variant that was held against the baseline, on a data set, in a quantity."""

    model: str
    extractor: str
    dataset: str
    quantity: Quantity


@dataclass(frozen=True)
class Difference:
    """A variant less the baseline: see `sa_sr.evaluation.statistics.compare`; None where there is no number."""

    value: float | None
    baseline: float | None
    difference: float | None
    low: float | None
    high: float | None
    unit: str
    units: int
    seeds: int
    p_holm: float | None
    verdict: str

    @property
    def mark(self) -> str:
        return MARK if self.verdict != "undecided" else ""

    @property
    def decidable(self) -> bool:
        """Whether there is evidence enough for a verdict."""
        return max(self.units if self.unit != "frames" else 1, self.seeds) >= FEWEST

    def interval(self, decimals: int) -> str:
        """ "[−0.05, +0.52]"; nothing where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"[{_bound(self.low, decimals)}, {_bound(self.high, decimals)}]"

    def evidence(self) -> str:
        """What the interval rests on: "6 images", "4 clips and 6 seeds", "16 frames of one clip, in blocks"."""
        if self.unit == "frames":
            return f"{self.units} frames of one clip, in blocks"
        items = f"{self.units} {self.unit}" if self.units > 1 else f"one {self.unit.removesuffix('s')}"
        if self.seeds == 1:
            return items
        if self.seeds >= FEWEST > self.units:
            return f"{self.seeds} seeds on {'these ' if self.units > 1 else ''}{items}"
        if self.units >= FEWEST > self.seeds:
            return f"{items} by these {self.seeds} trainings"
        return f"{items} and {self.seeds} seeds"


def read_differences(path: Path) -> dict[Compared, Difference]:
    """The rows of differences.csv in their order. Raises UserError where it is no such table."""
    found = {}
    try:
        with open(path, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                key = Compared(row["model"], row["extractor"], row["dataset"], Quantity.of(row))
                numbers = ("value", "baseline", "difference", "low", "high", "p_holm")
                value, baseline, difference, low, high, p = (float(row[n]) if row[n] else None for n in numbers)
                evidence = row["unit"], int(row["units"]), int(row["seeds"])
                found[key] = Difference(value, baseline, difference, low, high, *evidence, p, row["verdict"])
    except KeyError as e:
        raise UserError(f"{path}: has no column {e}; delete it and run `statistics` again") from e
    except (OSError, ValueError, TypeError) as e:
        raise UserError(
            f"{path}: not a readable table of differences ({e}); delete it and run `statistics` again"
        ) from e
    return found


Differences = dict[tuple[str, Quantity], Difference]
"""Of one table, by extractor and quantity."""


def of_table(compared: dict[Compared, Difference], spec: TableSpec) -> Differences:
    """The differences of the rows of a table."""
    return {
        (key.extractor, key.quantity): found
        for key, found in compared.items()
        if (key.model, key.dataset) == (spec.model, spec.dataset) and key.extractor in spec.extractors
    }


def remark_on(differences: Collection[Difference], brackets: bool = True) -> str:
    """What marks mean and what they rest on; brackets: intervals are printed, too."""
    most = max(differences, key=lambda found: (found.unit != "frames", found.units, found.seeds))
    evidence = ("up to " if any(found.evidence() != most.evidence() for found in differences) else "") + most.evidence()
    said = f"; in brackets its 95 % interval, from {evidence}." if brackets else f", from {evidence}."
    if all(found.low is None for found in differences):
        return f"; no interval, which takes finite values of several images, clips or seeds, or {FEWEST} frames."
    if not any(found.decidable for found in differences):
        return f"{said} None is marked as beyond noise: that takes {FEWEST} images, clips or seeds."
    if not any(found.mark for found in differences):
        return f"{said} None is beyond noise."
    few = any(found.mark and found.seeds < FEWEST for found in differences)
    return f"{said} {MARK}: beyond noise" + ("; another training may come out otherwise." if few else ".")


def _bound(value: float, decimals: int) -> str:
    """Signed, with a digit or two more where it would be printed as 0 and is not."""
    texts = [signed(value, digits) for digits in range(decimals, decimals + 3)]
    return next((text for text in texts if text[0] in "+−"), texts[0])


def signed(value: float | None, decimals: int) -> str:
    """ "+0.12", "−0.0004" with a true minus sign, "0.00" without one; nothing for None."""
    if value is None:
        return ""
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")
