"""imresize: MATLAB's algorithm, told by its own definition, by torch, and by what any resampling has to do."""

import re
from math import ceil, floor

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa_sr.data.resize import imresize

SIZES = st.integers(1, 40)
SCALES = st.floats(0.1, 5)


def naive(image: np.ndarray, scale: float, border: str) -> np.ndarray:
    """The definition, pixel by pixel: one sample is a weighted mean of its neighbours; rows first, then columns."""

    def cubic(x: float) -> float:
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0

    def pixel(line: list, i: int) -> float:
        n = len(line)
        if border == "clamp":
            return line[min(max(i, 0), n - 1)]
        while not 0 <= i < n:
            i = -1 - i if i < 0 else 2 * n - 1 - i
        return line[i]

    def resample(line: list) -> list:
        out = []
        stretch = min(scale, 1.0)
        for k in range(ceil(len(line) * scale)):
            centre = (k + 0.5) / scale - 0.5
            taps = range(floor(centre - 3 / stretch), ceil(centre + 3 / stretch) + 1)
            weights = [cubic((centre - i) * stretch) for i in taps]
            value = sum(w * pixel(line, i) for w, i in zip(weights, taps, strict=True)) / sum(weights)
            out.append(min(max(floor(value + 0.5), 0), 255))
        return out

    rows = np.array([resample(list(map(int, column))) for column in image.T]).T
    return np.array([resample(list(map(int, row))) for row in rows], dtype=np.uint8)


@pytest.mark.parametrize("border", ["clamp", "mirror"])
@pytest.mark.parametrize("scale", [0.25, 0.5, 1 / 3, 0.7, 2, 4, 1.5])
def test_equals_the_definition(scale, border):
    image = skimage.data.camera()[200:223, 100:121]
    assert np.array_equal(imresize(image, scale, border), naive(image, scale, border))


@pytest.mark.parametrize("border", ["clamp", "mirror"])
def test_borders_wider_than_the_image(border):
    image = skimage.data.camera()[100:103, 100:102]
    assert np.array_equal(imresize(image, 0.1, border), naive(image, 0.1, border))


def test_rounds_to_uint8_between_the_passes():
    photo = skimage.data.astronaut()
    unrounded = np.clip(np.floor(imresize(photo.astype(np.float64), 0.25) + 0.5), 0, 255)
    difference = np.abs(unrounded - imresize(photo, 0.25))
    assert 0.05 < np.mean(difference > 0) < 0.2  # ports without that rounding are wrong in about one pixel of eight
    assert np.mean(difference > 1) < 0.001


@pytest.mark.parametrize("scale", [0.25, 0.5, 4])
def test_float_path_agrees_with_torch_in_the_interior(scale):
    image = skimage.data.chelsea()[:256, :256].astype(np.float64) / 255
    theirs = torch.nn.functional.interpolate(
        torch.from_numpy(image).permute(2, 0, 1)[None],
        scale_factor=scale,
        mode="bicubic",
        antialias=True,
        align_corners=False,
    )
    edge = max(3, int(2 * scale) + 1)
    inside = (slice(edge, -edge), slice(edge, -edge))
    difference = imresize(image, scale)[inside] - theirs[0].permute(1, 2, 0).numpy()[inside]
    assert np.abs(difference).max() < 1e-6


def test_float_is_neither_rounded_nor_clipped_and_keeps_its_type():
    step = np.zeros((8, 8), np.float32)
    step[:, 4:] = 1
    out = imresize(step, 4)
    assert out.dtype == np.float32
    assert out.max() > 1
    assert out.min() < 0
    assert imresize(step.astype(np.float64), 4).dtype == np.float64


def test_uint8_overshoot_is_clipped():
    step = np.zeros((8, 8), np.uint8)
    step[:, 4:] = 255
    overshooting = imresize(step.astype(np.float64), 4)
    assert overshooting.min() < -1
    assert overshooting.max() > 256
    assert np.array_equal(imresize(step, 4), np.clip(np.floor(overshooting + 0.5), 0, 255))


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SCALES, st.integers(0, 255), st.sampled_from(["clamp", "mirror"]))
def test_a_flat_image_stays_flat(height, width, scale, value, border):
    out = imresize(np.full((height, width, 3), value, np.uint8), scale, border)
    assert out.shape == (ceil(height * scale), ceil(width * scale), 3)
    assert np.all(out == value)


@settings(max_examples=30, deadline=None)
@given(st.integers(5, 30), st.integers(5, 30), SCALES)
def test_float_axes_are_alike(height, width, scale):
    image = skimage.data.camera()[:height, :width].astype(np.float64)
    np.testing.assert_allclose(imresize(image.T, scale), imresize(image, scale).T, atol=1e-9)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_channels_and_frames_do_not_mix(channels):
    photo = skimage.data.astronaut()[:60, :48]
    image = np.concatenate([photo, photo[::-1]], axis=2)[:, :, :channels]
    out = imresize(image, 0.25)
    assert out.shape == (15, 12, channels)
    for c in range(channels):
        assert np.array_equal(out[:, :, c], imresize(np.ascontiguousarray(image[:, :, c]), 0.25))
    clip = np.stack([image, image[:, ::-1]])
    assert np.array_equal(imresize(clip, 0.25)[0], out)
    assert np.array_equal(imresize(clip, 0.25)[1], imresize(image[:, ::-1], 0.25))


def test_scale_one_is_the_identity():
    image = skimage.data.coffee()
    assert np.array_equal(imresize(image, 1), image)


@pytest.mark.parametrize(
    ("image", "scale", "border", "word"),
    [
        (np.zeros((8, 8), np.uint16), 0.5, "clamp", "uint16"),
        (np.zeros((8, 8), bool), 0.5, "clamp", "bool"),
        (np.zeros(8, np.uint8), 0.5, "clamp", "(8,)"),
        (np.zeros((0, 8), np.uint8), 0.5, "clamp", "empty"),
        (np.zeros((8, 8), np.uint8), 0, "clamp", "scale"),
        (np.zeros((8, 8), np.uint8), float("nan"), "clamp", "scale"),
        (np.zeros((8, 8), np.uint8), 0.5, "reflect", "mirror"),
    ],
)
def test_refuses_what_it_would_get_wrong(image, scale, border, word):
    with pytest.raises(ValueError, match=re.escape(word)):
        imresize(image, scale, border)
