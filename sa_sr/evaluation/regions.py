"""Edge, texture and flat regions of a frame, by the contrast of the ground truth around each pixel.

The losses under test get their weights from the extractors in `sa_sr/edges`. What judges them must not: a variant would
look best where its own map says that edges are. So nothing here is shared with an extractor, neither code nor
parameters, and a change of an extractor moves no region.
"""

import cv2
import numpy as np

from sa_sr.evaluation.pictures import check, gray

REGIONS = ("edge", "texture", "flat")


def regions(hr: np.ndarray, window: int = 5, texture: float = 5.0, edge: float = 25.0) -> dict[str, np.ndarray]:
    """Which pixels of a picture are edge, texture and flat: boolean (H, W) by the names REGIONS, each pixel in one.

    What decides is the local standard deviation, in gray levels: the root of the variance of the 8-bit BT.601 luma in a
    uniform window, mirrored at the borders. Below `texture` a pixel is flat, from `edge` on it is edge.
    hr: (H, W, 3) uint8 RGB, the ground truth. window: its odd side, in pixels, less than twice the picture's.
    Raises ValueError for other pictures and for thresholds that are out of order.
    """
    check(hr=hr)
    if window % 2 == 0 or not 1 < window < 2 * min(hr.shape[:2]):
        raise ValueError(f"window must be odd, at least 3, and less than twice the picture's sides; got {window}")
    if not 0 < texture < edge:
        raise ValueError(f"texture must be above 0 and below edge; got texture {texture}, edge {edge}")
    # in whole numbers, which float64 holds exactly: a pixel is on the same side of a threshold on every machine
    image, count, side = gray(hr), window**2, (window, window)
    border = {"normalize": False, "borderType": cv2.BORDER_REFLECT_101}
    total, squares = (blur(image, cv2.CV_64F, side, **border) for blur in (cv2.boxFilter, cv2.sqrBoxFilter))
    variance = count * squares - total**2  # times count**2
    flat, edges = variance < (texture * count) ** 2, variance >= (edge * count) ** 2
    return {"edge": edges, "texture": ~(flat | edges), "flat": flat}
