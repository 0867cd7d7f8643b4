"""How LR is made from HR."""

import cv2
import numpy as np

from sa_sr.data.resize import imresize

SCALE = 4
SIGMA = 1.6  # pixels of HR
KERNEL = 13  # pixels across


def degrade(frame: np.ndarray, degradation: str, border: str) -> np.ndarray:
    """One LR frame.

    frame: HR, uint8 (H, W, 3), each side a multiple of 4. degradation: "BI", MATLAB's bicubic imresize, or "BD", a
    Gaussian blur of which every fourth pixel is kept, starting with the first; it reflects the image at its border
    without repeating the border pixel. border: "clamp" or "mirror", which is imresize's and of no matter to BD.

    Returns uint8 (H/4, W/4, 3), rounded half up. Raises ValueError for another degradation or border.
    """
    if degradation == "BI":
        return imresize(frame, 1 / SCALE, border)
    if degradation != "BD":
        raise ValueError(f"degradation must be BI or BD, got {degradation!r}")
    # in floating point: OpenCV's blur of uint8 has weights of 8 bits, and rounds between rows and columns
    blurred = cv2.GaussianBlur(frame.astype(np.float64), (KERNEL, KERNEL), SIGMA, borderType=cv2.BORDER_REFLECT_101)
    return np.clip(np.floor(blurred[::SCALE, ::SCALE] + 0.5), 0, 255).astype(np.uint8)
