"""The numbers of bicubic x4: on installed photos, and on the sets for which everybody's bicubic row is known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from sa_sr.data import fetch
from sa_sr.data.resize import imresize
from sa_sr.errors import UserError
from sa_sr.evaluation.metrics import Lpips, lpips, psnr, scores, ssim
from sa_sr.evaluation.protocol import Protocol, evaluate
from sa_sr.storage import h5_writer, put

SHARED = Path(__file__).parents[2].parent / "shared/data"


def bicubic(hr: np.ndarray) -> np.ndarray:
    return imresize(imresize(hr, 1 / 4), 4)


def crop(photo: str) -> np.ndarray:
    """256 x 256 pixels of a photo of scikit-image."""
    y, x = {"coffee": (60, 150)}.get(photo, (0, 0))
    return getattr(skimage.data, photo)()[y : y + 256, x : x + 256]


def read(path: Path) -> np.ndarray:
    """RGB, cut at the right and the bottom to multiples of 4; gray becomes three equal channels."""
    image = cv2.imread(str(path))
    assert image is not None
    return image[: image.shape[0] // 4 * 4, : image.shape[1] // 4 * 4, ::-1]


# PSNR-Y of these crops was found by independent code too: 29.92, 27.58, 28.07, 33.14. rocket is a JPEG.
@pytest.mark.parametrize(
    ("photo", "psnr_rgb", "psnr_y", "ssim_rgb", "ssim_y", "tolerance"),
    [
        ("chelsea", 28.515757, 29.914113, 0.712564, 0.741815, 1e-6),
        ("coffee", 26.092171, 27.578466, 0.833070, 0.857078, 1e-6),
        ("astronaut", 26.571617, 28.068112, 0.831478, 0.862737, 1e-6),
        ("rocket", 29.024560, 33.133084, 0.840803, 0.863296, 5e-3),
    ],
)
def test_psnr_and_ssim_of_installed_photos(photo, psnr_rgb, psnr_y, ssim_rgb, ssim_y, tolerance):
    hr = crop(photo)
    sr = bicubic(hr)
    assert psnr(sr, hr) == pytest.approx(psnr_rgb, abs=tolerance)
    assert psnr(sr, hr, "y") == pytest.approx(psnr_y, abs=tolerance)
    assert ssim(sr, hr) == pytest.approx(ssim_rgb, abs=tolerance)
    assert ssim(sr, hr, "y") == pytest.approx(ssim_y, abs=tolerance)


@pytest.fixture(scope="module")
def alexnet() -> Path:
    return fetch.path("alexnet.ckpt")


# Of code that gives 0.7219 and 0.1376 for the example images of the official package (ex_ref with ex_p0 and ex_p1).
@pytest.mark.network
@pytest.mark.parametrize(
    ("photo", "expected"), [("chelsea", 0.43538), ("coffee", 0.24848), ("astronaut", 0.29156), ("rocket", 0.33157)]
)
def test_lpips_of_installed_photos(alexnet, photo, expected):
    hr = crop(photo)
    assert lpips(bicubic(hr), hr, weights=alexnet) == pytest.approx(expected, abs=5e-4)
    assert lpips(hr, hr, weights=alexnet) == 0


@pytest.mark.network
def test_lpips_prints_nothing_uses_no_random_numbers_and_refuses_small_images(alexnet, capfd, recwarn):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    metric = Lpips(alexnet)
    assert torch.equal(torch.get_rng_state(), before)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert not len(recwarn)
    hr = crop("coffee")
    assert metric(hr[:31, :40], hr[1:32, :40]) > 0
    with pytest.raises(ValueError, match="31 pixels"):
        metric(hr[:30, :40], hr[:30, :40])
    with pytest.raises(ValueError, match="float64"):
        metric(hr / 255, hr / 255)


@pytest.mark.network
def test_other_weights_are_refused_by_name(tmp_path, alexnet):
    damaged = tmp_path / "alexnet.ckpt"
    damaged.write_bytes(alexnet.read_bytes()[:10000])
    with pytest.raises(UserError, match=str(damaged)):
        Lpips(damaged)


@pytest.mark.network
def test_evaluate_writes_lpips_of_the_whole_rgb_frame(tmp_path, alexnet):
    hr = crop("astronaut")
    for name, image in (("sr", bicubic(hr)), ("hr", hr)):
        with h5_writer(tmp_path / f"{name}.h5") as f:
            put(f, f"{name}/astronaut", image[None])
    out = tmp_path / "set.csv"
    evaluate(tmp_path / "sr.h5", tmp_path / "hr.h5", out, Protocol(), "bicubic", "bicubic", None, None, "set", alexnet)
    (line,) = (line for line in out.read_text().splitlines() if ",lpips," in line)
    *fields, value = line.split(",")
    assert fields == ["bicubic", "bicubic", "", "", "set", "astronaut", "0", "1", "lpips", "rgb", "0"]
    assert float(value) == pytest.approx(0.29156, abs=5e-4)


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "Set14").is_dir(), reason="Set5 and Set14 are not here")
@pytest.mark.parametrize(("name", "expected"), [("Set5", 28.43), ("Set14", 26.09)])
def test_bicubic_row_of_the_classic_sets(name, expected):
    photos = [read(path) for path in sorted((SHARED / name).glob("*.png"))]
    assert np.mean([psnr(bicubic(hr), hr, "y", 4) for hr in photos]) == pytest.approx(expected, abs=0.005)


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "Vid4").is_dir(), reason="Vid4 is not here")
def test_bicubic_row_of_vid4():
    """Every fifth frame; mean over the frames of a clip, then over the clips."""
    clips = []
    for clip in sorted((SHARED / "Vid4").iterdir()):
        frames = [read(path) for path in sorted(clip.glob("*.png"))[::5]]
        clips.append(np.mean([[value for *_, value in scores(bicubic(hr), hr, borders=(4,))] for hr in frames], axis=0))
    psnr_rgb, ssim_rgb, psnr_y, ssim_y = np.mean(clips, axis=0)
    assert (psnr_rgb, psnr_y) == (pytest.approx(22.38, abs=0.02), pytest.approx(23.79, abs=0.02))
    assert (ssim_rgb, ssim_y) == (pytest.approx(0.6090, abs=0.001), pytest.approx(0.6339, abs=0.001))
