"""The whole DAG, end to end, on small real photos with the real VGG19 and AlexNet."""

import csv
import json
import shutil

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from sa_sr.storage import h5_reader
from tests.workflow.conftest import Workspace

VARIANTS = ["none", "local_variance", "canny"]


def rows(path):
    return list(csv.DictReader(path.open()))


def test_tables_figures_and_weights_are_there(finished):
    results = finished.folder / "results/tiny"
    for n in range(1, 5):
        for kind in ("csv", "md", "tex"):
            assert (results / f"tables/table{n}.{kind}").stat().st_size > 100
    for name in ("figure1", "figure8", "figure10", "curves_esrgan", "curves_vsrresfeatgan"):
        assert (results / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(results.glob("train/*/model.safetensors"))) == 6


@pytest.mark.parametrize("model", ["esrgan", "vsrresfeatgan"])
def test_variants_share_their_data_and_end_in_different_weights(finished, model):
    train = finished.folder / "results/tiny/train"
    weights = [load_file(train / f"{model}-{v}-s1/model.safetensors") for v in VARIANTS]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert any(not np.array_equal(weights[a][key], weights[b][key]) for key in weights[a])
    # the first batch meets the same generator: all but the spatially adaptive term is equal
    first = [rows(train / f"{model}-{v}-s1/history.csv")[0] for v in VARIANTS]
    for term in ("l_g_percep", "l_g_gan", "l_g_pix"):
        assert len({row[term] for row in first}) == 1
    assert float(first[0]["sa_share"]) == 0
    assert all(0 < float(row["sa_share"]) < 1 for row in first[1:])


def test_auto_gives_the_share_that_was_asked_for_and_fixed_weights_are_measured(finished):
    shares = {row["run"]: row for row in rows(finished.folder / "results/tiny/tables/shares.csv")}
    assert list(shares) == [f"{model}-{v}-s1" for model in ("esrgan", "vsrresfeatgan") for v in VARIANTS[1:]]
    assert {name: row["chosen"] for name, row in shares.items()} == {
        "esrgan-local_variance-s1": "fixed",
        "esrgan-canny-s1": "auto",
        "vsrresfeatgan-local_variance-s1": "auto",
        "vsrresfeatgan-canny-s1": "auto",
    }
    for name, row in shares.items():
        settings = json.loads((finished.folder / f"results/tiny/train/{name}/run.json").read_text())
        assert float(row["beta2"]) == settings["beta2"]
        if row["chosen"] == "auto":
            assert float(row["share_at_start"]) == pytest.approx(0.15, rel=0.01)
        assert 0 < float(row["share_in_training"]) < 1


def test_every_training_has_a_verdict(finished):
    """Of three steps nothing can be said."""
    health = rows(finished.folder / "results/tiny/tables/health.csv")
    pretrainings = ["esrgan-s1", "vsrresfeatgan-s1"]
    runs = [f"{model}-{v}-s1" for model in ("esrgan", "vsrresfeatgan") for v in VARIANTS]
    assert [row["training"] for row in health] == pretrainings + runs
    assert {row["verdict"] for row in health} == {"too short to judge, with fewer than 10 rows"}
    assert all(0 <= float(row["out_of_range"]) <= 1 for row in health)
    assert [bool(row["l_d"]) for row in health] == [False] * 2 + [True] * 6


def test_bicubic_and_every_run_is_measured_on_every_test_set(finished):
    means = rows(finished.folder / "results/tiny/evaluation/means.csv")
    measured = {(r["method"], r["dataset"]) for r in means}
    esrgan = {(m, d) for m in ["bicubic", *(f"esrgan-{v}-s1" for v in VARIANTS)] for d in ("photos_test", "clips_test")}
    assert measured == esrgan | {(f"vsrresfeatgan-{v}-s1", "clips_test") for v in VARIANTS}
    assert {(r["space"], r["border"]) for r in means if r["metric"] == "psnr"} == {
        (space, border) for space in ("rgb", "y") for border in ("4", "8")
    }


def test_a_second_start_has_nothing_to_do(finished):
    done = finished.snakemake()
    assert done.returncode == 0
    assert "Nothing to be done" in done.stderr + done.stdout


def test_an_edit_reruns_what_depends_on_it_and_no_more(finished):
    config = yaml.safe_load(yaml.safe_dump(finished.config))
    config["models"]["vsrresfeatgan"]["loss"]["beta2"]["canny"] = 3
    planned = Workspace(finished.folder, config).planned()
    for rule in ("calibrate", "resolve", "train", "super_resolve", "evaluate"):
        assert planned[rule] == 1
    assert "pretrain" not in planned
    assert "extract_edges" not in planned


def test_lost_results_are_written_again_from_the_kept_state(finished, tmp_path):
    """Same seed, same bits: training again from scratch gives the same file as the state which was kept."""
    again = Workspace(shutil.copytree(finished.folder, tmp_path / "again"), finished.config)
    name = "results/tiny/train/esrgan-canny-s1/model.safetensors"
    model = again.folder / name
    before = model.read_bytes()
    for keep in (True, False):
        model.unlink()
        if not keep:
            shutil.rmtree(again.folder / "state/tiny/esrgan-canny-s1")
        assert again.snakemake(name).returncode == 0
        assert model.read_bytes() == before


def test_super_resolved_frames_are_no_copies_of_bicubic(finished):
    images = finished.folder / "results/tiny/images"
    with h5_reader(images / "bicubic/photos_test.h5") as a, h5_reader(images / "esrgan-canny-s1/photos_test.h5") as b:
        assert a["sr/chelsea"].shape == b["sr/chelsea"].shape == (1, 112, 128, 3)
        assert not np.array_equal(a["sr/chelsea"][...], b["sr/chelsea"][...])
