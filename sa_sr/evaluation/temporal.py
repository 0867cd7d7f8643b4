"""Whether consecutive frames of a result fit together: flicker, and motion that is not the truth's."""

from typing import NamedTuple

import cv2
import numpy as np

from sa_sr.evaluation.pictures import check, gray

SMALLEST = 12
"""Pixels a side that OpenCV's DIS needs."""


class Motion(NamedTuple):
    """How the truth moves from a frame to the one before."""

    flow: np.ndarray
    """(H, W, 2) float32: a pixel at (x, y) was at (x, y) + flow[y, x] in the frame before."""
    visible: np.ndarray
    """(H, W) bool: pixels that are seen in both frames, as far as the flow tells."""


def motion(hr_before: np.ndarray, hr: np.ndarray) -> Motion:
    """Optical flow of the truth, and where it holds.

    Visible is a pixel whose place in the frame before lies inside it, and which the flow back takes to where it came
    from: |f + b|^2 < 0.01 (|f|^2 + |b|^2) + 0.5.
    hr_before, hr: (H, W, 3) uint8 RGB, at least 12 pixels a side; ValueError for others.
    Source: Sundaram, Brox, Keutzer, Dense point trajectories by GPU-accelerated large displacement optical flow, 2010,
    for the check; Kroeger et al., Fast Optical Flow using Dense Inverse Search (DIS), 2016, for the flow.
    """
    there, back = flow(hr, hr_before), flow(hr_before, hr)
    height, width = there.shape[:2]
    x, y = places = _places(there)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    returned = cv2.remap(back, *places, cv2.INTER_LINEAR)
    lengths = (there**2).sum(axis=2) + (returned**2).sum(axis=2)
    return Motion(there, inside & (((there + returned) ** 2).sum(axis=2) < 0.01 * lengths + 0.5))


def flow(frame: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where each pixel of a frame is in the other: (H, W, 2) float32, horizontal and vertical pixels from its place.

    frame, other: (H, W, 3) uint8 RGB, at least 12 pixels a side; ValueError for others.
    """
    check(frame=frame, other=other)
    if min(frame.shape[:2]) < SMALLEST:
        raise ValueError(f"optical flow needs {SMALLEST} pixels a side, got {frame.shape[1]}x{frame.shape[0]}")
    # of OpenCV's presets the one that warps real clips best: its errors are 5 to 25 % below those of the next
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return method.calc(gray(frame), gray(other), None)  # type: ignore[call-overload]


def warping_error(sr_before: np.ndarray, sr: np.ndarray, truth: Motion) -> float | None:
    """Mean absolute difference between a frame and the one before moved to it, in gray levels; lower is better.

    The result's frames move as the truth does, so that its own flicker can't hide in its own flow. Over the visible
    pixels and the channels; None where no pixel is visible. A still clip has 0. The truth's own is above 0 where it
    moves, for flow is not exact, and a blurred result can be below that: read it beside the other metrics.
    sr_before, sr: (H, W, 3) uint8 RGB; truth: from `motion`. Raises ValueError for other pictures.
    Source: Lai, Huang, Wang, Shechtman, Yumer, Yang, Learning Blind Video Temporal Consistency, 2018, with the mean
    absolute difference for the square.
    """
    check(sr_before=sr_before, sr=sr)
    _check_size(sr, truth)
    if not truth.visible.any():
        return None
    moved = cv2.remap(sr_before.astype(np.float32), *_places(truth.flow), cv2.INTER_LINEAR)
    return float(np.abs(moved - sr)[truth.visible].mean(dtype=np.float64))


def flow_error(sr_before: np.ndarray, sr: np.ndarray, truth: Motion) -> float | None:
    """tOF: mean distance between the ends of the result's flow and of the truth's, in pixels; 0 is best.

    Over the visible pixels; None where there are none. Elsewhere, as in a black sky, flow is a guess, and two guesses
    differ by pixels.
    sr_before, sr: (H, W, 3) uint8 RGB; truth: from `motion`. Raises ValueError for other pictures.
    Source: Chu, Xie, Mayer, Leal-Taixe, Thuerey, Learning Temporal Coherence via Self-Supervision for GAN-based Video
    Generation (TecoGAN), 2020, with DIS for Farneback's flow, the Euclidean distance, and visible pixels only.
    """
    check(sr_before=sr_before, sr=sr)
    _check_size(sr, truth)
    if not truth.visible.any():
        return None
    return float(np.linalg.norm(flow(sr, sr_before) - truth.flow, axis=2)[truth.visible].mean(dtype=np.float64))


def _places(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel comes from: x and y, (H, W) float32."""
    y, x = np.indices(flow.shape[:2], dtype=np.float32)
    return x + flow[..., 0], y + flow[..., 1]


def _check_size(sr: np.ndarray, truth: Motion) -> None:
    if truth.flow.shape[:2] != sr.shape[:2]:
        raise ValueError(f"sr {sr.shape} and the truth's motion {truth.flow.shape} differ in size")
