"""PSNR and SSIM: by hand, against scikit-image, and what they refuse."""

import subprocess
import sys
from functools import partial
from math import inf, log10
from typing import Any

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.metrics import structural_similarity

from sa_sr.config.results import LpipsChoice
from sa_sr.data.resize import imresize
from sa_sr.evaluation.metrics import NETS, Lpips, lpips, psnr, scores, ssim

Pair = tuple[np.ndarray, np.ndarray]
IMAGES = arrays(np.uint8, (23, 27, 3))


@pytest.fixture(scope="module")
def pair() -> Pair:
    """A photo's bicubic reconstruction and the photo."""
    hr = skimage.data.astronaut()[:120, 60:220]
    return imresize(imresize(hr, 0.25), 4), hr


def luma(image: np.ndarray) -> np.ndarray:
    r, g, b = np.moveaxis(image / 255.0, 2, 0)
    return 16 + 65.481 * r + 128.553 * g + 24.966 * b


def flat(*rgb: int) -> np.ndarray:
    return np.tile(np.array(rgb, np.uint8), (30, 30, 1))


def test_psnr_by_hand():
    assert psnr(flat(10, 10, 10), flat(15, 15, 15)) == pytest.approx(10 * log10(255**2 / 25))
    assert psnr(flat(3, 0, 0), flat(0, 0, 0)) == pytest.approx(10 * log10(255**2 / 3))  # 9 in one channel of three
    step = 65.481 * 3 / 255
    assert psnr(flat(3, 0, 0), flat(0, 0, 0), space="y") == pytest.approx(20 * log10(255 / step))


def test_luma_is_in_studio_range_and_not_rounded():
    assert psnr(flat(255, 255, 255), flat(0, 0, 0), space="y") == pytest.approx(20 * log10(255 / 219))
    assert psnr(flat(0, 0, 1), flat(0, 0, 0), space="y") == pytest.approx(20 * log10(255 / (24.966 / 255)))


def test_equal_images_are_perfect(pair: Pair):
    _, hr = pair
    for space in ("rgb", "y"):
        assert psnr(hr, hr, space) == inf
        assert ssim(hr, hr, space) == pytest.approx(1, abs=1e-12)


def test_ssim_of_flat_images_by_hand():
    # no variance: the luminance term alone is left
    c1 = (0.01 * 255) ** 2
    assert ssim(flat(100, 100, 100), flat(50, 50, 50)) == pytest.approx((2 * 100 * 50 + c1) / (100**2 + 50**2 + c1))


@pytest.mark.parametrize("border", [0, 4, 8])
def test_ssim_equals_scikit_image(pair: Pair, border):
    sr, hr = (x[border : x.shape[0] - border, border : x.shape[1] - border] for x in pair)

    def reference(a: np.ndarray, b: np.ndarray) -> float:
        options: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        result: Any = structural_similarity(a, b, data_range=255, channel_axis=2, full=True, **options)
        return result[1][5:-5, 5:-5].mean()  # its map is padded at the border

    assert ssim(*pair, "rgb", border) == pytest.approx(reference(sr.astype(float), hr.astype(float)), abs=1e-9)
    expected = reference(luma(sr)[:, :, None], luma(hr)[:, :, None])
    assert ssim(*pair, "y", border) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("border", [0, 4, 8])
def test_ssim_with_the_uniform_window_is_scikit_images_default(pair: Pair, border):
    sr, hr = (x[border : x.shape[0] - border, border : x.shape[1] - border] for x in pair)
    assert ssim(*pair, "rgb", border, "uniform") == pytest.approx(
        structural_similarity(sr, hr, channel_axis=2), abs=1e-9
    )
    expected = structural_similarity(luma(sr), luma(hr), data_range=255)
    assert ssim(*pair, "y", border, "uniform") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("border", [0, 4, 8])
def test_border_is_cut_off_all_sides_and_no_more(pair: Pair, border):
    sr, hr = pair
    for metric in (psnr, ssim):
        inner = (slice(border, sr.shape[0] - border), slice(border, sr.shape[1] - border))
        assert metric(sr, hr, border=border) == pytest.approx(metric(sr[inner], hr[inner], border=0), abs=1e-9)
    if border:
        spoilt = sr.copy()
        spoilt[:border] = spoilt[-border:] = 0
        spoilt[:, :border] = spoilt[:, -border:] = 0
        assert psnr(spoilt, hr, border=border) == psnr(sr, hr, border=border)
        assert psnr(spoilt, hr, border=border - 1) < psnr(sr, hr, border=border - 1)


@pytest.mark.parametrize("window", ["gaussian", "uniform"])
def test_scores_are_the_same_numbers(pair: Pair, window):
    metrics = {"psnr": psnr, "ssim": partial(ssim, window=window)}
    found = list(scores(*pair, ("rgb", "y"), (0, 4, 8), window))
    assert len(found) == 12
    for metric, region, space, border, value in found:
        assert region == "all"
        assert value == pytest.approx(metrics[metric](*pair, space, border), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(IMAGES, IMAGES, st.sampled_from(["rgb", "y"]), st.sampled_from(["gaussian", "uniform"]))
def test_order_does_not_matter_and_ssim_is_bounded(a, b, space, window):
    assert psnr(a, b, space) == psnr(b, a, space)
    similarity = ssim(a, b, space, window=window)
    assert similarity == pytest.approx(ssim(b, a, space, window=window), abs=1e-12)
    assert -1 <= similarity <= 1 + 1e-12


@pytest.mark.parametrize("metric", [psnr, ssim, lambda sr, hr: list(scores(sr, hr))])
@pytest.mark.parametrize(
    ("sr", "hr", "word"),
    [
        (np.zeros((20, 20, 3)), np.zeros((20, 20, 3), np.uint8), "sr must be a uint8 array; got float64"),
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20, 3), np.float32), "hr must be a uint8 array; got float32"),
        (np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8), r"\(H, W, 3\)"),
        (np.zeros((20, 20, 4), np.uint8), np.zeros((20, 20, 4), np.uint8), r"\(H, W, 3\)"),
        (np.zeros((20, 20, 3), np.uint8), np.zeros((20, 24, 3), np.uint8), "differ in size"),
        (np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8, 3), np.uint8), "at least"),
        ([[[0, 0, 0]]], np.zeros((1, 1, 3), np.uint8), "list"),
    ],
)
def test_refuses_arrays_that_would_mean_something_else(metric, sr, hr, word):
    with pytest.raises(ValueError, match=word):
        metric(sr, hr)


def test_smallest_images():
    image = skimage.data.coffee()[:19, :19]
    assert ssim(image, image, border=4) == pytest.approx(1)
    with pytest.raises(ValueError, match="at least 19 pixels"):
        ssim(image[:18], image[:18], border=4)
    assert ssim(image[:15], image[:15], border=4, window="uniform") == pytest.approx(1)
    with pytest.raises(ValueError, match="at least 15 pixels"):
        ssim(image[:14], image[:14], border=4, window="uniform")
    assert psnr(image[:9, :9], image[:9, :9], border=4) == inf
    with pytest.raises(ValueError, match="at least 9 pixels"):
        psnr(image[:8], image[:8], border=4)


def test_unknown_options_are_refused(pair: Pair):
    with pytest.raises(ValueError, match="rgb, y"):
        psnr(*pair, space="gray")
    with pytest.raises(ValueError, match="negative"):
        ssim(*pair, border=-1)
    for refused in (lambda: ssim(*pair, window="box"), lambda: next(scores(*pair, window="box"))):
        with pytest.raises(ValueError, match="window must be one of gaussian, uniform; got 'box'"):
            refused()
    with pytest.raises(ValueError, match="net must be one of alex, vgg; got 'squeeze'"):
        lpips(*pair, net="squeeze")
    with pytest.raises(ValueError, match=r"version must be one of 0\.1, 0\.0; got '1\.0'"):
        Lpips(net="vgg", version="1.0")


def test_the_configuration_asks_for_the_asset_that_lpips_takes():
    for net, facts in NETS.items():
        assert LpipsChoice.model_validate({"net": net}).asset == facts.asset


def test_psnr_and_ssim_need_no_torch():
    code = "import sys, sa_sr.evaluation.metrics; assert not {'torch', 'torchvision', 'lpips'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_lpips_imports_even_beside_a_torchvision_built_for_something_else():
    from sa_sr.torchvision_compat import ensure_torchvision

    ensure_torchvision()
    ensure_torchvision()
    import lpips
    import torchvision

    assert torchvision.models.alexnet
    assert lpips.LPIPS
