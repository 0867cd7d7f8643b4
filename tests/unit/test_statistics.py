"""Differences, their intervals and verdicts: against scipy, against known truth, and against the order of rows."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sa_sr.errors import UserError
from sa_sr.evaluation import COLUMNS, FEWEST
from sa_sr.evaluation.statistics import COLUMNS as COMPARED
from sa_sr.evaluation.statistics import (
    RESAMPLES,
    block_length,
    compare,
    expanded,
    holm,
    interval,
    interval_of_series,
    p_value,
    statistics,
)

SUBJECTS = {"none": 0.0, "canny": 0.5, "lv": 0.0}
matrices = st.tuples(st.integers(1, 3), st.integers(2, 7), st.integers(0, 2**32 - 1)).map(
    lambda size: np.random.default_rng(size[2]).normal(size=size[:2])
)


def measured(
    items: int = 6,
    seeds: int = 1,
    frames: int = 1,
    effects=SUBJECTS,
    metric: str = "psnr",
    noise: float = 0.1,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows of frames.csv: values of an item, a seed and a frame in common, and what each extractor adds to them."""
    rng = np.random.default_rng(seed)
    rows = []
    for s, i, t in product(range(1, seeds + 1), range(items), range(frames)):
        common = 25 + 3 * i + s + rng.normal()
        for extractor, effect in effects.items():
            value = common + effect + noise * rng.normal()
            run = [f"esrgan-{extractor}-s{s}", "esrgan", extractor, str(s), "set"]
            rows.append([*run, f"item{i}", t, frames, metric, "all", "rgb", 4, value])
        if s > 1:
            continue
        rows.append(["bicubic", "bicubic", "", "", "set", f"item{i}", t, frames, metric, "all", "rgb", 4, common - 1])
    return pd.DataFrame(rows, columns=COLUMNS)


def row(table: pd.DataFrame, extractor: str = "canny", subset: str = "all") -> pd.Series:
    (found,) = (r for _, r in table[(table.extractor == extractor) & (table.subset == subset)].iterrows())
    return found


def test_a_clear_effect_is_found_and_none_is_none():
    table = compare(measured())
    found = row(table)
    assert list(table.columns) == COMPARED
    assert (found.unit, found.units, found.seeds, found.verdict) == ("images", 6, 1, "better")
    assert found.low < 0.5 < found.high
    assert found.value - found.baseline == pytest.approx(found.difference)
    assert row(table, "lv").verdict == "undecided"
    assert set(table.extractor) == {"canny", "lv"}  # neither bicubic nor the baseline is compared


def test_the_direction_is_the_metrics():
    assert row(compare(measured(metric="lpips"))).verdict == "worse"
    assert row(compare(measured(effects={"none": 0, "canny": -0.5}))).verdict == "worse"
    assert row(compare(measured(effects={"none": 0, "canny": -0.5}, metric="noise"))).verdict == "better"


@pytest.mark.parametrize(
    ("items", "seeds", "frames", "unit", "units", "verdict"),
    [
        (FEWEST, 1, 1, "images", 6, "better"),
        (FEWEST - 1, 1, 1, "images", 5, "undecided"),
        (4, 1, 9, "clips", 4, "undecided"),
        (4, 5, 9, "clips", 4, "undecided"),
        (4, 6, 9, "clips", 4, "better"),
        (1, 6, 9, "clips", 1, "better"),
        (1, 1, 40, "frames", 40, "undecided"),
        (1, 1, 1, "images", 1, "undecided"),
    ],
)
def test_a_verdict_takes_six_independent_pairs(items, seeds, frames, unit, units, verdict):
    found = row(compare(measured(items, seeds, frames, effects={"none": 0, "canny": 5})))
    assert (found.unit, found.units, found.seeds, found.verdict) == (unit, units, seeds, verdict)
    assert math.isnan(found.low) == (items * seeds * frames == 1)
    assert math.isnan(found.p) == (items * seeds == 1)


@pytest.mark.parametrize(("seeds", "items"), [(2, 14), (3, 14), (6, 2), (6, 4), (14, 3)])
def test_what_there_are_few_of_is_held_fixed(seeds, items):
    """The parts of a seed or of an item move the interval by their mean, and do not widen it."""
    rng = np.random.default_rng(8)
    d = rng.normal(size=(seeds, items))
    part = rng.normal(size=(seeds, 1) if seeds < FEWEST else (1, items))
    assert interval(d + 9 * part) == pytest.approx([bound + 9 * part.mean() for bound in interval(d)])


@pytest.mark.parametrize(("frames", "there"), [(4, False), (5, False), (6, True), (7, True)])
def test_a_short_clip_has_no_interval(frames, there):
    assert math.isnan(interval_of_series(np.arange(float(frames))).low) != there


def test_with_fewer_no_sign_test_can_reach_five_per_cent():
    assert stats.binomtest(FEWEST - 1, FEWEST - 1).pvalue > 0.05 >= stats.binomtest(FEWEST, FEWEST).pvalue


def test_values_are_averaged_over_the_frames_of_an_item_before_anything_else():
    """A clip of many frames weighs as much as one of few; `interior` is without the ends."""
    rows = measured(items=3, frames=7, effects={"none": 0, "canny": 0}, noise=0)
    long = rows.item == "item0"
    rows.loc[rows.extractor.eq("canny") & long, "value"] += 3
    rows.loc[rows.extractor.eq("canny") & rows.frame.isin([0, 1, 5, 6]), "value"] += 7
    table = compare(rows[long | (rows.frame < 5)])
    assert row(table, subset="interior").difference == pytest.approx((3 + 0 + 0) / 3)
    assert row(table).difference == pytest.approx((3 + 7 * 4 / 7 + 2 * 7 * 2 / 5) / 3)


def test_p_is_scipys_over_the_items_or_the_seeds_whichever_are_more():
    rng = np.random.default_rng(3)
    many_items, many_seeds = rng.normal(1, 1, (2, 9)), rng.normal(1, 1, (8, 3))
    assert p_value(many_items) == stats.wilcoxon(many_items.mean(axis=0)).pvalue
    assert p_value(many_seeds) == stats.wilcoxon(many_seeds.mean(axis=1)).pvalue
    assert p_value(np.arange(1.0, 7)[None]) == pytest.approx(2 * 2**-6)
    assert p_value(np.zeros((1, 6))) == 1
    assert math.isnan(p_value(np.ones((1, 1))))


def test_one_way_intervals_are_scipys_bootstrap_set_further_apart():
    """With a million resamples of another generator the percentiles are the same to the noise of ours."""
    x = np.random.default_rng(5).normal(size=12)
    tail = stats.norm.cdf(math.sqrt(12 / 11) * stats.t.ppf(0.025, 11))
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=200_000, method="percentile", confidence_level=1 - 2 * tail, rng=1, batch=10_000
    ).confidence_interval
    ours = interval(x[None])
    assert ours.low == pytest.approx(theirs.low, abs=0.03)
    assert ours.high == pytest.approx(theirs.high, abs=0.03)


def test_the_expansion_is_hesterbergs():
    """Of a normal distribution the expanded percentiles are the t interval, wider by sqrt(n / (n - 1))."""
    grid = stats.norm.ppf((np.arange(1_000_000) + 0.5) / 1_000_000)
    for n in (6, 20, 100):
        assert expanded(grid, n).high == pytest.approx(math.sqrt(n / (n - 1)) * stats.t.ppf(0.975, n - 1), abs=0.01)


@given(matrices)
@settings(deadline=None, max_examples=30)
def test_signs_scale_and_shift_go_through(d):
    low, high = interval(d)
    assert low <= d.mean() <= high
    assert interval(3 * d) == pytest.approx((3 * low, 3 * high))
    assert interval(d + 1) == pytest.approx((low + 1, high + 1))
    assert interval(-d) == pytest.approx((-high, -low))
    assert p_value(-d) == pytest.approx(p_value(d))


@given(st.permutations(range(8)))
@settings(deadline=None, max_examples=5)
def test_the_order_of_rows_makes_no_difference(order):
    rows = measured(items=2, seeds=2, frames=3)
    shuffled = pd.concat([rows.iloc[i::8] for i in order])
    pd.testing.assert_frame_equal(compare(shuffled), compare(rows), check_exact=True)


def coverage(draw, trials: int = 400, of=interval) -> float:
    """How often the interval of simulated differences holds their true mean, 0."""
    found = [of(draw()) for _ in range(trials)]
    return sum(low <= 0 <= high for low, high in found) / trials


def test_six_images_are_covered_nearly_as_often_as_said():
    rng = np.random.default_rng(0)
    assert 0.90 <= coverage(lambda: rng.normal(size=(1, 6)), 200) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "items", "parts", "least"),
    [
        (1, 6, (0, 1, 0), 0.91),
        (1, 20, (0, 1, 0), 0.92),
        (6, 1, (1, 0, 0.3), 0.90),
        (6, 6, (1, 1, 1), 0.93),  # with two ways the interval is rather too wide
        (6, 4, (0.1, 1, 0.1), 0.91),  # few clips are held fixed, whose truth is theirs
        (2, 14, (1, 0.1, 0.1), 0.91),
        (6, 4, (1, 0.1, 0.1), 0.91),
        (6, 6, (0, 0, 1), 0.97),
    ],
)
def test_coverage_where_the_truth_is_known(seeds, items, parts, least):
    """Differences made of a part of the seed, a part of the item, and one of both."""
    rng = np.random.default_rng(1)
    a, b, c = parts

    def draw() -> np.ndarray:
        of_seed, of_item = rng.normal(size=(seeds, 1)), rng.normal(size=(1, items))
        if max(seeds, items) >= FEWEST:  # what is held fixed has its own mean as the truth
            of_seed -= of_seed.mean() * (seeds < FEWEST)
            of_item -= of_item.mean() * (items < FEWEST)
        return a * of_seed + b * of_item + c * rng.normal(size=(seeds, items))

    assert coverage(draw) >= least


@pytest.mark.slow
def test_a_null_effect_is_mostly_undecided():
    tables = [compare(measured(effects={"none": 0, "canny": 0}, seed=seed)) for seed in range(40)]
    assert sum(row(table).verdict == "undecided" for table in tables) >= 35


def test_blocks_of_frames_tell_that_neighbours_are_alike():
    """A series that wanders has a wider interval than the same values in another order."""
    rng = np.random.default_rng(2)
    wandering = np.cumsum(rng.normal(size=100))
    low, high = interval_of_series(wandering)
    low_, high_ = interval_of_series(rng.permutation(wandering))
    assert high - low > 2 * (high_ - low_)
    assert low < wandering.mean() < high
    assert [block_length(n) for n in (1, 4, 12, 16, 100)] == [1, 2, 4, 4, 10]
    assert math.isnan(interval_of_series(np.arange(3.0)).low)  # a single block


@pytest.mark.slow
def test_frames_that_soon_forget_are_covered():
    rng = np.random.default_rng(4)

    def series() -> np.ndarray:
        return np.convolve(rng.normal(size=204), [1, 0.8, 0.6, 0.4, 0.2], "valid")

    assert coverage(series, 200, interval_of_series) >= 0.9


def test_holm_is_as_by_hand():
    """0.01 * 4, 0.02 * 3, 0.03 * 2 and 0.04, none below the one before."""
    adjusted = holm(pd.Series([0.03, 0.01, math.nan, 0.04, 0.02]))
    assert adjusted.round(9).fillna(-1).tolist() == [0.06, 0.04, -1, 0.06, 0.06]
    assert holm(pd.Series([0.5, 0.9])).tolist() == [1, 1]


def test_holm_counts_the_cells_of_one_quantity_and_subset():
    table = compare(pd.concat([measured(), measured(metric="ssim", effects={"none": 0, "canny": 0.1})]))
    psnr, ssim = (table[(table.metric == m) & (table.subset == "all")].set_index("extractor") for m in ("psnr", "ssim"))
    assert psnr.p_holm["canny"] == pytest.approx(2 * psnr.p["canny"])
    assert ssim.p_holm["canny"] == ssim.p["canny"]


@pytest.mark.parametrize("perfect", ["canny", "none", ""])
def test_a_frame_that_any_method_matches_exactly_is_compared_nowhere(perfect):
    """Its PSNR is infinite; the others are compared as if it was not in the data set."""
    rows = measured(items=7, seeds=2)
    others = compare(rows[rows.item.ne("item2")])
    rows.loc[rows.extractor.eq(perfect) & rows.item.eq("item2"), "value"] = math.inf
    pd.testing.assert_frame_equal(compare(rows), others)
    assert row(others).units == 6


def test_where_all_frames_are_matched_exactly_there_is_no_interval():
    rows = measured()
    rows.loc[rows.extractor.ne("lv"), "value"] = math.inf
    for extractor in ("canny", "lv"):
        found = row(compare(rows), extractor)
        assert math.isinf(found.baseline)
        assert found[["low", "high", "p", "p_holm"]].isna().all()
        assert found.verdict == "undecided"


def write(folder: Path, rows: pd.DataFrame) -> Path:
    rows.to_csv(folder / "frames.csv", index=False, float_format="%.6f")
    return folder / "frames.csv"


def test_the_same_values_give_the_same_bytes(tmp_path):
    rows = measured(items=3, seeds=2, frames=6)
    made = []
    for n, order in enumerate((rows, rows.iloc[::-1])):
        statistics(write(tmp_path, order), tmp_path / f"{n}.csv")
        made.append((tmp_path / f"{n}.csv").read_bytes())
    assert made[0] == made[1]
    assert made[0].startswith(b"model,extractor,dataset,subset,metric,region,space,border,value,baseline,difference,")


def test_half_a_pair_is_named(tmp_path):
    rows = measured(seeds=2)
    lost = rows[~(rows.method.eq("esrgan-none-s2") & rows.item.eq("item3"))]
    with pytest.raises(UserError, match=r"psnr of esrgan-canny-s2 on set, item item3, .*in esrgan-none-s2"):
        statistics(write(tmp_path, lost), tmp_path / "out.csv")
    less = rows[~(rows.method.eq("esrgan-canny-s2") & rows.item.eq("item3"))]
    with pytest.raises(UserError, match="esrgan-canny lacks psnr of 1 of the 12 frames that esrgan-none has on set"):
        statistics(write(tmp_path, less), tmp_path / "out.csv")
    uneven = rows[~(rows.seed.eq("2") & rows.item.eq("item3"))]
    with pytest.raises(UserError, match="not every seed of esrgan-canny has all items of set"):
        statistics(write(tmp_path, uneven), tmp_path / "out.csv")
    (tmp_path / "other.csv").write_text("a,b\n")
    with pytest.raises(UserError, match=r"other\.csv"):
        statistics(tmp_path / "other.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_resamples_are_enough_for_two_digits():
    """The noise of the percentiles themselves is small beside the interval."""
    x = np.random.default_rng(6).normal(size=(1, 10))
    means = np.random.default_rng(7).choice(x[0], (RESAMPLES, 10)).mean(axis=1)
    other, ours = expanded(means, 10), interval(x)
    assert abs(other.low - ours.low) < 0.05 * (ours.high - ours.low)
