"""Trainings that are killed at any moment go on where they were, and end with the same bits."""

import csv
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import skimage
from PIL import Image

from sa_sr.config import Clips, Images, Optimise, TrainSpec
from sa_sr.data.prepare import prepare
from sa_sr.edges import extract_edges
from sa_sr.models import checkpoints
from sa_sr.plugins import find
from tests.processes import version

STEPS = 120
"""So many that some are left where the test itself is slow to look."""
KILLS = 6
"""For each of four trainings, so 24 in all."""
SIZES = {
    "esrgan": {
        "generator": {"num_feat": 8, "num_block": 1, "num_grow_ch": 4},
        "discriminator": {"num_feat": 4},
        "patch": 32,
    },
    "vsrresfeatgan": {
        "generator": {"num_feat": 8, "num_block": 1},
        "discriminator": {"channels": [4, 8, 8]},
        "patch": 36,
    },
}


@dataclass(frozen=True)
class Training:
    """A small training as a command."""

    folder: Path
    model: str
    features: Path
    workers: int

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        """Begin it, or go on with it, in a process group of its own; the log goes on in one file."""
        files = {"data": "data.h5", "weights": "edges.h5", "val-data": "data.h5", "val-weights": "edges.h5"}
        options = [text for name, file in files.items() for text in (f"--{name}", str(self.folder / file))]
        options += ["--init", str(self.folder / "init.safetensors"), "--features", str(self.features)]
        options += ["--state", str(out / "state"), "--out", str(out / "model.safetensors")]
        options += ["--history", str(out / "history.csv"), "--val", str(out / "val.csv")]
        options += ["--threads", "1", "--workers", str(self.workers), "--save-seconds", "0"]
        command = [sys.executable, "-m", "sa_sr", "train", str(self.folder / "run.json"), *options]
        out.mkdir(exist_ok=True)
        with open(out / "log", "ab") as log:
            return subprocess.Popen(command, stderr=log, stdout=log, start_new_session=True)


@pytest.fixture(scope="module", params=[("esrgan", 0), ("esrgan", 2), ("vsrresfeatgan", 0), ("vsrresfeatgan", 2)])
def training(request, tmp_path_factory, asset) -> Training:
    (model, workers), folder = request.param, tmp_path_factory.mktemp("training")
    place = folder / "photos" / "pan"
    place.mkdir(parents=True)
    image = np.asarray(Image.open(f"{skimage.__path__[0]}/data/coffee.png"))
    for t in range(7):
        Image.fromarray(image[100:180, 3 * t + 100 : 3 * t + 196]).save(place / f"{t}.png")
    images = Images(kind="images", sources=[{"folder": str(place)}])
    clips = Clips(kind="clips", sources=[{"folder": str(place.parent)}])
    prepare(images if model == "esrgan" else clips, folder, folder / "data.h5")
    extract_edges(folder / "data.h5", folder / "edges.h5", "canny", {})
    sizes = SIZES[model]
    checkpoints.save(
        folder / "init.safetensors", find("models", model).generator(**sizes["generator"]).state_dict(), {}
    )
    spec = TrainSpec(
        name=f"{model}-canny-s1", model=model, seed=1, precision="32-true", val_share=0, min_variance=0, **sizes,
        optimise=Optimise(steps=STEPS, batch=2, val_every=8, val_patches=2, ema=0.9), extractor="canny",
        extractor_params={}, layer="conv2_2", feature_scale=0.01, beta2=20.0,
        terms={"gan": 0.005, "percep": 1, "beta1": 0.01, "pixel": "l1", "feature": "l1", "gan_type": "ragan"},
    )  # fmt: skip
    (folder / "run.json").write_text(spec.canonical())
    return Training(folder, model, asset("vgg19_oxford_q8.bin"), workers)


def rows(path: Path) -> list[dict[str, str]]:
    """A record without the rates, which differ from run to run."""
    return [{k: v for k, v in row.items() if k != "samples_per_s"} for row in csv.DictReader(path.open())]


@pytest.mark.slow
def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bits(training, tmp_path):
    """By SIGKILL: the process alone or its whole group, at random moments while it trains."""
    chance = random.Random(f"{training.model} {training.workers}")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert training.start(whole).wait(300) == 0, (whole / "log").read_text()
    step = median(2 / float(row["samples_per_s"]) for row in csv.DictReader((whole / "history.csv").open()))
    for kill in range(KILLS):
        process, before = training.start(killed), version(killed / "state/last.pt")
        while version(killed / "state/last.pt") in (0, before):  # until it trains, and has saved at least once more
            assert process.poll() is None, (killed / "log").read_text()
            time.sleep(0.01)
        time.sleep(chance.uniform(0, step))
        (os.killpg if kill % 2 else os.kill)(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
        assert not (killed / "model.safetensors").exists()
    assert training.start(killed).wait(300) == 0, (killed / "log").read_text()
    resumed = [int(step) for step in re.findall(r"resuming after step (\d+) of", (killed / "log").read_text())]
    assert len(resumed) == KILLS
    assert resumed == sorted(resumed)
    assert 0 < resumed[0] < resumed[-1] < STEPS
    assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    assert rows(killed / "history.csv") == rows(whole / "history.csv")
    assert rows(killed / "val.csv") == rows(whole / "val.csv")
    assert not list(killed.rglob("*.tmp"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_warning_is_answered_by_saving(training, tmp_path, number):
    """As a cluster gives it ahead of its time limit."""
    process = training.start(tmp_path / "out")
    while not version(tmp_path / "out/state/last.pt"):
        assert process.poll() is None, (tmp_path / "out/log").read_text()
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    log = (tmp_path / "out/log").read_text()
    assert re.search(rf"stopped by signal {number:d}; step \d+ is saved", log)
