"""Edges found, missed and invented; noise in flat areas; colour."""

from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sa_sr.evaluation.artefacts import colour_shift, noise
from sa_sr.evaluation.edges import edge_match
from sa_sr.evaluation.regions import regions

IMAGES = arrays(np.uint8, (23, 27, 3))


@pytest.fixture(scope="module")
def hr() -> np.ndarray:
    """A photo with sky and edges, away from black and white."""
    return (skimage.data.rocket()[150:350, 200:420] * 0.7 + 30).astype(np.uint8)


@pytest.fixture(scope="module")
def flat(hr) -> np.ndarray:
    return regions(hr)["flat"]


def bars(*columns: int, ends: int = 60) -> np.ndarray:
    """Bright one-sided steps at these columns, over a part of the rows."""
    image = np.full((60, 80, 3), 40, np.uint8)
    for i, column in enumerate(columns):
        image[:ends, column:] = 140 if i % 2 == 0 else 40
    return image


# --- edges ---


@settings(max_examples=30, deadline=None)
@given(IMAGES, IMAGES, st.sampled_from([0, 1, 3]))
def test_precision_of_one_is_recall_of_the_other(a, b, tolerance):
    one, other = edge_match(a, b, tolerance=tolerance), edge_match(b, a, tolerance=tolerance)
    assert (one.precision, one.recall, one.f1) == (other.recall, other.precision, pytest.approx(other.f1))
    assert all(0 <= share <= 1 for share in one)
    assert edge_match(a, a, tolerance=tolerance) == (1, 1, 1)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_blur_misses_edges(hr, sigma):
    before = edge_match(cv2.GaussianBlur(hr, None, sigma / 2), hr)
    after = edge_match(cv2.GaussianBlur(hr, None, sigma), hr)
    assert after.recall < before.recall < 1
    assert after.f1 < before.f1


def test_grain_invents_edges(hr):
    grain = np.random.default_rng(1).normal(0, 20, hr.shape)
    found = edge_match(np.clip(hr + grain, 0, 255).astype(np.uint8), hr)
    assert found.precision < 0.7 < found.recall


def test_a_missed_edge_and_an_invented_one():
    truth = bars(20, 50)
    missed, invented = edge_match(bars(20), truth), edge_match(truth, bars(20))
    assert (missed.precision, missed.recall) == (1, pytest.approx(1 / 2, abs=0.01))
    assert (invented.precision, invented.recall) == (pytest.approx(1 / 2, abs=0.01), 1)
    assert missed.f1 == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize(("shift", "tolerance"), [(1, 0), (1, 1), (2, 1), (2, 2), (3, 2)])
def test_tolerance_is_in_pixels(shift, tolerance):
    found = edge_match(bars(20 + shift), bars(20), tolerance=tolerance)
    assert found == ((1, 1, 1) if shift <= tolerance else (0, 0, 0))


def test_where_there_is_no_edge():
    empty, edges = bars(), bars(20)
    assert edge_match(empty, empty) == (1, 1, 1)
    assert edge_match(empty, edges) == edge_match(edges, empty) == (0, 0, 0)


def test_thresholds_of_edges():
    step = np.full((30, 40, 3), 100, np.uint8)
    step[:, 20:] += 22  # a gradient of 4 x 22
    assert edge_match(step, bars()[:30, :40], 50, 87) == (0, 0, 0)
    assert edge_match(step, bars()[:30, :40], 50, 89) == (1, 1, 1)
    for low, high in ((0, 10), (20, 10)):
        with pytest.raises(ValueError, match="low must be above 0 and not above high"):
            edge_match(step, step, low, high)
    with pytest.raises(ValueError, match="tolerance must not be negative"):
        edge_match(step, step, tolerance=-1)


# --- noise and colour ---


@pytest.mark.parametrize("sigma", [2.0, 4.0])
def test_noise_in_flat_areas_is_measured_and_is_no_colour_shift(hr, flat, sigma):
    grain = np.random.default_rng(0).normal(0, sigma, hr.shape[:2])[:, :, None] * flat[:, :, None]
    sr = np.round(hr + grain).clip(0, 255).astype(np.uint8)
    assert noise(sr, hr, flat) == pytest.approx(sigma, rel=0.06)  # a window of 25 pixels takes 2 % away
    assert colour_shift(sr, hr) < 0.1
    assert noise(hr, hr, flat) == colour_shift(hr, hr) == 0


@pytest.mark.parametrize("shift", [(5, 5, 5), (-12, 0, 3)])
def test_a_constant_shift_is_a_colour_shift_and_no_noise(hr, flat, shift):
    sr = (hr + np.array(shift)).astype(np.uint8)
    assert colour_shift(sr, hr) == pytest.approx(np.linalg.norm(shift))
    assert noise(sr, hr, flat) == pytest.approx(0, abs=1e-9)


def test_brightness_that_is_off_smoothly_is_hardly_noise(hr, flat):
    ramp = np.linspace(0, 40, hr.shape[1])[None, :, None]
    sr = np.round(hr + ramp).astype(np.uint8)
    assert noise(sr, hr, flat) < 0.4  # 0.29 is what rounding makes
    assert colour_shift(sr, hr) > 20


def test_errors_outside_the_flat_areas_do_not_count(hr, flat):
    sr = np.where(flat[:, :, None], hr, 255 - hr).astype(np.uint8)
    assert noise(sr, hr, flat) == 0


@settings(max_examples=30, deadline=None)
@given(IMAGES, IMAGES, arrays(bool, (23, 27)))
def test_noise_and_colour_shift_do_not_depend_on_the_order(sr, hr, flat):
    assert colour_shift(sr, hr) == pytest.approx(colour_shift(hr, sr))
    if flat.any():
        assert noise(sr, hr, flat) == pytest.approx(noise(hr, sr, flat), abs=1e-9)
    else:
        assert noise(sr, hr, flat) is None


def test_where_nothing_is_flat_there_is_no_noise(hr):
    assert noise(hr, hr, np.zeros(hr.shape[:2], bool)) is None
    with pytest.raises(ValueError, match="boolean"):
        noise(hr, hr, np.zeros(hr.shape[:2], np.uint8))
    with pytest.raises(ValueError, match="window must be odd"):
        noise(hr, hr, np.ones(hr.shape[:2], bool), 4)


ZEROS = np.zeros((20, 20, 3), np.uint8)


@pytest.mark.parametrize("metric", [edge_match, colour_shift, lambda sr, hr: noise(sr, hr, np.ones((20, 20), bool))])
@pytest.mark.parametrize(
    ("sr", "hr", "words"),
    [
        (ZEROS / 255, ZEROS, "sr must be a uint8 array; got float64"),
        (ZEROS, np.full((20, 20, 3), 1.7, np.float32), "hr must be a uint8 array; got float32"),
        (ZEROS.astype(np.int16), ZEROS, "sr must be a uint8 array; got int16"),
        (ZEROS[:, :, 0], ZEROS[:, :, 0], r"\(H, W, 3\)"),
        (ZEROS, ZEROS[:, :16], "differ in size"),
        ([[[0, 0, 0]]], ZEROS, "got list"),
    ],
)
def test_refuses_arrays_that_would_mean_something_else(metric: Any, sr, hr, words):
    with pytest.raises(ValueError, match=words):
        metric(sr, hr)
