"""The original model's loss, as an extractor."""

import numpy as np


def none(image: np.ndarray) -> np.ndarray:
    """No spatial information: the loss of the original model (eq. 17 and 21). The baseline is just another extractor.

    image: (H, W, 3) uint8. Returns zeros (H, W, 1) float32.
    """
    return np.zeros((*image.shape[:2], 1), np.float32)
