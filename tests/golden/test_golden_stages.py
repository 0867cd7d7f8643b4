"""A network whose quality is known, through the stages of the workflow."""

import csv

import pytest
from PIL import Image

from sa_sr.config import Evaluation, Images, Optimise, PretrainSpec
from sa_sr.data.prepare import prepare
from sa_sr.edges import extract_edges
from sa_sr.evaluation.protocol import evaluate
from sa_sr.inference import super_resolve
from sa_sr.training.trainer import Files, Machine, pretrain
from tests.golden.test_golden_models import photo

# PSNR on Y and LPIPS of RealSR's network, measured by other code: another bicubic, another border
REALSR = {
    "chelsea": (28.73, 0.163),
    "coffee": (29.84, 0.043),
    "astronaut": (28.95, 0.063),
    "rocket": (33.20, 0.066),
}


@pytest.mark.slow
def test_realsr_restores_photos(asset, tmp_path):
    """prepare, pretrain (of no steps: the weights as they are), super_resolve and evaluate, with all 23 blocks."""
    (tmp_path / "photos").mkdir()
    for name in REALSR:
        Image.fromarray(photo(name)).save(tmp_path / "photos" / f"{name}.png")
    data, edges, model, sr = (tmp_path / name for name in ("set.h5", "edges.h5", "run/model.safetensors", "sr.h5"))
    prepare(Images(kind="images", sources=[{"folder": str(tmp_path / "photos")}]), tmp_path, data)
    extract_edges(data, edges, "none", {})
    spec = PretrainSpec(
        name="esrgan-s1", model="esrgan", seed=1, precision="32-true", patch=128, val_share=0, min_variance=0,
        generator={"num_feat": 64, "num_block": 23, "num_grow_ch": 32},
        optimise=Optimise(steps=0, batch=1, val_every=1, val_patches=1),
    )  # fmt: skip
    init, state = asset("realsr_df2k_x4.bin"), tmp_path / "state"
    history, validations = tmp_path / "history.csv", tmp_path / "val.csv"
    files = Files(data, edges, data, edges, init, None, state, model, history, validations)
    pretrain(spec, files, Machine(threads=2))
    super_resolve(data, model, "esrgan", sr, threads=2)
    out = tmp_path / "set.csv"
    evaluate(sr, data, out, Evaluation(), "run", "esrgan", "none", 1, "set", asset("alexnet.ckpt"), threads=2)
    rows = list(csv.DictReader(out.open()))
    found = {(r["item"], r["metric"], r["space"], r["border"]): float(r["value"]) for r in rows if r["region"] == "all"}
    for name, (decibels, distance) in REALSR.items():
        assert found[name, "psnr", "y", "4"] == pytest.approx(decibels, abs=0.12)
        assert found[name, "lpips", "rgb", "0"] == pytest.approx(distance, abs=0.01)
