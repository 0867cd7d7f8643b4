"""Whether the edges of a result are those of the truth: found, invented, missed."""

from typing import NamedTuple

import cv2
import numpy as np

from sa_sr.evaluation.pictures import check, gray


class EdgeMatch(NamedTuple):
    """Shares of edge pixels, 0 to 1, higher is better."""

    precision: float
    """Of the result's edge pixels, those with an edge of the truth nearby."""
    recall: float
    """Of the truth's edge pixels, those with an edge of the result nearby."""
    f1: float
    """Harmonic mean of the two."""


def edge_match(sr: np.ndarray, hr: np.ndarray, low: float = 50, high: float = 100, tolerance: int = 1) -> EdgeMatch:
    """Precision, recall and F1 of the edges that Canny finds in the 8-bit BT.601 luma of result and truth.

    Nearby is at most `tolerance` pixels away horizontally and vertically. Where neither picture has an edge all three
    are 1, where just one of them has, all three are 0.
    sr, hr: (H, W, 3) uint8 RGB. low, high: thresholds of OpenCV's Canny on the Euclidean norm of the 3x3 Sobel
    gradient, an edge of n gray levels having about 4 n. Raises ValueError for other pictures and thresholds.
    Source: Canny, A Computational Approach to Edge Detection, 1986; precision and recall of boundaries as by Martin,
    Fowlkes, Malik, Learning to Detect Natural Image Boundaries, 2004, with a plain neighbourhood for their assignment.
    """
    check(sr=sr, hr=hr)
    if not 0 < low <= high:
        raise ValueError(f"low must be above 0 and not above high; got low {low}, high {high}")
    if tolerance < 0:
        raise ValueError(f"tolerance must not be negative, got {tolerance}")
    ours, theirs = (cv2.Canny(gray(image), low, high, L2gradient=True) for image in (sr, hr))
    if not (ours.any() and theirs.any()):
        return EdgeMatch(*[float(ours.any() == theirs.any())] * 3)
    nearby = np.ones((2 * tolerance + 1, 2 * tolerance + 1), np.uint8)
    precision, recall = _share(ours, cv2.dilate(theirs, nearby)), _share(theirs, cv2.dilate(ours, nearby))
    return EdgeMatch(precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0)


def _share(edges: np.ndarray, there: np.ndarray) -> float:
    return float(np.count_nonzero(edges & there) / np.count_nonzero(edges))
