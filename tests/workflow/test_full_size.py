"""The paper's own configuration with its full-size networks, for a few steps on what data are at hand."""

import copy
import csv

import pytest
import yaml

from tests.workflow.conftest import ROOT, Workspace

SHARED = ROOT.parent / "shared/data"


def small_data(config: dict) -> dict:
    """Another source for every data set, fewer steps, smaller batches, a frame stride: all that differs."""
    window = {"crop": [100, 60, 128, 96], "stride": 4, "max_frames": 5}
    video = SHARED / "video/startbootstrap_city.mp4"
    sources = {
        "div2k": {"folder": str(SHARED / "photos"), "only": ["A*"]},
        "set14": {"folder": str(SHARED / "Set14")},
        "vid4": {"folder": str(SHARED / "Vid4"), **window},
        "myanmar_train": {"file": str(video), "scenes": [[0, 40]], "reduce": 2, **window},
        "myanmar_val": {"file": str(video), "scenes": [[50, 90]], "reduce": 2, **window},
        "myanmar_test": {"file": str(video), "scenes": [[160, 200]], "reduce": 2, **window},
    }
    datasets = {name: {"kind": config["datasets"][name]["kind"], "sources": [s]} for name, s in sources.items()}
    config = copy.deepcopy(config) | {"name": "full_size", "datasets": datasets}
    config["models"]["esrgan"]["init"] = "realsr_df2k_x4.bin"
    for model in config["models"].values():
        model["features"] |= {"asset": "vgg19_oxford_q8.bin", "scale": model["features"]["scale"] / 20}
        model["loss"]["calibration_batches"] = 6
        model["train"] |= {"steps": 2, "batch": 2, "val_every": 2, "val_patches": 2}
    config["models"]["vsrresfeatgan"]["pretrain"] |= {"steps": 2, "batch": 2, "val_every": 2, "val_patches": 2}
    config["figures"]["edge_maps"]["figure1"]["item"] = "barbara"
    for figure in config["figures"]["comparisons"].values():
        figure["frame"] = 2
    return config


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="Set14, Vid4, photos and video are not here")
def test_full_size_networks_run_from_end_to_end(tmp_path, asset):
    paper = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    (tmp_path / "results/assets").mkdir(parents=True)
    for name in ("realsr_df2k_x4.bin", "vgg19_oxford_q8.bin", "alexnet.ckpt"):
        (tmp_path / "results/assets" / name).symlink_to(asset(name).resolve())
    work = Workspace(tmp_path, small_data(paper))
    done = work.snakemake("--resources", "gpu=2")
    assert done.returncode == 0, done.stderr
    results = tmp_path / "results/full_size"
    for n in range(1, 5):
        assert (results / f"tables/table{n}.md").stat().st_size > 500
    sizes = {path.parent.name: path.stat().st_size for path in results.glob("train/*/model.safetensors")}
    assert len(sizes) == 6
    for run, size in sizes.items():  # float32, and a header
        assert size == pytest.approx(4 * (16_697_987 if run.startswith("esrgan") else 1_332_675), rel=0.03)
    shares = {
        row["run"]: float(row["share_at_start"]) for row in csv.DictReader((results / "tables/shares.csv").open())
    }
    assert len(shares) == 4
    assert all(0 < share < 1 for share in shares.values())
