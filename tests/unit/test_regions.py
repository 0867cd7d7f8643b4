"""Edge, texture and flat areas, and what PSNR and SSIM are there."""

from itertools import product

import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import generic_filter
from skimage.metrics import structural_similarity

from sa_sr.data.resize import imresize
from sa_sr.evaluation.metrics import PEAK, scores
from sa_sr.evaluation.regions import REGIONS, regions

IMAGES = arrays(np.uint8, (23, 27, 3))
Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def pair() -> Pair:
    """A photo's bicubic reconstruction and the photo."""
    hr = skimage.data.astronaut()[:120, 60:220]
    return imresize(imresize(hr, 0.25), 4), hr


def measured(sr: np.ndarray, hr: np.ndarray, areas: dict[str, np.ndarray], **options) -> dict[tuple, float]:
    return {tuple(quantity): value for *quantity, value in scores(sr, hr, regions=areas, **options)}


@settings(max_examples=30, deadline=None)
@given(IMAGES, st.sampled_from([3, 5, 9]), st.floats(1, 40), st.floats(1, 60))
def test_every_pixel_is_in_one_region(hr, window, texture, more):
    areas = regions(hr, window, texture, texture + more)
    assert tuple(areas) == REGIONS
    assert (np.sum(list(areas.values()), axis=0) == 1).all()


@pytest.mark.parametrize("window", [3, 5, 7])
def test_the_local_standard_deviation_decides(window):
    hr = skimage.data.coffee()[180:220, 200:250]
    gray = np.round(hr @ [0.299, 0.587, 0.114])
    deviation = generic_filter(gray, np.std, window, mode="mirror")
    areas = regions(hr, window, 4.5, 18.3)
    for name, expected in (("flat", deviation < 4.5), ("edge", deviation >= 18.3)):
        assert expected.any()
        assert (areas[name] != expected).mean() < 0.01  # OpenCV rounds a half to the other side here and there


def test_thresholds_belong_to_the_region_above():
    """Columns of 100 and 104: in a window of 3 x 3 the variance is 32 / 9 wherever they alternate."""
    hr = np.full((9, 9, 3), 100, np.uint8)
    hr[:, ::2] = 104
    threshold = float(np.std([100, 104, 104] * 3))
    assert regions(hr, 3, threshold * 0.9999, 50)["texture"].all()
    assert regions(hr, 3, threshold * 1.0001, 50)["flat"].all()
    assert regions(hr, 3, 1, threshold * 0.9999)["edge"].all()


def test_a_step_is_an_edge_and_the_walls_beside_it_are_flat():
    hr = np.full((40, 60, 3), 60, np.uint8)
    hr[:, 30:] = 180
    areas = regions(hr)
    assert areas["edge"][:, 28:32].all()
    assert areas["flat"][:, :28].all()
    assert areas["flat"][:, 32:].all()


def test_sky_is_flat_and_the_rocket_before_it_has_an_edge_on_both_sides():
    areas = regions(skimage.data.rocket())
    assert areas["flat"][:60, 100:500].mean() > 0.99
    edges = areas["edge"][200:320, 308:348]
    for side in (edges[:, :20], edges[:, 20:]):
        assert side.any(axis=1).mean() > 0.9


def test_fur_is_texture():
    assert regions(skimage.data.chelsea())["texture"][20:60, 180:260].mean() > 0.8


@settings(max_examples=30, deadline=None)
@given(IMAGES, IMAGES, st.sampled_from(["rgb", "y"]), st.sampled_from([0, 3]))
def test_errors_of_the_regions_add_up(sr, hr, space, border):
    """The mean squared error of the frame is that of its regions, weighted by their area."""
    hr = hr // 4  # that all regions occur
    areas = regions(hr)
    found = measured(sr, hr, areas, spaces=(space,), borders=(border,))
    inner = {name: area[border : 23 - border, border : 27 - border].mean() for name, area in areas.items()}
    parts = [
        share * PEAK**2 / 10 ** (found["psnr", name, space, border] / 10) for name, share in inner.items() if share
    ]
    assert sum(parts) == pytest.approx(PEAK**2 / 10 ** (found["psnr", "all", space, border] / 10), rel=1e-9)


@pytest.mark.parametrize("border", [0, 4, 8])
def test_a_region_has_the_mean_of_the_ssim_map_at_its_pixels(pair: Pair, border):
    sr, hr = pair
    areas = regions(hr)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _, similarity = structural_similarity(sr.astype(float), hr.astype(float), channel_axis=2, full=True, **options)  # type: ignore[misc]
    cut = slice(border + 5, -border - 5)  # windows inside the image: half a window from the border
    for name, area in areas.items():
        value = measured(sr, hr, areas, borders=(border,))["ssim", name, "rgb", border]
        assert value == pytest.approx(similarity[cut, cut][area[cut, cut]].mean(), abs=1e-9)


def test_an_error_counts_in_its_region_only(pair: Pair):
    _, hr = pair
    areas = regions(hr)
    sr = hr.copy()
    sr[areas["texture"]] ^= 1
    found = measured(sr, hr, areas, borders=(4, 8))
    for space, border in product(("rgb", "y"), (4, 8)):
        assert found["psnr", "edge", space, border] == found["psnr", "flat", space, border] == np.inf
        assert found["psnr", "texture", space, border] < found["psnr", "all", space, border] < np.inf


def test_all_of_the_frame_is_what_it_is_without_regions(pair: Pair):
    _, hr = pair
    alone = measured(*pair, {}, borders=(0, 4))
    found = measured(*pair, regions(hr), borders=(0, 4))
    assert alone == {quantity: value for quantity, value in found.items() if quantity[1] == "all"}
    assert len(found) == 4 * len(alone)


def test_equal_images_are_perfect_in_every_region(pair: Pair):
    _, hr = pair
    for (metric, *_), value in measured(hr, hr, regions(hr)).items():
        assert value == (np.inf if metric == "psnr" else pytest.approx(1, abs=1e-12))


def test_a_region_without_a_pixel_has_no_value():
    hr = np.full((40, 40, 3), 100, np.uint8)
    hr[:3, :3] = 200
    assert {name for _, name, *_ in measured(hr, hr, regions(hr), borders=(0,))} == {"all", *REGIONS}
    # in the corner no window of SSIM has its centre
    assert ("ssim", "edge", "rgb", 0) not in measured(hr, hr, regions(hr), borders=(0,))
    assert {name for _, name, *_ in measured(hr, hr, regions(hr), borders=(8,))} == {"all", "flat"}


@pytest.mark.parametrize(
    ("hr", "options", "words"),
    [
        (np.zeros((20, 20, 3)), {}, "hr must be a uint8 array; got float64"),
        (np.full((20, 20, 3), 300, np.int32), {}, "got int32"),
        (np.zeros((20, 20), np.uint8), {}, r"hr must be \(H, W, 3\)"),
        (np.zeros((20, 20, 3), np.uint8), {"window": 4}, "window must be odd"),
        (np.zeros((20, 3, 3), np.uint8), {"window": 7}, "less than twice the picture's sides; got 7"),
        (np.zeros((20, 20, 3), np.uint8), {"texture": 25.0}, "below edge; got texture 25.0, edge 25.0"),
    ],
)
def test_refuses_other_pictures_and_rules(hr, options, words):
    with pytest.raises(ValueError, match=words):
        regions(hr, **options)


@pytest.mark.parametrize("mask", [np.zeros((120, 160), np.uint8), np.zeros((100, 160), bool), [[True]]])
def test_scores_refuse_a_mask_that_does_not_fit(pair: Pair, mask):
    with pytest.raises(ValueError, match=r"must be boolean, \(120, 160\); got"):
        measured(*pair, {"edge": mask})
