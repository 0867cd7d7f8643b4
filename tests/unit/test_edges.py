"""Extractors: the paper's equations, OpenCV's edges, and the contract that any new one has to keep."""

import json
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sa_sr import edges
from sa_sr.edges import check_parameters, extract, extract_edges
from sa_sr.errors import UserError
from sa_sr.storage import description, h5_reader, h5_writer, put
from tests.hdf5 import items

IMAGES = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


@pytest.fixture
def photo():
    return skimage.data.astronaut()[100:140, 200:230]


def plugin(monkeypatch, function) -> str:
    """The function as an extractor of somebody else's package."""
    module = types.ModuleType(f"plugin_of_{function.__name__}_{id(function)}")
    vars(module)["function"] = function
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return f"{module.__name__}:function"


def naive_local_variance(image: np.ndarray, window: int, delta: float) -> np.ndarray:
    """Equations 1-3, one pixel at a time."""
    x, half = image / 255.0, window // 2
    padded = np.pad(x, ((half, half), (half, half), (0, 0)), "reflect")
    w = np.empty_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            for k in range(3):
                patch = padded[i : i + window, j : j + window, k]
                mean = patch.sum() / window**2
                variance = ((patch - mean) ** 2).sum() / window**2
                w[i, j, k] = variance / (variance + delta)
    return w


def test_none_is_no_weight_at_all(photo):
    weight = extract(photo, "none")
    assert weight.shape == (40, 30, 1)
    assert weight.dtype == np.float32
    assert not weight.any()


@pytest.mark.parametrize(("window", "delta"), [(3, 0.03), (5, 0.05), (7, 0.001)])
def test_local_variance_equals_the_equations(photo, window, delta):
    weight = extract(photo, "local_variance", window=window, delta=delta)
    assert weight.shape == photo.shape
    assert weight.dtype == np.float32
    np.testing.assert_allclose(weight, naive_local_variance(photo, window, delta), rtol=1e-6, atol=1e-12)


def test_local_variance_by_hand():
    image = np.zeros((5, 5, 3), np.uint8)
    image[2, 2] = 255, 0, 51
    weight = extract(image, "local_variance", delta=0.03)
    variance = 1 / 9 - 1 / 81  # mean of the squares minus square of the mean of eight zeros and a one
    assert weight[2, 2, 0] == pytest.approx(variance / (variance + 0.03))
    assert weight[1, 3, 2] == pytest.approx(variance / 25 / (variance / 25 + 0.03))
    assert weight[0, 2, 0] == 0  # beyond the window's reach
    assert not weight[:, :, 1].any()


def test_local_variance_of_the_gray_image_is_one_channel(photo):
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    expected = extract(np.dstack([gray] * 3), "local_variance")[:, :, :1]
    assert np.array_equal(extract(photo, "local_variance", per_channel=False), expected)


@settings(max_examples=60, deadline=None)
@given(IMAGES, st.sampled_from([3, 5, 9]), st.floats(1e-9, 10))
def test_local_variance_stays_in_range_and_is_zero_where_flat(image, window, delta):
    weight = extract(image, "local_variance", window=window, delta=delta)
    assert weight.min() >= 0
    assert weight.max() <= 1
    flat = extract(np.full_like(image, image[0, 0, 0]), "local_variance", window=window, delta=delta)
    assert not flat.any()


@settings(max_examples=30, deadline=None)
@given(IMAGES)
def test_local_variance_turns_with_the_image(image):
    weight = extract(image, "local_variance")
    assert np.array_equal(extract(image[::-1], "local_variance"), weight[::-1])
    assert np.array_equal(extract(image[:, ::-1], "local_variance"), weight[:, ::-1])
    assert np.array_equal(extract(image.transpose(1, 0, 2), "local_variance"), weight.transpose(1, 0, 2))


def test_canny_marks_the_contour_of_a_disk_and_nothing_else():
    y, x = np.mgrid[:64, :64] - 31.5
    radius = np.hypot(x, y)
    disk = np.where(radius < 20, 220, 40).astype(np.uint8)
    weight = extract(np.dstack([disk] * 3), "canny")
    assert weight.shape == (64, 64, 1)
    assert set(np.unique(weight)) == {0.0, 1.0}
    assert np.abs(radius[weight[:, :, 0] == 1] - 20).max() < 1.5
    assert not extract(np.full((64, 64, 3), 99, np.uint8), "canny").any()


def test_canny_is_opencvs_on_the_gray_image(photo):
    gray = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    assert np.array_equal(extract(photo, "canny")[:, :, 0], cv2.Canny(gray, 100, 200) > 0)
    other = extract(photo, "canny", low=30, high=90, aperture=5, l2gradient=True, blur=1.0)
    smooth = cv2.GaussianBlur(gray, (0, 0), 1.0)
    assert np.array_equal(other[:, :, 0], cv2.Canny(smooth, 30, 90, apertureSize=5, L2gradient=True) > 0)


def test_lower_thresholds_find_more_edges(photo):
    assert extract(photo, "canny", low=50, high=100).sum() > extract(photo, "canny").sum() > 0


@pytest.mark.parametrize(
    ("extractor", "params", "words"),
    [
        ("canny", {"lo": 50}, ["'lo'", "did you mean 'low'", "high, aperture"]),
        ("none", {"delta": 1}, ["'delta'", "'none'"]),
        ("local_variance", {"windw": 3}, ["did you mean 'window'"]),
        ("local_variance", {"window": 4}, ["window", "odd", "4"]),
        ("local_variance", {"window": 1}, ["window", "1"]),
        ("local_variance", {"window": 3.5}, ["window", "3.5"]),
        ("local_variance", {"delta": 0}, ["delta", "positive"]),
        ("local_variance", {"delta": float("nan")}, ["delta"]),
        ("canny", {"low": "x"}, ["low", "'x'"]),
        ("canny", {"low": 300}, ["low 300", "high 200"]),
        ("canny", {"aperture": 4}, ["aperture", "3, 5 or 7"]),
        ("canny", {"blur": -1}, ["blur"]),
        ("cany", {}, ["'cany'", "canny", "local_variance", "none"]),
    ],
)
def test_wrong_parameters_are_named(photo, extractor, params, words):
    with pytest.raises(UserError) as error:
        extract(photo, extractor, **params)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import scipyy", "No module named 'scipyy'"),
        ("from numpy import float_128", "cannot import name 'float_128'"),
        ("def Broken(image): ...", "has no attribute 'broken'"),
    ],
)
def test_an_extractor_that_is_there_and_cannot_be_used_says_why(tmp_path, monkeypatch, code, why):
    (tmp_path / "broken.py").write_text(code)
    monkeypatch.setattr(edges, "__path__", [*edges.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "sa_sr.edges.broken", raising=False)
    with pytest.raises(UserError, match=rf"sa_sr\.edges\.broken: can't be used as the edges plugin 'broken' \(.*{why}"):
        check_parameters("broken", {})


def test_check_parameters_fills_in_and_converts():
    given_as_text = check_parameters("local_variance", {"delta": "1e-4"})  # YAML reads 1e-4 as text
    assert given_as_text == {"window": 3, "delta": 1e-4, "per_channel": True}
    assert check_parameters("none", {}) == {}


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_other_images_are_refused(image):
    with pytest.raises(ValueError, match=re.escape(str(image.shape))):
        extract(image, "canny")


def test_a_plugin_needs_nothing_but_a_function(photo, monkeypatch):
    def luminance(image, gain: float = 0.5):
        return (gain * image / 255).astype(np.float32)

    name = plugin(monkeypatch, luminance)
    np.testing.assert_allclose(extract(photo, name, gain=1), photo / 255, rtol=1e-6)
    with pytest.raises(UserError, match="it has: gain"):
        extract(photo, name, power=2)


@pytest.mark.parametrize(
    ("result", "word"),
    [
        (lambda image: image.astype(np.float32), "[0, 1]"),
        (lambda image: np.full(image.shape, np.nan, np.float32), "nan"),
        (lambda image: image / 255, "float64"),
        (lambda image: np.zeros(image.shape[:2], np.float32), "(40, 30)"),
        (lambda image: None, "NoneType"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_named(photo, monkeypatch, result, word):
    name = plugin(monkeypatch, result)
    with pytest.raises(UserError, match=re.escape(word)) as error:
        extract(photo, name)
    assert name in str(error.value)


def test_a_parameter_without_default_has_to_be_given(photo, monkeypatch):
    def fixed(image, value):
        return np.full((*image.shape[:2], 1), value, np.float32)

    name = plugin(monkeypatch, fixed)
    with pytest.raises(UserError, match="needs parameter 'value'"):
        extract(photo, name)
    assert extract(photo, name, value=0.25).max() == 0.25


@pytest.fixture
def data(tmp_path, photo):
    path = tmp_path / "photos.h5"
    with h5_writer(path, kind="clips", dataset="photos") as f:
        put(f, "hr/still", photo[None])
        put(f, "hr/moving", np.stack([photo, photo[::-1], photo[:, ::-1]]))
    return path


def stored(path: Path, item: str) -> tuple[np.ndarray, dict[str, Any]]:
    with h5_reader(path) as f:
        data: Any = f[f"weight/{item}"]
        return data[:], {name: description(f, name) for name in f.attrs}


def test_stage_stores_every_frames_weights_as_bytes(tmp_path, data, photo):
    out = tmp_path / "edges" / "local_variance.h5"
    extract_edges(data, out, "local_variance", {"delta": 0.01})
    assert items(out, "weight") == ["moving", "still"]
    moving, attrs = stored(out, "moving")
    assert moving.dtype == np.uint8
    for weight, frame in zip(moving, (photo, photo[::-1], photo[:, ::-1]), strict=True):
        assert np.abs(weight / 255 - extract(frame, "local_variance", delta=0.01)).max() <= 0.5 / 255 + 1e-6
    assert attrs["extractor"] == "local_variance"
    assert attrs["dataset"] == "photos"
    assert json.loads(attrs["params"]) == {"window": 3, "delta": 0.01, "per_channel": True}


def test_stage_keeps_binary_edges_binary(tmp_path, data, photo):
    extract_edges(data, tmp_path / "canny.h5", "canny", {})
    still, _ = stored(tmp_path / "canny.h5", "still")
    assert still.shape == (1, 40, 30, 1)
    assert np.array_equal(still[0], 255 * extract(photo, "canny").astype(np.uint8))


def test_stage_leaves_no_file_behind_when_it_fails(tmp_path, data, monkeypatch):
    name = plugin(monkeypatch, lambda image: image / 255)
    with pytest.raises(UserError, match="hr/moving"):
        extract_edges(data, tmp_path / "out" / "x.h5", name, {})
    with pytest.raises(UserError, match="no parameter"):
        extract_edges(data, tmp_path / "out" / "x.h5", "canny", {"sigma": 1})
    assert not list((tmp_path / "out").glob("*"))


def test_checking_parameters_needs_neither_torch_nor_hdf5():
    code = (
        "import sys; from sa_sr.edges import check_parameters; check_parameters('canny', {}); "
        "assert not {'torch', 'h5py'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
