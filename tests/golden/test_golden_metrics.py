"""The numbers of bicubic x4: on installed photos, and on the sets for which everybody's bicubic row is known."""

import csv
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from torch.nn import functional as F

from sa_sr.config import Evaluation
from sa_sr.config.results import LpipsChoice
from sa_sr.data.resize import imresize
from sa_sr.errors import UserError
from sa_sr.evaluation.metrics import NETS, Lpips, lpips, psnr, scores, ssim
from sa_sr.evaluation.protocol import evaluate
from sa_sr.evaluation.regions import regions
from sa_sr.models.pickles import load_arrays
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


LPIPS = {
    ("alex", "0.1"): {"chelsea": 0.435379, "coffee": 0.248485, "astronaut": 0.291559, "rocket": 0.331570},
    ("alex", "0.0"): {"chelsea": 0.231844, "coffee": 0.136913, "astronaut": 0.146944, "rocket": 0.144774},
    ("vgg", "0.1"): {"chelsea": 0.358015, "coffee": 0.251192, "astronaut": 0.293584, "rocket": 0.253861},
    ("vgg", "0.0"): {"chelsea": 0.138954, "coffee": 0.089563, "astronaut": 0.114992, "rocket": 0.066906},
}
MOST = [pytest.param(*which, marks=pytest.mark.slow if which[0] == "vgg" else ()) for which in LPIPS]
Asset = Callable[[str], Path]

# ex_ref beside ex_p0 and ex_p1, the example images of the official package (richzhang/PerceptualSimilarity, imgs/)
EXAMPLES = {
    ("alex", "0.1"): (0.7219, 0.1376),
    ("alex", "0.0"): (0.4056, 0.0839),
    ("vgg", "0.1"): (0.5686, 0.4217),
    ("vgg", "0.0"): (0.2240, 0.1331),
}


def example(name: str) -> np.ndarray:
    return read(Path(__file__).parent / f"lpips/{name}.png")


@pytest.mark.network
@pytest.mark.parametrize(("net", "version"), EXAMPLES)
def test_lpips_of_the_official_examples(asset: Asset, net, version):
    weights, reference = asset(NETS[net].asset), example("ex_ref")
    for name, expected in zip(("ex_p0", "ex_p1"), EXAMPLES[net, version], strict=True):
        assert lpips(example(name), reference, net, weights, version) == pytest.approx(expected, abs=1e-4)


@pytest.mark.network
@pytest.mark.parametrize(("net", "version"), [("alex", "0.1"), ("vgg", "0.0")])
def test_distance_and_map_are_those_of_the_package_to_the_bit(asset: Asset, net, version):
    metric = Lpips(asset(NETS[net].asset), net, version=version)
    pairs = [(example("ex_p0"), example("ex_ref")), (bicubic(crop("coffee"))[:100, :132], crop("coffee")[:100, :132])]
    for sr, hr in pairs:
        a, b = (torch.tensor(x.copy()).permute(2, 0, 1)[None] / 127.5 - 1 for x in (sr, hr))
        distance, spread = metric.distance_and_map(metric.features(sr), metric.features(hr))
        assert distance == metric(sr, hr) == float(metric.model(a, b))
        metric.model.spatial = True
        assert np.array_equal(spread, metric.model(a, b)[0, 0].numpy())
        metric.model.spatial = False
        assert spread.shape == hr.shape[:2]
        assert spread.mean() == pytest.approx(distance, rel=0.03)


@pytest.mark.network
def test_the_map_says_where_pictures_differ(asset: Asset):
    metric, hr = Lpips(asset("alexnet.ckpt")), crop("coffee")
    sr = hr.copy()
    sr[:96, :96] = bicubic(hr)[:96, :96]
    distance, spread = metric.distance_and_map(metric.features(sr), metric.features(hr))
    assert spread[:96, :96].mean() > 5 * distance
    assert spread[192:, 192:].mean() == pytest.approx(0, abs=1e-3)
    assert not metric.distance_and_map(metric.features(hr), metric.features(hr))[1].any()
    with pytest.raises(ValueError, match="differ in size"):
        metric.distance(metric.features(hr), metric.features(hr[:, :200]))


@pytest.mark.network
def test_evaluate_measures_lpips_of_regions_and_of_consecutive_frames(tmp_path, asset: Asset):
    photo, metric = skimage.data.coffee(), Lpips(asset("alexnet.ckpt"))
    hr = np.stack([photo[60 : 60 + 96, x : x + 128] for x in (150, 156, 160)])
    sr = np.stack([bicubic(frame) for frame in hr])
    for name, frames in (("sr", sr), ("hr", hr)):
        with h5_writer(tmp_path / f"{name}.h5") as f:
            put(f, f"{name}/pan", frames)
    out, weights = tmp_path / "set.csv", asset("alexnet.ckpt")
    evaluate(tmp_path / "sr.h5", tmp_path / "hr.h5", out, Evaluation(), "m", "m", "e", 1, "set", weights)
    found = {(r["metric"], r["region"], int(r["frame"])): float(r["value"]) for r in csv.DictReader(out.open())}
    assert [t for kind, _, t in found if kind == "tlpips"] == [1, 2]
    for t in (1, 2):
        expected = abs(metric(sr[t], sr[t - 1]) - metric(hr[t], hr[t - 1]))
        assert found["tlpips", "all", t] == pytest.approx(expected, abs=2e-6)
    for t in range(3):
        _, spread = metric.distance_and_map(metric.features(sr[t]), metric.features(hr[t]))
        for name, area in regions(hr[t]).items():
            assert found["lpips", name, t] == pytest.approx(spread[area].mean(), abs=2e-6)


@pytest.mark.network
@pytest.mark.parametrize(("net", "version"), MOST)
def test_lpips_of_installed_photos(asset: Asset, net, version):
    weights = asset(NETS[net].asset)
    for photo, expected in LPIPS[net, version].items():
        hr = crop(photo)
        assert lpips(bicubic(hr), hr, net, weights, version) == pytest.approx(expected, abs=5e-4), photo
    assert lpips(hr, hr, net, weights, version) == 0


class Stage(NamedTuple):
    """What LPIPS looks at once: a pooling of some size (0 for none) with stride 2, then convolutions with ReLU."""

    pool: int
    convolutions: int = 1
    stride: int = 1
    padding: int = 1


STAGES = {
    "alex": [Stage(0, stride=4, padding=2), Stage(3, padding=2), Stage(3), Stage(0), Stage(0)],
    "vgg": [Stage(0, 2), Stage(2, 2), Stage(2, 3), Stage(2, 3), Stage(2, 3)],
}


def by_hand(weights: Path, net: str, version: str, sr: np.ndarray, hr: np.ndarray) -> float:
    """LPIPS from the arrays of the file alone, with the heads of 0.0 from the official package."""
    tree: Any = load_arrays(weights)
    convolutions = tree[{"alex": "AlexNet_0", "vgg": "VGG16_0"}[net]]
    heads = [tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"].reshape(-1) for i in range(5)]
    x = torch.from_numpy(np.stack([sr, hr]).transpose(0, 3, 1, 2) / 255).float() * 2 - 1
    if version == "0.1":
        x = (x - torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)) / torch.tensor([0.458, 0.448, 0.450]).view(
            3, 1, 1
        )
    else:
        spec = importlib.util.find_spec("lpips")
        assert spec is not None
        assert spec.origin is not None
        state = torch.load(Path(spec.origin).with_name("weights") / f"v0.0/{net}.pth", map_location="cpu")
        heads = [state[f"lin{i}.model.1.weight"].flatten().numpy() for i in range(5)]
    total, done = 0.0, 0
    for stage, head in zip(STAGES[net], heads, strict=True):
        if stage.pool:
            x = F.max_pool2d(x, stage.pool, 2)
        for j in range(done, done := done + stage.convolutions):
            kernel, bias = (torch.from_numpy(convolutions[f"Conv_{j}"][part].copy()) for part in ("kernel", "bias"))
            x = F.relu(F.conv2d(x, kernel.permute(3, 2, 0, 1), bias, stage.stride, stage.padding))
        a, b = (features / np.linalg.norm(features, axis=0, keepdims=True).clip(1e-10) for features in x.numpy())
        total += np.einsum("c,chw->", head, (a - b) ** 2, dtype=np.float64) / a[0].size
    return total


@pytest.mark.network
@pytest.mark.parametrize(("net", "version"), MOST)
def test_lpips_equals_a_computation_by_hand(asset: Asset, net, version):
    weights = asset(NETS[net].asset)
    hr = crop("coffee")
    expected = by_hand(weights, net, version, bicubic(hr), hr)
    assert lpips(bicubic(hr), hr, net, weights, version) == pytest.approx(expected, abs=1e-5)


@pytest.mark.network
def test_lpips_prints_nothing_and_uses_no_random_numbers(asset: Asset, capfd, recwarn):
    weights = asset("alexnet.ckpt")
    capfd.readouterr()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    metric = Lpips(weights)
    assert torch.equal(torch.get_rng_state(), before)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""
    assert not len(recwarn)
    floats = crop("coffee") / 255
    for refused in (lambda: metric(floats, floats), lambda: metric.features(floats)):
        with pytest.raises(ValueError, match="float64"):
            refused()
    with pytest.raises(ValueError, match="differ in size"):
        metric(crop("coffee"), crop("coffee")[:, :200])


@pytest.mark.network
@pytest.mark.parametrize(("net", "smallest"), [("alex", 31), ("vgg", 16)])
def test_lpips_refuses_what_is_smaller_than_its_network_can_see(asset: Asset, net, smallest):
    metric = Lpips(asset(NETS[net].asset), net)
    hr = crop("coffee")
    assert metric(hr[:smallest, :40], hr[1 : smallest + 1, :40]) > 0
    with pytest.raises(ValueError, match=f"{smallest} pixels"):
        metric(hr[: smallest - 1, :40], hr[: smallest - 1, :40])
    with pytest.raises(RuntimeError, match="too small"):  # the network itself
        metric.model.net(torch.zeros(1, 3, smallest - 1, 40))


@pytest.mark.network
@pytest.mark.parametrize("net", NETS)
def test_other_weights_are_refused_by_name(tmp_path, asset: Asset, net):
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(asset(NETS[net].asset).read_bytes()[:10000])
    with pytest.raises(UserError, match=str(damaged)):
        Lpips(damaged, net)
    (other,) = (facts.asset for name, facts in NETS.items() if name != net)
    with pytest.raises(UserError, match=rf"{other}: not the network .* asset {NETS[net].asset}"):
        Lpips(asset(other), net)


@pytest.mark.network
@pytest.mark.parametrize(("net", "version"), [("alex", "0.1"), ("vgg", "0.0")])
def test_evaluate_writes_lpips_of_the_whole_rgb_frame(tmp_path, asset: Asset, net, version):
    hr = crop("astronaut")
    for name, image in (("sr", bicubic(hr)), ("hr", hr)):
        with h5_writer(tmp_path / f"{name}.h5") as f:
            put(f, f"{name}/astronaut", image[None])
    out, weights = tmp_path / "set.csv", asset(NETS[net].asset)
    protocol = Evaluation(lpips=LpipsChoice(net=net, version=version))
    evaluate(tmp_path / "sr.h5", tmp_path / "hr.h5", out, protocol, "bicubic", "bicubic", None, None, "set", weights)
    (line,) = (line for line in out.read_text().splitlines() if ",lpips,all," in line)
    *fields, value = line.split(",")
    assert fields == ["bicubic", "bicubic", "", "", "set", "astronaut", "0", "1", "lpips", "all", "rgb", "0"]
    assert float(value) == pytest.approx(LPIPS[net, version]["astronaut"], abs=5e-4)


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
