"""From SR files to tables: every frame, the right averages, and clear words where files do not fit together."""

import csv
import inspect
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import skimage.data
from typer.testing import CliRunner

from sa_sr.cli import app
from sa_sr.config.results import Edges, Evaluation, Regions
from sa_sr.data.resize import imresize
from sa_sr.errors import UserError
from sa_sr.evaluation import COLUMNS, METHOD, QUANTITY
from sa_sr.evaluation import protocol as stage
from sa_sr.evaluation.aggregate import aggregate
from sa_sr.evaluation.artefacts import colour_shift, noise
from sa_sr.evaluation.edges import edge_match
from sa_sr.evaluation.metrics import psnr, ssim
from sa_sr.evaluation.protocol import evaluate
from sa_sr.evaluation.regions import REGIONS, regions
from sa_sr.evaluation.temporal import flow_error, motion, warping_error
from sa_sr.render.labels import METRICS
from sa_sr.storage import h5_writer, put

Files = tuple[Path, Path]
EVERYTHING = Evaluation()
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


def measure(files: Files, out: Path, method="esrgan-canny-s1", protocol: Evaluation = EVERYTHING, run=RUN) -> Path:
    """All but LPIPS, whose network is not at hand."""
    evaluate(*files, out, protocol, method=method, dataset="set", lpips_weights=None, **run)
    return out


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as f:
        return list(csv.DictReader(f))


def test_evaluate_measures_every_frame_of_every_item(tmp_path, files, sr, hr):
    rows = read(measure(files, tmp_path / "out.csv"))
    assert list(rows[0]) == COLUMNS
    rows = [r for r in rows if r["region"] == "all" and r["metric"] in ("psnr", "ssim")]
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


def test_every_other_metric_stands_where_it_belongs(tmp_path, files, sr, hr):
    """Images have no temporal metrics, and the first frame of a clip has none."""
    rows = read(measure(files, tmp_path / "out.csv"))
    found = {
        (r["item"], int(r["frame"]), r["metric"]): (r["region"], r["space"], r["border"], r["value"])
        for r in rows
        if r["metric"] not in ("psnr", "ssim")
    }
    for item, t in [("NA", 0), *(("pan", t) for t in range(7))]:
        a, b = sr[item][t], hr[item][t]
        edges, flat = edge_match(a, b), regions(b)["flat"]
        expected = {f"edge_{name}": ("all", "y", "0", share) for name, share in edges._asdict().items()}
        expected["colour_shift"] = ("all", "rgb", "0", colour_shift(a, b))
        if flat.any():
            expected["noise"] = ("flat", "y", "0", noise(a, b, flat))
        if t:
            truth = motion(hr[item][t - 1], b)
            expected["warp"] = ("all", "rgb", "0", warping_error(sr[item][t - 1], a, truth))
            expected["tof"] = ("all", "y", "0", flow_error(sr[item][t - 1], a, truth))
        here = {metric: value for (i, u, metric), value in found.items() if (i, u) == (item, t)}
        assert here == {metric: (*place, f"{value:.6f}") for metric, (*place, value) in expected.items()}
    assert {metric for _, _, metric in found} | {"psnr", "ssim", "lpips", "tlpips"} == METRICS.keys()


def test_regions_have_rows_where_they_have_pixels(tmp_path, hr, sr):
    """A picture that is flat has neither edge nor texture."""
    plain = np.full((1, 40, 40, 3), 90, np.uint8)
    hr, sr = {"photo": hr["NA"], "plain": plain}, {"photo": sr["NA"], "plain": plain}
    files = store(tmp_path / "sr.h5", "sr", sr), store(tmp_path / "set.h5", "hr", hr)
    rows = [r for r in read(measure(files, tmp_path / "out.csv")) if r["metric"] in ("psnr", "ssim")]
    assert {r["region"] for r in rows if r["item"] == "photo"} == {"all", *REGIONS}
    assert {r["region"] for r in rows if r["item"] == "plain"} == {"all", "flat"}


def test_clips_do_not_run_into_each_other(tmp_path, hr, sr):
    """What is measured on a clip does not depend on the item before it."""
    alone = store(tmp_path / "sr1.h5", "sr", {"pan": sr["pan"]}), store(tmp_path / "hr1.h5", "hr", {"pan": hr["pan"]})
    both = store(tmp_path / "sr2.h5", "sr", {"a": sr["pan"][::-1], "pan": sr["pan"]})
    both = both, store(tmp_path / "hr2.h5", "hr", {"a": hr["pan"][::-1], "pan": hr["pan"]})
    rows = [[r for r in read(measure(files, tmp_path / "o.csv")) if r["item"] == "pan"] for files in (alone, both)]
    assert rows[0] == rows[1]


def test_protocol_says_what_is_measured(tmp_path, files, sr, hr):
    protocol = Evaluation(spaces=["y"], borders=[2], ssim="uniform")
    rows = [r for r in read(measure(files, tmp_path / "out.csv", protocol=protocol)) if r["metric"] in ("psnr", "ssim")]
    assert {(r["metric"], r["space"], r["border"]) for r in rows} == {("psnr", "y", "2"), ("ssim", "y", "2")}
    (similarity,) = (r["value"] for r in rows if (r["metric"], r["region"], r["item"]) == ("ssim", "all", "NA"))
    assert similarity == f"{ssim(sr['NA'][0], hr['NA'][0], 'y', 2, 'uniform'):.6f}"


def test_the_command_takes_the_protocol_of_the_configuration(tmp_path, files, monkeypatch):
    """Nothing of `evaluation` is lost between the configuration and the stage."""
    settings = {"spaces": ["y"], "borders": [6], "ssim": "uniform", "lpips": {"net": "vgg", "version": "0.0"}}
    settings |= {"regions": {"window": 7, "texture": 4, "edge": 30}, "edges": {"low": 90, "high": 180, "tolerance": 2}}
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
    assert given["files"][:3] == (*files, tmp_path / "out.csv")
    assert given["files"][3].model_dump() == settings
    assert given["lpips_weights"] == lpips
    assert {key: given[key] for key in RUN} == RUN


def test_functions_and_configuration_have_the_same_defaults():
    for function, section in ((regions, Regions()), (edge_match, Edges())):
        defaults = {p.name: p.default for p in inspect.signature(function).parameters.values()}
        assert {name: defaults[name] for name in dict(section)} == dict(section)
    assert inspect.signature(noise).parameters["window"].default == Regions().window


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
    with pytest.raises(UserError, match=r"sr.h5: sr/NA, frame 0, beside hr/NA of .*set.h5: .*at least 41 pixels"):
        measure(files, tmp_path / "out.csv", protocol=Evaluation(borders=[20]))


def summed(csvs: list[Path], place: Path) -> tuple[Path, Path, Path]:
    paths = place / "frames.csv", place / "clips.csv", place / "means.csv"
    aggregate(csvs, *paths, place / "frames.parquet")
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


def test_frames_parquet_is_frames_csv_with_types(tmp_path, measured):
    frames, *_ = summed(measured, tmp_path)
    table = pd.read_parquet(tmp_path / "frames.parquet")
    text = dict.fromkeys((*METHOD, "item", "metric", "region", "space"), str)
    pd.testing.assert_frame_equal(table, pd.read_csv(frames, dtype=text, keep_default_na=False))
    types = {field.name: str(field.type) for field in pq.read_schema(tmp_path / "frames.parquet")}
    assert {types.pop(c).removeprefix("large_") for c in text} == {"string"}
    assert types == {"frame": "int64", "frames": "int64", "border": "int64", "value": "double"}
    summed(measured, tmp_path / "again")
    names = ("frames.parquet", "frames.csv", "clips.csv", "means.csv")
    assert [(tmp_path / name).read_bytes() for name in names] == [
        (tmp_path / "again" / name).read_bytes() for name in names
    ]


def test_a_pair_of_frames_is_interior_where_both_are(tmp_path, measured):
    frames, clips, _ = (read(path) for path in summed(measured, tmp_path))
    canny = {"method": "esrgan-canny-s1", "metric": "warp", "item": "pan"}
    (row,) = (r for r in clips if all(r[k] == v for k, v in (canny | {"subset": "interior"}).items()))
    pairs = [float(r["value"]) for r in frames if all(r[k] == v for k, v in canny.items()) and r["frame"] in "34"]
    assert (float(row["value"]), row["n"]) == (pytest.approx(np.mean(pairs), abs=1e-6), "2")


def test_clips_are_means_over_frames_and_means_are_over_clips(tmp_path, measured):
    frames, clips, means = (read(path) for path in summed(measured, tmp_path))

    def values(rows, **wanted):
        wanted = {"method": "esrgan-canny-s1", "metric": "psnr", "region": "all", "space": "y", "border": "4"} | wanted
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
    quantities = {tuple(r[c] for c in QUANTITY) for r in frames}
    assert len(means) == 2 * 2 * len(quantities)  # methods, subsets


def test_one_perfect_frame_is_counted_and_left_out_for_every_method(tmp_path, measured):
    """Else its infinite PSNR would be the mean, or the means of two methods would be of different frames."""
    rows = pd.concat([pd.read_csv(path, keep_default_na=False) for path in measured])
    chosen = rows["item"].eq("pan") & rows["frame"].eq(1) & rows["metric"].eq("psnr")
    rows.loc[chosen & rows["method"].ne("bicubic"), "value"] = np.inf
    rows.to_csv(tmp_path / "one.csv", index=False)
    _, clips, means = (read(path) for path in summed([tmp_path / "one.csv"], tmp_path / "one"))
    rows[~chosen].to_csv(tmp_path / "none.csv", index=False)
    _, _, without = (read(path) for path in summed([tmp_path / "none.csv"], tmp_path / "none"))
    perfect = {(r["method"], r["subset"], r["metric"], r["perfect"]) for r in means if r["perfect"] != "0"}
    assert perfect == {(method, "all", "psnr", "1") for method in ("bicubic", "esrgan-canny-s1")}
    assert [r | {"perfect": "0"} for r in means] == without
    assert not [r for r in clips if r["value"] == "inf"]


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
    (tmp_path / "damaged.csv").write_text(measured[0].read_text().replace(",psnr,all,rgb,4,", ",psnr,all,rgb,four,"))
    (tmp_path / "empty.csv").write_text("")
    for name in ("other.csv", "damaged.csv", "empty.csv", "missing.csv"):
        with pytest.raises(UserError, match=name):
            summed([measured[0], tmp_path / name], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_csv_given_twice_is_an_error(tmp_path, measured):
    with pytest.raises(UserError, match="bicubic on set, item NA"):
        summed([*measured, measured[0]], tmp_path / "out")
