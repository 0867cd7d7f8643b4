"""From SR files to tables: every frame, the right averages, and clear words where files do not fit together."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skimage.data
from typer.testing import CliRunner

from sa_sr.cli import app
from sa_sr.data.resize import imresize
from sa_sr.errors import UserError
from sa_sr.evaluation import COLUMNS
from sa_sr.evaluation import protocol as stage
from sa_sr.evaluation.aggregate import aggregate
from sa_sr.evaluation.metrics import psnr, ssim
from sa_sr.evaluation.protocol import Protocol, evaluate
from sa_sr.storage import h5_writer, put

NO_LPIPS = Protocol(lpips=None)
Files = tuple[Path, Path]
RUN = {"model": "esrgan", "extractor": "canny", "seed": 1}
BICUBIC = {"model": "bicubic", "extractor": None, "seed": None}


def store(path: Path, group: str, items: dict[str, np.ndarray]) -> Path:
    with h5_writer(path, dataset=path.stem) as f:
        for name, frames in items.items():
            put(f, f"{group}/{name}", frames)
    return path


@pytest.fixture(scope="module")
def hr() -> dict[str, np.ndarray]:
    """A photo, and a clip of seven frames: a window that moves over another photo."""
    coffee = skimage.data.coffee()
    return {
        "NA": skimage.data.astronaut()[None, 100:140, 200:248],
        "pan": np.stack([coffee[200:240, x : x + 40] for x in range(200, 256, 8)]),
    }


@pytest.fixture(scope="module")
def sr(hr) -> dict[str, np.ndarray]:
    return {name: imresize(imresize(frames, 0.25), 4) for name, frames in hr.items()}


@pytest.fixture
def files(tmp_path, sr, hr) -> Files:
    return store(tmp_path / "sr.h5", "sr", sr), store(tmp_path / "set.h5", "hr", hr)


def measure(files: Files, out: Path, method: str = "esrgan-canny-s1", protocol: Protocol = NO_LPIPS, run=RUN) -> Path:
    evaluate(*files, out, protocol, method=method, dataset="set", lpips_weights=None, **run)
    return out


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


def test_evaluate_measures_every_frame_of_every_item(tmp_path, files, sr, hr):
    rows = read(measure(files, tmp_path / "out.csv"))
    assert list(rows[0]) == COLUMNS
    assert len(rows) == (1 + 7) * 2 * 2 * 2
    assert {(r["item"], r["frame"], r["frames"]) for r in rows} == {
        ("NA", "0", "1"),
        *(("pan", str(t), "7") for t in range(7)),
    }
    metrics = {"psnr": psnr, "ssim": ssim}
    for r in rows:
        assert (r["method"], r["model"], r["extractor"], r["seed"]) == ("esrgan-canny-s1", "esrgan", "canny", "1")
        a, b = (x[r["item"]][int(r["frame"])] for x in (sr, hr))
        value = metrics[r["metric"]](a, b, r["space"], int(r["border"]))
        assert r["value"] == f"{value:.6f}"


def test_protocol_says_what_is_measured(tmp_path, files, sr, hr):
    protocol = Protocol(("y",), (2,), "uniform", None)
    rows = read(measure(files, tmp_path / "out.csv", protocol=protocol))
    assert {(r["metric"], r["space"], r["border"]) for r in rows} == {("psnr", "y", "2"), ("ssim", "y", "2")}
    (similarity,) = (r["value"] for r in rows if (r["metric"], r["item"]) == ("ssim", "NA"))
    assert similarity == f"{ssim(sr['NA'][0], hr['NA'][0], 'y', 2, 'uniform'):.6f}"


def test_the_command_takes_the_protocol_of_the_configuration(tmp_path, files, monkeypatch):
    """Nothing of `evaluation` is lost between the configuration and the stage."""
    settings = {"spaces": ["y"], "borders": [6], "ssim": "uniform", "lpips": {"net": "vgg", "version": "0.0"}}
    given = {}
    lpips = tmp_path / "vgg16.ckpt"
    lpips.touch()

    def evaluate(*files, **options):
        given.update(files=files, **options)
        files[2].touch()

    monkeypatch.setattr(stage, "evaluate", evaluate)
    options = {"--method": "esrgan-canny-s1", "--protocol": json.dumps(settings), "--lpips": str(lpips)}
    arguments = [str(path) for path in files] + [text for option in options.items() for text in option]
    done = CliRunner().invoke(app, ["evaluate", *arguments, "--out", str(tmp_path / "out.csv")])
    assert done.exit_code == 0, done.output
    assert given["files"] == (*files, tmp_path / "out.csv", Protocol(("y",), (6,), "uniform", "vgg", "0.0"))
    assert given["lpips_weights"] == lpips
    assert {key: given[key] for key in RUN} == RUN


def test_bicubic_has_no_extractor_and_no_seed(tmp_path, files):
    for nothing in (BICUBIC, {"model": "bicubic", "extractor": "", "seed": ""}):
        row = read(measure(files, tmp_path / "out.csv", "bicubic", run=nothing))[0]
        assert (row["method"], row["model"], row["extractor"], row["seed"]) == ("bicubic", "bicubic", "", "")


def test_a_perfect_frame_is_inf_throughout(tmp_path, hr):
    files = store(tmp_path / "sr.h5", "sr", hr), store(tmp_path / "set.h5", "hr", hr)
    out = measure(files, tmp_path / "out.csv")
    assert {r["value"] for r in read(out) if r["metric"] == "psnr"} == {"inf"}
    assert {r["value"] for r in read(out) if r["metric"] == "ssim"} == {"1.000000"}
    *_, means = summed([out], tmp_path)
    assert {r["value"] for r in read(means) if r["metric"] == "psnr"} == {"inf"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda sr: sr.pop("pan"), ["sr.h5", "lacks sr/pan"]),
        (lambda sr: sr.update(more=sr["NA"]), ["set.h5", "lacks hr/more"]),
        (lambda sr: sr.update(pan=sr["pan"][:-1]), ["sr/pan", "(6, 40, 40, 3)", "(7, 40, 40, 3)"]),
        (lambda sr: sr.update(NA=sr["NA"][:, :-4]), ["sr/NA", "(1, 36, 48, 3)"]),
        (lambda sr: sr.clear(), ["sr.h5: has no group 'sr'"]),
    ],
)
def test_files_that_do_not_fit_together(tmp_path, sr, hr, change, words):
    sr = dict(sr)
    change(sr)
    files = store(tmp_path / "sr.h5", "sr", sr), store(tmp_path / "set.h5", "hr", hr)
    with pytest.raises(UserError) as error:
        measure(files, tmp_path / "out" / "out.csv")
    for word in words:
        assert word in str(error.value)
    assert not list((tmp_path / "out").glob("*"))


def test_a_frame_that_is_too_small_is_named(tmp_path, files):
    with pytest.raises(UserError, match=r"sr/NA, frame 0: .*at least 41 pixels"):
        measure(files, tmp_path / "out.csv", protocol=Protocol(borders=(20,), lpips=None))


def summed(csvs: list[Path], place: Path) -> tuple[Path, Path, Path]:
    paths = place / "frames.csv", place / "clips.csv", place / "means.csv"
    aggregate(csvs, *paths)
    return paths


@pytest.fixture
def measured(tmp_path, files) -> list[Path]:
    return [
        measure(files, tmp_path / "bicubic.csv", "bicubic", run=BICUBIC),
        measure(files, tmp_path / "canny.csv"),
    ]


def test_frames_csv_is_all_rows_as_they_were(tmp_path, measured):
    frames, *_ = summed(measured, tmp_path)
    first, second = (path.read_text().splitlines() for path in measured)
    assert frames.read_text().splitlines() == [*first, *second[1:]]


def test_clips_are_means_over_frames_and_means_are_over_clips(tmp_path, measured):
    frames, clips, means = (read(path) for path in summed(measured, tmp_path))

    def values(rows, **wanted):
        wanted = {"method": "esrgan-canny-s1", "metric": "psnr", "space": "y", "border": "4"} | wanted
        return [r for r in rows if all(r[k] == v for k, v in wanted.items())]

    pan = [float(r["value"]) for r in values(frames, item="pan")]
    image = float(values(frames, item="NA")[0]["value"])
    expected = {"all": (np.mean(pan), "7"), "interior": (np.mean(pan[2:5]), "3")}
    assert expected["all"][0] != pytest.approx(expected["interior"][0], abs=1e-4)
    for subset, (clip, n) in expected.items():
        (row,) = values(clips, item="pan", subset=subset)
        assert float(row["value"]) == pytest.approx(clip, abs=1e-6)
        assert row["n"] == n
        (row,) = values(clips, item="NA", subset=subset)  # an image has no ends
        assert (float(row["value"]), row["n"]) == (image, "1")
        (row,) = values(means, subset=subset)
        assert float(row["value"]) == pytest.approx((clip + image) / 2, abs=1e-6)  # a clip counts as one item
        assert (row["n"], row["frames"]) == ("2", str(int(n) + 1))
    assert len(clips) == 2 * 2 * 2 * 8  # methods, items, subsets, quantities
    assert len(means) == 2 * 2 * 8


def test_bicubic_survives_the_grouping(tmp_path, measured):
    for path in summed(measured, tmp_path):
        rows = [r for r in read(path) if r["method"] == "bicubic"]
        assert rows
        assert {(r["model"], r["extractor"], r["seed"]) for r in rows} == {("bicubic", "", "")}


def test_the_order_is_that_of_the_input(tmp_path, measured):
    for paths in (measured, measured[::-1]):
        *_, means = summed(paths, tmp_path)
        assert list(pd.read_csv(means)["method"].unique()) == [pd.read_csv(p)["method"][0] for p in paths]


def test_other_files_are_refused_by_name(tmp_path, measured):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "damaged.csv").write_text(measured[0].read_text().replace(",psnr,rgb,4,", ",psnr,rgb,four,"))
    (tmp_path / "empty.csv").write_text("")
    for name in ("other.csv", "damaged.csv", "empty.csv", "missing.csv"):
        with pytest.raises(UserError, match=name):
            summed([measured[0], tmp_path / name], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_csv_given_twice_is_an_error(tmp_path, measured):
    with pytest.raises(UserError, match="bicubic on set, item NA"):
        summed([*measured, measured[0]], tmp_path / "out")
