"""Bit for bit: LR images that MATLAB made, and hashes of what the same code makes of photos that are installed."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from sa_sr.data.resize import imresize

MATLAB = Path(__file__).parents[2].parent / "shared/data/Set5_matlab_x4"


def sha256(image: np.ndarray) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


@pytest.mark.skipif(not MATLAB.is_dir(), reason="the LR images made by MATLAB are not here")
@pytest.mark.parametrize("number", range(1, 6))
def test_equals_matlab_in_every_pixel(number):
    hr, lr = (cv2.imread(str(MATLAB / f"img_00{number}_SRF_4_{kind}.png")) for kind in ("HR", "LR"))
    assert hr is not None
    assert lr is not None
    assert np.array_equal(imresize(hr, 1 / 4), lr)


# Made by the code that the test above holds to MATLAB's own images.
@pytest.mark.parametrize(
    ("photo", "scale", "border", "digest"),
    [
        ("astronaut", 1 / 4, "clamp", "779079bcc93ec25299324a20e627ad9bd6d317fe6e0ccc2c0037703d25ae14f7"),
        ("astronaut", 1 / 4, "mirror", "53ca505a86fd24fa38e922ad4427a2106d12646194c306f0b379f234e78e1763"),
        ("coffee", 1 / 4, "clamp", "662956125f621d51c00a6200a7c95b9776a3a8a8429764cdcde0143e4b17e3f3"),
        ("chelsea", 1 / 4, "clamp", "2b0830814fe14fa964c6a060c1a1bfa8814259f4c8bc185afacff3910ece3927"),
        ("chelsea", 1 / 2, "clamp", "63adba6301a3bf31dd1aba5260f579f29cc040f8d159facb561a6ec3b72b01e3"),
    ],
)
def test_lr_of_installed_photos(photo, scale, border, digest):
    assert sha256(imresize(getattr(skimage.data, photo)(), scale, border)) == digest


def test_bicubic_baseline_of_an_installed_photo():
    up = imresize(imresize(skimage.data.astronaut(), 1 / 4), 4)
    assert sha256(up) == "f21289cae02d3f0c86bf247616751c163c93140719c142d0aa0a9d3a7575989e"
