"""What the metrics take: 8-bit RGB pictures of one size, and their luma."""

from typing import Any

import cv2
import numpy as np


def check(**pictures: Any) -> None:
    """Refuse what would give a number that means something else.

    pictures: by the names of the arguments; each has to be (H, W, 3) uint8, all of one size. Raises ValueError with the
    name of the one that is not.
    """
    for name, image in pictures.items():
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
            raise ValueError(f"{name} must be a uint8 array; got {getattr(image, 'dtype', type(image).__name__)}")
        if image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"{name} must be (H, W, 3); got {image.shape}")
    (first, reference), *others = pictures.items()
    for name, image in others:
        if image.shape != reference.shape:
            raise ValueError(f"{first} {reference.shape} and {name} {image.shape} differ in size")


def check_mask(mask: Any, image: np.ndarray) -> None:
    """Raise ValueError unless `mask` marks pixels of `image`: boolean, (H, W)."""
    if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != image.shape[:2]:
        raise ValueError(f"a mask of {image.shape} must be boolean, {image.shape[:2]}; got {_kind(mask)}")


def gray(image: np.ndarray) -> np.ndarray:
    """BT.601 luma in full range, 0 to 255, rounded to uint8: (H, W)."""
    return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)


def luma(image: np.ndarray) -> np.ndarray:
    """The same unrounded, in gray levels: (H, W) float64. Equal steps of all three channels are that step."""
    return image @ np.array([0.299, 0.587, 0.114])


def studio_luma(image: np.ndarray) -> np.ndarray:
    """BT.601 luma as MATLAB's rgb2ycbcr scales it, unrounded: (H, W, 1) float64, 16 to 235."""
    return image @ (np.array([[65.481], [128.553], [24.966]]) / 255) + 16


def crop(x: np.ndarray, border: int, lost: int = 0) -> np.ndarray:
    """`x` without `border` pixels at each side; `lost`: how much smaller than the image it already is.

    Raises ValueError where nothing is left.
    """
    height, width = x.shape[0] - 2 * border, x.shape[1] - 2 * border
    if border < 0:
        raise ValueError(f"border must not be negative, got {border}")
    if height < 1 or width < 1:
        raise ValueError(f"border {border} needs an image of at least {2 * border + lost + 1} pixels a side")
    return x[border : border + height, border : border + width]


def _kind(found: Any) -> str:
    return f"{getattr(found, 'dtype', type(found).__name__)} {getattr(found, 'shape', '')}".strip()
