"""What a picture of one's own keeps when it is enlarged, and that nothing of one's own is overwritten."""

import io
import os
import struct

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from sa_sr.errors import UserError
from sa_sr.upscale import upscale_file
from tests.unit.test_hostile_media import CAT, png_chunk, saved

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def upscaled(monkeypatch, tmp_path):
    """The PNG that comes of an image file; the network repeats each pixel."""
    monkeypatch.setattr("sa_sr.upscale.load", lambda path: torch.nn.Upsample(scale_factor=4))

    def run(suffix: str, data: bytes) -> Image.Image:
        (tmp_path / f"in{suffix}").write_bytes(data)
        upscale_file(tmp_path / f"in{suffix}", tmp_path / "weights", tmp_path / "out.png", 0)
        return Image.open(io.BytesIO((tmp_path / "out.png").read_bytes()))

    return run


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_the_colour_profile_is_kept(upscaled, suffix):
    large = upscaled(suffix, saved(CAT, suffix, icc_profile=SRGB))
    assert (large.size, large.mode) == ((640, 512), "RGB")
    assert large.info["icc_profile"] == SRGB


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_a_profile_of_other_colours_than_rgb_is_not_and_that_is_told(upscaled, caplog, mode):
    profile = SRGB[:16] + mode.replace("L", "GRAY").encode() + SRGB[20:]
    large = upscaled(".jpg", saved(CAT.convert(mode), ".jpg", icc_profile=profile))
    assert "icc_profile" not in large.info
    assert f"colour profile is for {'GRAY' if mode == 'L' else mode}" in caplog.text


def test_the_colours_that_a_png_tells_without_a_profile_are_kept(upscaled):
    chunks = png_chunk(b"gAMA", struct.pack(">I", 100_000)) + png_chunk(b"cHRM", struct.pack(">8I", *range(1, 9)))
    data = saved(CAT, ".png")
    large = upscaled(".png", data[:33] + chunks + data[33:])
    assert large.info["gamma"] == 1
    assert large.info["chromaticity"] == pytest.approx([n / 100_000 for n in range(1, 9)])


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_exif_is_kept_without_what_is_no_longer_true(upscaled, suffix):
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Ansel"
    exif.get_ifd(0x8769).update({0x9003: "2026:01:02 03:04:05", 0xA002: 160, 0xA003: 128})
    large = upscaled(suffix, saved(CAT, suffix, exif=exif.tobytes()))
    assert large.size == (512, 640), "turned, and so the orientation must go"
    assert dict(large.getexif()) == {0x013B: "Ansel", 0x8769: large.getexif()[0x8769]}
    assert dict(large.getexif().get_ifd(0x8769)) == {0x9003: "2026:01:02 03:04:05"}


def test_a_picture_without_notes_gets_none(upscaled):
    large = upscaled(".png", saved(CAT, ".png"))
    np.testing.assert_array_equal(np.asarray(large)[::4, ::4], np.asarray(CAT))
    assert large.info == {}


@pytest.mark.parametrize("way", ["same", "link", "weights"])
def test_what_is_read_is_never_overwritten(upscaled, tmp_path, way):
    (tmp_path / "in.png").write_bytes(saved(CAT, ".png"))
    os.link(tmp_path / "in.png", tmp_path / "link.png")
    out = tmp_path / ("in.png" if way == "same" else "link.png")
    image = tmp_path / "in.png"
    if way == "weights":
        (tmp_path / "photo.jpg").write_bytes(saved(CAT, ".jpg"))
        image = tmp_path / "photo.jpg"
    with pytest.raises(UserError, match=r"that is read, and would be overwritten; give another name"):
        upscale_file(image, tmp_path / "in.png" if way == "weights" else tmp_path / "weights", out, 0)
    assert (tmp_path / "in.png").read_bytes() == saved(CAT, ".png")
