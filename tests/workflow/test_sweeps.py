"""A sweep runs what is its own, beside results that are there and stay."""

import csv
import shutil

import pytest

from tests.workflow.conftest import Workspace
from tests.workflow.test_reruns import TAIL, edited, slow

BETA2 = {"model": "esrgan", "extractor": "local_variance", "key": "beta2", "values": [5, 20], "dataset": "photos_test"}
LOW = {"model": "esrgan", "extractor": "canny", "key": "low", "values": [50, 100], "dataset": "photos_test"}
ONE = {"calibrate": 1, "resolve": 1, "train": 1, "super_resolve": 1, "evaluate": 1}
"""What a value takes for each seed."""
AFTER = TAIL | {"shares": 1, "health": 1}


def times(count: int) -> dict[str, int]:
    return {rule: count * jobs for rule, jobs in ONE.items()}


@pytest.mark.parametrize(
    ("sweeps", "jobs"),
    [
        ({"s": BETA2}, times(1) | {"sweep": 1}),
        ({"s": LOW}, times(1) | {"extract_edges": 2, "sweep": 1}),
        slow({"s": BETA2 | {"values": [20.0]}}, {"sweep": 1}),
        slow({"s": BETA2, "t": BETA2 | {"values": [5, 7]}}, times(2) | {"sweep": 2}),
        slow({"s": LOW | {"key": "beta2", "values": [5]}}, times(1) | {"sweep": 1}),
    ],
    ids=["beta2", "a parameter, calibrated", "the configured value alone", "two with a value in common", "auto"],
)
def test_a_sweep_adds_only_its_own_jobs(finished, sweeps, jobs):
    planned = Workspace(finished.folder, finished.config | {"sweeps": sweeps}).planned()
    own = {rule: count for rule, count in planned.items() if rule in ONE or rule in ("extract_edges", "sweep")}
    assert own == jobs
    follow = AFTER if "train" in jobs else {"plane": 1, "results_page": 1, "all": 1}
    assert planned == jobs | {rule: count for rule, count in planned.items() if rule in follow}
    assert follow.items() <= planned.items()


@pytest.mark.slow
def test_sweeps_are_run_and_drawn_and_a_value_more_is_a_run_more(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "swept", symlinks=True)
    kept = {path: path.read_bytes() for path in folder.glob("results/tiny/train/*/model.safetensors")}
    work = Workspace(folder, finished.config | {"sweeps": {"weight": BETA2, "low": LOW}})
    done = work.snakemake()
    assert done.returncode == 0, done.stderr
    assert all(path.read_bytes() == before for path, before in kept.items())

    results = folder / "results/tiny"
    new = ["esrgan-local_variance.beta2_5-s1", "esrgan-canny.low_50-s1"]
    for run in new:
        assert (results / f"train/{run}/model.safetensors").is_file()
        assert [path.stem for path in results.glob(f"images/{run}/*.h5")] == ["photos_test"]
    with open(results / "tables/shares.csv", newline="") as f:
        shares = {row["run"]: row for row in csv.DictReader(f)}
    assert float(shares[new[0]]["beta2"]) == 5
    assert shares[new[1]]["chosen"] == "auto"
    assert float(shares[new[1]]["share_at_start"]) == pytest.approx(0.15, rel=0.01)
    for name in ("weight", "low", "plane"):
        assert (results / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
    assert work.planned() == {}

    more = Workspace(folder, edited(work.config, {"sweeps.weight.values": [5, 20, 80]}))
    planned = more.planned()
    assert {rule: planned[rule] for rule in (*ONE, "sweep")} == ONE | {"sweep": 2}
    assert "extract_edges" not in planned
    assert "sweeps.weight.values" in more.why("results/tiny/figures/weight.png")
