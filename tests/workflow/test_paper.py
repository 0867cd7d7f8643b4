"""The paper's configurations: planned without any data, and stopped before the first job where data are missing."""

import pytest
import yaml

from tests.workflow.conftest import ROOT, Workspace

VIDEO = "data/17 MYANMAR 5994 UHD h264.mp4"


def workspace(folder, name):
    return Workspace(folder, yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()))


@pytest.fixture
def paper(tmp_path) -> Workspace:
    return workspace(tmp_path, "paper")


@pytest.mark.parametrize("name", ["paper", "paper-reds"])
def test_the_whole_graph_is_planned_without_any_data(tmp_path, name):
    planned = workspace(tmp_path, name).planned()
    models, extractors, test_sets = 2, 3, 2
    runs = models * extractors
    assert planned["prepare"] == 6
    assert planned["pretrain"] == models
    assert planned["train"] == runs
    assert planned["super_resolve"] == runs * test_sets
    assert planned["evaluate"] == runs * test_sets + test_sets
    assert (planned["table"], planned["comparison"], planned["edge_maps"]) == (4, 3, 1)
    # photos of Set14, DIV2K, Vid4, REDS or none, VGG19, RRDB_PSNR_x4, AlexNet
    assert planned["download"] == 14 + (6 if name == "paper-reds" else 5)
    assert not (tmp_path / "results").exists()


def test_a_plan_warns_once_of_what_is_missing(paper):
    done = paper.snakemake("--dry-run")
    assert done.returncode == 0
    assert (done.stdout + done.stderr).count(f"{VIDEO}: no such file") == 1


def stopped(paper):
    """What a real run says that ends before its first job."""
    done = paper.snakemake()
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "No job was started." in done.stderr
    assert not (paper.folder / "results").exists()
    return done.stderr


def test_a_run_without_the_video_ends_before_its_first_job(paper):
    for _ in range(2):  # the first one leaves no lock
        said = stopped(paper)
        assert said.count(f"{VIDEO}: no such file") == 1
        assert "harmonicinc.com" in said
        assert "--configfile config/paper-reds.yaml" in said


def test_so_does_a_run_with_another_video(paper):
    (paper.folder / "data").mkdir()
    (paper.folder / VIDEO).write_bytes(b"not really a video")
    said = stopped(paper)
    assert said.count(f"{VIDEO}: ") == 1
    assert "myanmar_train" in said


def test_the_video_is_an_input_of_its_data_sets_once_it_is_there(paper):
    (paper.folder / "data").mkdir()
    (paper.folder / VIDEO).touch()
    done = paper.snakemake("--dry-run", "results/paper/data/myanmar_val.h5")
    assert f"input: {VIDEO}" in done.stdout + done.stderr
