"""Consecutive frames: flicker and motion."""

from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from sa_sr.evaluation.temporal import Motion, flow, flow_error, motion, warping_error

Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def pan() -> Pair:
    """Two frames: a window that moves 3 pixels to the right and 1 down over a photo."""
    photo = skimage.data.coffee()
    return photo[100:220, 150:310], photo[101:221, 153:313]


@pytest.fixture(scope="module")
def moving(pan) -> Motion:
    return motion(*pan)


def grained(frame: np.ndarray, seed: int, sigma: float = 8) -> np.ndarray:
    grain = np.random.default_rng(seed).normal(0, sigma, frame.shape)
    return (frame + grain).clip(0, 255).astype(np.uint8)


def test_motion_of_a_pan(moving: Motion):
    """What is at x now was at x + 3 before."""
    median = np.median(moving.flow[moving.visible], axis=0)
    assert median == pytest.approx((3, 1), abs=0.1)
    assert moving.visible[10:-10, 10:-10].mean() > 0.9
    assert not moving.visible[:, -2:].any()  # has just come into the frame


@settings(max_examples=20, deadline=None)
@given(arrays(np.uint8, (23, 27, 3)))
def test_a_still_clip_is_perfect(frame):
    still = motion(frame, frame)
    assert not still.flow.any()
    assert still.visible.all()
    assert warping_error(frame, frame, still) == flow_error(frame, frame, still) == 0


def test_the_truth_has_its_own_motion_and_nearly_no_warping_error(pan: Pair, moving: Motion):
    assert flow_error(*pan, moving) == 0
    unmoved = np.abs(pan[1].astype(float) - pan[0]).mean()
    error = warping_error(*pan, moving)
    assert error is not None
    assert error < unmoved / 3


def test_flicker_raises_the_warping_error(pan: Pair, moving: Motion):
    before, now = pan
    errors = [warping_error(before, (now * factor).astype(np.uint8), moving) for factor in (1, 0.95, 0.9)]
    assert errors == sorted(errors)
    assert errors[2] > 2 * errors[0]
    # grain that stays where it was in the world is no flicker; fresh grain in each frame is
    photo = grained(skimage.data.coffee(), 0)
    fixed = warping_error(photo[100:220, 150:310], photo[101:221, 153:313], moving)
    fresh = warping_error(grained(before, 1), grained(now, 2), moving)
    assert errors[0] < fixed < fresh


def test_a_still_result_of_a_moving_clip_has_the_wrong_motion(pan: Pair, moving: Motion):
    before, now = pan
    assert flow_error(now, now, moving) == pytest.approx(np.hypot(3, 1), rel=0.1)
    blurred = [cv2.GaussianBlur(frame, None, 3) for frame in pan]
    assert 0 < flow_error(*blurred, moving) < flow_error(now, now, moving)
    assert flow_error(grained(before, 1, 20), grained(now, 2, 20), moving) > 0.05


def test_only_visible_pixels_count(pan: Pair, moving: Motion):
    before, now = pan
    spoilt = np.where(moving.visible[:, :, None], now, 255 - now).astype(np.uint8)
    assert warping_error(before, spoilt, moving) == warping_error(before, now, moving)
    nothing = Motion(moving.flow, np.zeros_like(moving.visible))
    assert warping_error(before, now, nothing) is None
    assert flow_error(before, now, nothing) is None


def test_what_is_covered_is_not_visible():
    """A square goes over a photo: where it was and where it has come to, one of the frames shows something else."""
    photo = skimage.data.coffee()[100:220, 150:310]
    square = skimage.data.astronaut()[40:80, 200:240]
    before, now = photo.copy(), photo.copy()
    before[40:80, 40:80] = now[40:80, 52:92] = square
    seen = motion(before, now).visible
    assert seen[45:75, 42:50].mean() < 0.5  # uncovered
    assert seen[45:75, 58:86].mean() > 0.8  # the square itself
    assert seen[:30].mean() > 0.95


def test_threads_make_no_difference():
    frames = [cv2.resize(frame, (640, 480)) for frame in (skimage.data.coffee(), skimage.data.coffee()[:-4, 5:])]
    before = cv2.getNumThreads()
    found = []
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            found.append(flow(*frames))
    finally:
        cv2.setNumThreads(before)
    assert all(np.array_equal(found[0], other) for other in found[1:])


ZEROS = np.zeros((20, 20, 3), np.uint8)
STILL = Motion(np.zeros((20, 20, 2), np.float32), np.ones((20, 20), bool))


@pytest.mark.parametrize(
    "metric",
    [motion, flow, lambda a, b: warping_error(a, b, STILL), lambda a, b: flow_error(a, b, STILL)],
)
@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (ZEROS / 255, ZEROS, "must be a uint8 array; got float64"),
        (ZEROS, np.full((20, 20, 3), -3, np.float32), "must be a uint8 array; got float32"),
        (ZEROS.astype(np.uint16), ZEROS, "must be a uint8 array; got uint16"),
        (ZEROS[:, :, 0], ZEROS[:, :, 0], r"\(H, W, 3\)"),
        (ZEROS, ZEROS[:, :16], "differ in size"),
    ],
)
def test_refuses_arrays_that_would_mean_something_else(metric: Any, before, now, words):
    with pytest.raises(ValueError, match=words):
        metric(before, now)


def test_refuses_what_is_too_small_and_motion_of_another_size():
    with pytest.raises(ValueError, match="12 pixels a side, got 11x20"):
        flow(ZEROS[:, :11], ZEROS[:, :11])
    assert flow(ZEROS[:12, :12], ZEROS[:12, :12]).shape == (12, 12, 2)
    for metric in (warping_error, flow_error):
        with pytest.raises(ValueError, match="differ in size"):
            metric(ZEROS[:16], ZEROS[:16], STILL)
