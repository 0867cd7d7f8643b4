"""What GANs add to a picture: noise where it should be smooth, and tints."""

import cv2
import numpy as np

from sa_sr.evaluation.pictures import check, check_mask, luma


def noise(sr: np.ndarray, hr: np.ndarray, flat: np.ndarray, window: int = 5) -> float | None:
    """Root mean square of the high-frequency error in flat areas, in gray levels; 0 is best, None without flat pixels.

    The error is the luma of sr less that of hr. From each pixel's error the mean error of the flat pixels in the window
    around it is taken away. So a constant shift does not count at all, a brightness that is off smoothly hardly, and an
    error at an edge beside does not leak in. Grain of the truth that the result lacks counts like grain that it adds.
    sr, hr: (H, W, 3) uint8 RGB; flat: boolean (H, W), see `regions`; window: its odd side, in pixels.
    Raises ValueError for other arrays and windows.
    """
    check(sr=sr, hr=hr)
    check_mask(flat, hr)
    if window % 2 == 0 or window < 3:
        raise ValueError(f"window must be odd and at least 3; got {window}")
    if not flat.any():
        return None
    error, weight = np.where(flat, luma(sr) - luma(hr), 0), flat.astype(np.float64)
    around = {"ddepth": -1, "ksize": (window, window), "normalize": False, "borderType": cv2.BORDER_CONSTANT}
    mean = cv2.boxFilter(error, **around)[flat] / cv2.boxFilter(weight, **around)[flat]
    return float(np.sqrt(np.mean((error[flat] - mean) ** 2)))


def colour_shift(sr: np.ndarray, hr: np.ndarray) -> float:
    """Euclidean norm of the difference of the mean RGB colours, in gray levels; 0 is best.

    sr, hr: (H, W, 3) uint8 RGB; ValueError for others.
    """
    check(sr=sr, hr=hr)
    return float(np.linalg.norm(np.subtract(cv2.mean(sr), cv2.mean(hr))))
