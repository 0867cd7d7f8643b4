"""Trainings that are killed at any moment go on where they were, and end with the same bits."""

import csv
import itertools
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from sa_sr import cli
from sa_sr.config import Clips, Images, Optimise, TrainSpec
from sa_sr.data.prepare import prepare
from sa_sr.edges import extract_edges
from sa_sr.models import checkpoints
from sa_sr.plugins import find
from tests.processes import version

STEPS = 3
EVERY = {("esrgan", 0): 1}
"""Of the changes, how many there are from one kill to the next; with other models and loader processes it is seven."""
LONG = 10_000
"""More steps than are done before somebody has looked."""
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

    def command(self, out: Path, run: str = "run.json") -> list[str]:
        """The words of the command, which begins the training in `out`, or goes on with it."""
        files = {"data": "data.h5", "weights": "edges.h5", "val-data": "data.h5", "val-weights": "edges.h5"}
        options = [text for name, file in files.items() for text in (f"--{name}", str(self.folder / file))]
        options += ["--init", str(self.folder / "init.safetensors"), "--features", str(self.features)]
        options += ["--state", str(out / "state"), "--out", str(out / "model.safetensors")]
        options += ["--history", str(out / "history.csv"), "--val", str(out / "val.csv")]
        options += ["--threads", "1", "--workers", str(self.workers), "--save-seconds", "0"]
        return ["sa-sr", "train", str(self.folder / run), *options]

    def live(self, out: Path, until: int | None = None, alone: bool = True) -> int:
        """Train in a process until it is to change a file for the `until`-th time, where it is killed.

        alone: and not the processes that load its patches. Returns the exit status.
        """
        out.mkdir(exist_ok=True)
        process = PROCESSES.Process(target=_live, args=(self.command(out), out, until, alone))
        process.start()
        process.join(300)
        assert process.exitcode is not None
        return process.exitcode


PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.workflow.loaded"])


def _live(command: list[str], out: Path, until: int | None, alone: bool) -> None:
    """Run the command, count the changes of files below `out` in its file `changes`, and die of one of them.

    A change is the creation, a half-written content, the whole content, the renaming and the removal of a file.
    """
    os.setpgrp()
    with open(out / "log", "ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    counter, sync, me = itertools.count(1), os.fsync, os.getpid()

    def change(half_written: int | None = None) -> None:
        if os.getpid() != me:
            return
        number = next(counter)
        if number == until:
            if half_written is not None:
                os.ftruncate(half_written, os.fstat(half_written).st_size // 2)
            (os.kill if alone else os.killpg)(me, signal.SIGKILL)
        if until is None:
            (out.parent / f"{out.name}.changes").write_bytes(b".%d" % number)

    def audit(event: str, arguments: tuple) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike) and arguments[2] & os.O_CREAT:
            path = Path(arguments[0])
            if path.is_relative_to(out) and not path.exists():
                change()
        elif event == "os.rename" or (event == "os.remove" and os.path.exists(arguments[0])):
            change()

    def fsync(file: int) -> None:
        if stat.S_ISREG(os.fstat(file).st_mode):
            change(file)
        sync(file)

    os.fsync = fsync
    sys.addaudithook(audit)
    sys.argv = command
    cli.main()


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
        optimise=Optimise(steps=STEPS, batch=2, val_every=2, val_patches=2, ema=0.9), extractor="canny",
        extractor_params={}, layer="conv2_2", feature_scale=0.01, beta2=20.0,
        terms={"gan": 0.005, "percep": 1, "beta1": 0.01, "pixel": "l1", "feature": "l1", "gan_type": "ragan"},
    )  # fmt: skip
    (folder / "run.json").write_text(spec.canonical())
    long = spec.optimise.model_copy(update={"steps": LONG})
    (folder / "long.json").write_text(spec.model_copy(update={"optimise": long}).canonical())
    return Training(folder, model, asset("vgg19_oxford_q8.bin"), workers)


def rows(path: Path) -> list[dict[str, str]]:
    """A record without the rates, which differ from run to run."""
    return [{k: v for k, v in row.items() if k != "samples_per_s"} for row in csv.DictReader(path.open())]


@pytest.mark.slow
def test_a_training_that_is_killed_at_any_change_of_a_file_ends_with_the_same_bits(training, tmp_path):
    """By SIGKILL: the process alone and its whole group in turn."""
    whole = tmp_path / "whole"
    assert training.live(whole) == 0, (whole / "log").read_text()
    changes = int((tmp_path / "whole.changes").read_text().strip("."))
    assert changes > 30
    resumed = set()
    for number in range(1, changes + 1, EVERY.get((training.model, training.workers), 7)):
        killed = tmp_path / str(number)
        assert training.live(killed, number, alone=number % 2 > 0) == -signal.SIGKILL
        assert training.live(killed) == 0, (killed / "log").read_text()
        resumed |= {int(step) for step in re.findall(r"resuming after step (\d+) of", (killed / "log").read_text())}
        assert (killed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
        assert rows(killed / "history.csv") == rows(whole / "history.csv")
        assert rows(killed / "val.csv") == rows(whole / "val.csv")
        assert not list(killed.rglob("*.tmp"))
        shutil.rmtree(killed)
    assert resumed == {1, 2, 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "number"),
    [(("esrgan", 0), signal.SIGTERM), (("vsrresfeatgan", 2), signal.SIGUSR1)],
    indirect=["training"],
)
def test_a_warning_is_answered_by_saving(training, tmp_path, number):
    """As a cluster gives it ahead of its time limit."""
    command = [sys.executable, "-m", "sa_sr", *training.command(tmp_path, "long.json")[1:]]
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, start_new_session=True)
    while not version(tmp_path / "state/last.pt"):
        assert process.poll() is None, (tmp_path / "log").read_text()
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert re.search(rf"stopped by signal {number:d}; step \d+ is saved", (tmp_path / "log").read_text())
