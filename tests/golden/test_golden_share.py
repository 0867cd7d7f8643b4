"""Why beta2 = 20 is "around 15 %": the arithmetic of docs/method.md on photos that everybody has."""

import numpy as np
import pytest
import skimage.data

from sa_sr.data.resize import imresize
from sa_sr.edges import extract

ERROR = 0.035
"""Mean absolute error of a generator's pixels in [0, 1], and below the other two terms with it: from public logs."""
PERCEPTUAL, ADVERSARIAL = 0.85, 0.045


def weighted_error(name: str, extractor: str) -> float:
    """mean(W |e|) / mean |e| for the error e of bicubic x4."""
    hr = getattr(skimage.data, name)()
    hr = hr[: hr.shape[0] // 4 * 4, : hr.shape[1] // 4 * 4]
    error = np.abs(imresize(imresize(hr, 1 / 4), 4).astype(float) - hr)
    return float((extract(hr, extractor) * error).mean() / error.mean())


@pytest.mark.parametrize("extractor", ["canny", "local_variance"])
def test_beta2_of_20_gives_about_15_per_cent(extractor):
    shares = []
    for name in ("astronaut", "coffee", "rocket"):
        adaptive = 20 * weighted_error(name, extractor) * ERROR
        shares.append(adaptive / (adaptive + 0.01 * ERROR + PERCEPTUAL + ADVERSARIAL))
    assert 0.10 < np.mean(shares) < 0.16
