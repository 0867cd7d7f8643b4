"""What a sick training looks like: rules on the rows of history.csv, for the log and for the report.

A rule looks at a window of rows, never at one: GANs have single steps that are far off, and go on. It warns and never
stops a training; only numbers that are not finite do.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

Row = Mapping[str, float]
Rows = Sequence[Row]
WINDOW = 10
"""Rows at least; a twentieth of all rows where that is more. Shorter trainings are not judged."""


@dataclass(frozen=True)
class Rule:
    """One sign of a sick training.

    name: in print; needs: columns of history.csv; measure: one number from a window of rows and from the first window;
    bad, limit: the rule holds where `bad(measure, limit)`; seen: the measure in words; means: what it says of the
    training; advice: what to do.
    """

    name: str
    needs: tuple[str, ...]
    measure: Callable[[Rows, Rows], float]
    bad: Callable[[float, float], bool]
    limit: float
    seen: str
    means: str
    advice: str

    @property
    def remark(self) -> str:
        return f"{self.means} {self.advice}"

    def holds(self, window: Rows, first: Rows) -> bool:
        return self.bad(self.measure(window, first), self.limit)


def _advantage(window: Rows, _: Rows) -> float:
    """How much surer the discriminator is of real patches than of generated ones, at its best."""
    return max(row["d_real"] - row["d_fake"] for row in window)


def _growth(window: Rows, first: Rows) -> float:
    start = median(row["grad_g"] for row in first)
    return median(row["grad_g"] for row in window) / start if start else 0.0


RULES = (
    Rule(
        "the discriminator wins",
        ("l_d",),
        lambda window, _: fmean(row["l_d"] for row in window),
        operator.lt,
        1e-3,  # public ESRGAN logs: batches of 1e-5 and of 5 take turns; all at 1e-5 and less where the training failed
        "its mean loss is {:.1g}",
        "It never errs, so it learns no more, and the generator is far from deceiving it.",
        "Make the discriminator smaller or the learning rate lower.",
    ),
    Rule(
        "the discriminator is blind",
        ("d_real", "d_fake"),
        _advantage,
        operator.lt,
        0.01,
        "d_real - d_fake is {:.1g} at most",
        "It does not tell real from generated, so the adversarial loss teaches nothing.",
        "Look at grad_d and at the training data, or lower the learning rate.",
    ),
    Rule(
        "the generator's gradient explodes",
        ("grad_g",),
        _growth,
        operator.gt,
        10,  # of the demo's trainings 2 at most, single rows 6
        "its median is {:.2g} times that of the start",
        "The updates no longer follow the loss downhill.",
        "Lower the learning rate.",
    ),
    Rule(
        "the output leaves its range",
        ("out_of_range",),
        lambda window, _: median(row["out_of_range"] for row in window),
        operator.gt,
        0.1,  # of the demo's trainings half the rows are below 0.01, single ones reach 0.06
        "{:.0%} of its values are far outside of [0, 1]",
        "The generator no longer makes pictures.",
        "Lower the learning rate, or give the pixel loss more weight.",
    ),
)


@dataclass(frozen=True)
class Finding:
    """A rule that held.

    first, last: the steps at which it began and ended, last None where it holds until the end of the rows; worst: the
    measure of the window where it was clearest.
    """

    rule: Rule
    first: int
    last: int | None
    worst: float

    @property
    def seen(self) -> str:
        return self.rule.seen.format(self.worst)

    def __str__(self) -> str:
        until = "the end" if self.last is None else f"step {self.last:,}"
        return f"{self.rule.name} from step {self.first:,} to {until} ({self.seen})"


def findings(rows: Rows) -> list[Finding]:
    """What was wrong with a training, in the order in which it began.

    rows: all rows of history.csv. Pretraining has no columns of a discriminator, and is judged by the rest.
    """
    size = window_size(len(rows))
    found = []
    for rule in _rules(rows):
        ends = _ends(rule, rows, size, range(size, len(rows) + 1))
        found += [_finding(rule, rows, size, spell) for spell in _spells(ends, size)]
    return sorted(found, key=lambda finding: finding.first)


def begun(rows: Rows, planned: int) -> list[Finding]:
    """The findings that begin with the newest row: rules that hold now, and did not shortly before.

    rows: of a training that goes on; planned: how many there will be in the end. Called with every row, it looks back
    only where a rule holds, so a healthy training hardly notices. The whole training's `findings` begin at these rows.
    """
    size, newest = window_size(planned), len(rows)
    if newest < size:
        return []
    recent = range(max(size, newest - 2 * size), newest + 1)
    return [
        _finding(rule, rows, size, [newest])
        for rule in _rules(rows)
        if _ends(rule, rows, size, [newest]) and _ends(rule, rows, size, recent) == [newest]
    ]


def window_size(rows: int) -> int:
    """Rows that are looked at together, in a training of so many."""
    return max(WINDOW, rows // 20)


def _rules(rows: Rows) -> list[Rule]:
    return [rule for rule in RULES if rows and all(column in rows[0] for column in rule.needs)]


def _ends(rule: Rule, rows: Rows, size: int, ends: Iterable[int]) -> list[int]:
    """Those of `ends` at which a window ends where the rule holds."""
    return [end for end in ends if rule.holds(rows[end - size : end], rows[:size])]


def _spells(ends: list[int], size: int) -> Iterator[list[int]]:
    """Windows with less than another between them belong together: one step that is off does not end an illness."""
    spell: list[int] = []
    for end in ends:
        if spell and end - spell[-1] > 2 * size:
            yield spell
            spell = []
        spell.append(end)
    if spell:
        yield spell


def _finding(rule: Rule, rows: Rows, size: int, spell: list[int]) -> Finding:
    """Of the windows that end with these rows. It begins and ends with the rows that show it by themselves."""
    first, start, end = rows[:size], spell[0] - size, spell[-1]
    alone = [i for i in range(start, end) if rule.holds(rows[i : i + 1], first)]
    measures = [rule.measure(rows[e - size : e], first) for e in spell]
    worst = min(measures) if rule.bad is operator.lt else max(measures)
    interval = rows[0]["step"]  # a row stands for all steps up to its own
    began, ended = rows[alone[0]]["step"] - interval + 1, rows[alone[-1]]["step"]
    return Finding(rule, int(began), None if end == len(rows) else int(ended), worst)
