"""What a drawn figure shows."""

from pathlib import Path

import numpy as np
from PIL import Image


def read(path: Path) -> np.ndarray:
    """A picture, uint8 (H, W, 3)."""
    return np.asarray(Image.open(path).convert("RGB"))


def has_colour(image: np.ndarray, colour: str) -> bool:
    """Whether more than some pixels have the colour, which is written as in CSS."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return bool((np.abs(image.astype(int) - rgb).max(axis=2) <= 2).sum() > 50)
