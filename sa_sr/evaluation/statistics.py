"""Stage `statistics`: is a variant better than the baseline, or is the difference noise?

Each variant is held against `none` of the same model, pair by pair: same seed, item and frame. The difference of an
item (an image or a clip) is the mean over its frames; the items and the seeds are the evidence.

The interval comes from a bootstrap that draws items, seeds or both with replacement, each on its own (Owen, "The
pigeonhole bootstrap", 2007). What there are fewer than FEWEST of is not drawn where there are enough of the other:
then the difference is one on these clips, or of these trainings. Percentiles are set further apart for small samples,
by as much as Student's t is wider than a normal interval with the fewer of the drawn (Hesterberg, "What Teachers Should
Know About the Bootstrap", 2015: the expanded percentile interval).

One clip of one training has no second item to draw. There its frames are drawn, in circular blocks, for neighbouring
frames show almost the same: blocks of sqrt(T) of T frames, so that there are as many blocks as a block has frames; the
T^(1/3) that is best where frames soon forget each other would be too short for video.

`better` and `worse` are said where the interval excludes zero and at least FEWEST items or seeds were drawn: of five
differences all have the same sign by chance alone in 2 * 2^-5 = 6 % of all cases, so that no test that assumes no
distribution can reach 5 % with fewer. Frames are no independent pairs: one clip of one training says nothing about
others, and is always `undecided`.
"""

import math
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sa_sr.errors import UserError
from sa_sr.evaluation import FEWEST, QUANTITY
from sa_sr.evaluation.aggregate import joined, subsets
from sa_sr.files import atomic_path
from sa_sr.render.labels import BASELINE, METRICS

RESAMPLES, LEVEL = 10_000, 0.95
CELL = ["model", "extractor", "dataset"]
MEASURED = ["value", "baseline", "difference", "low", "high", "unit", "units", "seeds", "p"]
COLUMNS = [*CELL, "subset", *QUANTITY, *MEASURED, "p_holm", "verdict"]


class Interval(NamedTuple):
    """Of a mean difference; nan where there is none."""

    low: float = math.nan
    high: float = math.nan


def statistics(frames: Path, out: Path) -> None:
    """Stage: compare every variant with the baseline, in every quantity on every data set.

    frames: frames.csv of `aggregate`; out: CSV with the columns COLUMNS, sorted by the first of them, six digits after
    the point, empty where there is nothing. The same values give the same bytes, whatever the order of their rows.
    Raises UserError naming the file that is not such a CSV, and the pair that lacks one half.
    """
    with atomic_path(out) as temporary:
        compare(joined([frames])).to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")


def compare(rows: pd.DataFrame) -> pd.DataFrame:
    """The comparisons of rows with the columns of frames.csv: see COLUMNS and docs/statistics.md.

    value and baseline are means over frames, items and seeds; low and high bound the 95 % interval of their difference.
    unit says what was drawn (images, clips, or the frames of one clip), units and seeds how many. p is Wilcoxon's
    signed-rank test, two-sided, over the items (each averaged over the seeds) or the seeds (over the items), whichever
    are more; p_holm is Holm's correction for the models, extractors and data sets with the same quantity and subset;
    the runs of sweeps are a family of their own, so that a sweep more changes nothing about the others.
    Frames that are perfect in a method are left out, see `subsets`; where all are, a row has no interval and no p.
    """
    found = [row for subset, part in subsets(rows).items() for row in _compared(_pairs(part), str(subset))]
    table = pd.DataFrame(found, columns=COLUMNS[:-2])
    swept = table["extractor"].str.contains(".", regex=False).rename("swept")
    table["p_holm"] = table.groupby(["subset", *QUANTITY, swept])["p"].transform(holm)
    table["verdict"] = [verdict(row) for row in table.itertuples()]
    return table.sort_values([*CELL, "subset", *QUANTITY], ignore_index=True)


def _pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of all variants, each with the baseline's value beside its own; sorted, so that sums are alike."""
    keys = ["model", "seed", "dataset", "item", "frame", *QUANTITY]
    base = rows.loc[rows.extractor == BASELINE, [*keys, "value"]].rename(columns={"value": "baseline"})
    variants = rows[~rows.extractor.isin([BASELINE, ""]) & rows.metric.isin(METRICS)]
    base = base[base.metric.isin(METRICS)]
    pairs = variants.merge(base, on=keys, how="left", indicator=True)
    if len(alone := pairs[pairs["_merge"] == "left_only"]):
        row = alone.iloc[0]
        raise UserError(
            f"{row.metric} of {row.method} on {row.dataset}, item {row['item']}, frame {row.frame}, has no counterpart "
            f"in {row.model}-{BASELINE}-s{row.seed}; evaluate that run on this data set and aggregate again"
        )
    there = variants.groupby([*CELL, *QUANTITY]).agg(there=("value", "size")).reset_index()
    wanted = base.groupby(["model", "dataset", *QUANTITY]).agg(wanted=("baseline", "size")).reset_index()
    counts = there.merge(wanted, on=["model", "dataset", *QUANTITY])
    if len(lacking := counts[counts.there < counts.wanted]):
        row = lacking.iloc[0]
        raise UserError(
            f"{row.model}-{row.extractor} lacks {row.metric} of {row.wanted - row.there} of the {row.wanted} frames "
            f"that {row.model}-{BASELINE} has on {row.dataset}; evaluate its runs there and aggregate again"
        )
    return pairs.sort_values([*CELL, *keys])


def _compared(pairs: pd.DataFrame, subset: str) -> list[list]:
    """One row for each variant, data set and quantity, without what needs the others."""
    found = []
    key: Any
    for key, frames in pairs.groupby([*CELL, *QUANTITY]):
        items = pd.DataFrame(frames.groupby(["seed", "item"])[["value", "baseline"]].mean())
        seeds, units = (items.index.get_level_values(name).nunique() for name in ("seed", "item"))
        if len(items) < seeds * units:
            raise UserError(f"not every seed of {'-'.join(key[:2])} has all items of {key[2]}; evaluate them again")
        value, baseline = items.to_numpy().T.reshape(2, seeds, units)
        differences = _less(value, baseline)
        unit = "clips" if (frames.frames > 1).any() else "images"
        between, p = interval(differences), p_value(differences)
        if unit == "clips" and differences.size == 1 and len(frames) > 1:
            unit, units = "frames", len(frames)
            between, p = interval_of_series(_less(frames.value.to_numpy(), frames.baseline.to_numpy())), math.nan
        means = [value.mean(), baseline.mean(), differences.mean()]
        found.append([*key[:3], subset, *key[3:], *means, *between, unit, units, seeds, p])
    return found


def _less(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # inf - inf
        return a - b


def interval(differences: np.ndarray) -> Interval:
    """Of the mean of differences (seeds, items); none where there is one of each.

    What there are FEWEST of is drawn, seeds, items or both; with less of either, whatever there are several of.
    """
    if differences.size == 1 or not np.isfinite(differences).all():
        return Interval()
    least = FEWEST if max(differences.shape) >= FEWEST else 2
    for way, n in enumerate(differences.shape):
        if n < least:
            differences = differences.mean(axis=way, keepdims=True)
    means = ((_weights(differences.shape[0], 0) @ differences) * _weights(differences.shape[1], 1)).sum(axis=1)
    return expanded(means, min(n for n in differences.shape if n > 1))


def interval_of_series(differences: np.ndarray) -> Interval:
    """Of the mean of differences (frames,) in the order of time, by circular blocks; none with fewer than FEWEST."""
    frames = len(differences)
    block = block_length(frames)
    if frames < FEWEST or not np.isfinite(differences).all():
        return Interval()
    return expanded(differences[_blocks(frames, block)].mean(axis=1), frames // block)


def block_length(frames: int) -> int:
    return math.ceil(math.sqrt(frames))


def expanded(means: np.ndarray, n: int) -> Interval:
    """The expanded percentile interval of bootstrapped means of n independent parts."""
    tail = (1 - LEVEL) / 2
    tail = stats.norm.cdf(math.sqrt(n / (n - 1)) * stats.t.ppf(tail, n - 1))
    return Interval(*map(float, np.quantile(means, [tail, 1 - tail])))


@cache
def _weights(n: int, way: int) -> np.ndarray:
    """How much each of n parts weighs in each resample (RESAMPLES, n); other draws for each way, seeds or items."""
    return np.random.default_rng([way, n]).multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n


@cache
def _blocks(frames: int, block: int) -> np.ndarray:
    """Places (RESAMPLES, frames) of blocks that start anywhere and go on from the end to the beginning."""
    starts = np.random.default_rng([2, frames]).integers(0, frames, (RESAMPLES, math.ceil(frames / block), 1))
    return ((starts + np.arange(block)) % frames).reshape(RESAMPLES, -1)[:, :frames]


def p_value(differences: np.ndarray) -> float:
    """Of Wilcoxon's signed-rank test on differences (seeds, items); nan where there is one of each, or inf."""
    if differences.size == 1 or not np.isfinite(differences).all():
        return math.nan
    pairs = differences.mean(axis=int(differences.shape[0] > differences.shape[1]))
    pairs = pairs.round(9)  # equal values may differ in their last bits
    return float(np.asarray(stats.wilcoxon(pairs))[1]) if pairs.any() else 1.0


def holm(p: pd.Series) -> pd.Series:
    """Holm's adjusted p-values of one family; what is nan counts for nothing and stays."""
    known = p.dropna().sort_values()
    return (known * np.arange(len(known), 0, -1)).cummax().clip(upper=1).reindex(p.index)


def verdict(row) -> str:
    """better, worse or undecided, from a row's metric, interval and numbers of items and seeds; always undecided is a
    metric that ranks nobody."""
    better, items = METRICS[row.metric].higher_is_better, 1 if row.unit == "frames" else row.units
    if better is None:
        return "undecided"
    if max(items, row.seeds) < FEWEST or not (row.low > 0 or row.high < 0):
        return "undecided"
    return "better" if (row.low > 0) == better else "worse"
