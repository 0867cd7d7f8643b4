"""One training on several devices, here processes that share the CPU: it is the training that one process does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace

import numpy as np
import psutil
import pytest
import torch
from safetensors.numpy import load_file

from sa_sr.config import Clips, TrainSpec
from sa_sr.data.prepare import prepare
from sa_sr.edges import extract_edges
from sa_sr.errors import UserError
from sa_sr.models import checkpoints
from sa_sr.plugins import find
from sa_sr.training import trainer
from sa_sr.training.state import StateFolder
from tests.processes import signals, version
from tests.unit.test_training import ONE, SPEC, elsewhere, rows, stop_after, with_plan

ESRGAN = with_plan(batch=4, lr=1e-6)  # at higher rates rounding soon grows to other GANs
VIDEO = TrainSpec.model_validate(
    ESRGAN.model_dump()
    | {"name": "vsrresfeatgan-local_variance-s1", "model": "vsrresfeatgan", "patch": 36}
    | {"generator": {"num_feat": 8, "num_block": 1}, "discriminator": {"channels": [4, 8, 8]}}
    | {"terms": SPEC.terms.model_dump() | {"gan_type": "vanilla", "pixel": "charbonnier"}}
)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture
def started(files, tmp_path):
    """`files` with a generator to start from."""
    init = tmp_path / "init.safetensors"
    torch.manual_seed(0)
    checkpoints.save(init, find("models", "esrgan").generator(**ESRGAN.generator).state_dict(), {})
    return replace(files, init=init)


@pytest.fixture
def video(started, tmp_path):
    """The photos as clips of seven equal frames, and a generator of the video model."""
    for role in ("train", "val"):
        photo = next((tmp_path / role).glob("*.png"))
        for t in range(7):
            (tmp_path / f"clips_{role}" / photo.stem).mkdir(parents=True, exist_ok=True)
            shutil.copy(photo, tmp_path / f"clips_{role}" / photo.stem / f"{t}.png")
        clips = Clips(kind="clips", sources=[{"folder": str(tmp_path / f"clips_{role}")}])
        prepare(clips, tmp_path, tmp_path / f"{role}.h5")
        extract_edges(tmp_path / f"{role}.h5", tmp_path / f"{role}_edges.h5", "local_variance", {})
    checkpoints.save(started.init, find("models", "vsrresfeatgan").generator(**VIDEO.generator).state_dict(), {})
    return started


def start(spec: TrainSpec, files: trainer.Files, devices: int, *launcher: str) -> subprocess.Popen[str]:
    """A training as a command, in a process group of its own."""
    run = files.model.parent / "run.json"
    run.write_text(spec.canonical())
    names = {
        "data": files.data, "weights": files.weights, "val-data": files.val_data, "val-weights": files.val_weights,
        "init": files.init, "features": files.features, "state": files.state, "out": files.model,
        "history": files.history, "val": files.validations,
    }  # fmt: skip
    if not launcher:  # torchrun takes `--log` for an option of its own
        names["log"] = files.model.parent / "log"
    options = [word for name, value in names.items() for word in (f"--{name}", str(value))]
    options += ["--devices", str(devices), "--threads", "2", "--save-seconds", "0"]
    command = [sys.executable, *launcher, "-m", "sa_sr", "train", str(run), *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def trained(spec: TrainSpec, files: trainer.Files, devices: int, *launcher: str) -> trainer.Files:
    """By processes of their own; by this one where one is enough."""
    if devices == 1:
        trainer.train(spec, files, ONE)
        return files
    process = start(spec, files, devices, *launcher)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert said.count(" steps in ") == 1
    assert said.count(f"one of {devices}") == 1
    return files


def assert_alike(one: trainer.Files, other: trainer.Files) -> None:
    """The same training but for the order in which numbers were added up, which Adam makes larger."""
    for a, b in ((rows(one.history), rows(other.history)), (rows(one.validations), rows(other.validations))):
        assert len(a) == len(b) > 2
        for step, (mine, theirs) in enumerate(zip(a, b, strict=True)):
            rel = 1e-5 if step == 0 else 1e-3
            for name in mine.keys() - {"samples_per_s"}:
                grain = 3e-4 if name == "out_of_range" else 0  # it counts 12,288 values, some of them on the edge
                assert theirs[name] == pytest.approx(mine[name], rel=rel, abs=grain), name
    mine, theirs = load_file(one.model), load_file(other.model)
    assert length(mine, theirs) < length(mine, load_file(one.init)) / 100


def length(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Of the way from some weights to others."""
    return float(np.sqrt(sum(np.square(one[name].astype(float) - other[name]).sum() for name in one)))


@pytest.mark.slow
def test_two_processes_train_as_one_does(started, tmp_path):
    """ESRGAN: the relativistic means and batch norm are those of the whole batch, or the first step would differ."""
    one = trained(ESRGAN, elsewhere(started, tmp_path / "one"), 1)
    assert_alike(one, trained(ESRGAN, elsewhere(started, tmp_path / "two"), 2, *TORCHRUN))


@pytest.mark.slow
def test_so_they_do_with_clips_and_their_own_moving_average(video, tmp_path):
    spec = VIDEO.model_copy(update={"optimise": VIDEO.optimise.model_copy(update={"ema": 0.5})})
    one = trained(spec, elsewhere(video, tmp_path / "one"), 1)
    assert_alike(one, trained(spec, elsewhere(video, tmp_path / "two"), 2))


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [(2, 1), (1, 2)])
def test_a_stopped_training_goes_on_with_another_number_of_devices(started, tmp_path, monkeypatch, caplog, first, then):
    caplog.set_level("INFO", logger="sa_sr")
    spec = with_plan(batch=4, lr=1e-6, steps=8)
    straight, stopped = trained(spec, elsewhere(started, tmp_path / "one"), 1), elsewhere(started, tmp_path / "two")
    if first == 1:
        stop_after(3, monkeypatch, lambda: trained(spec, stopped, 1))
    else:
        process = start(spec, stopped, first)
        alone = psutil.Process(process.pid)
        wait(process, lambda: len(group := [alone, *others_of(alone)]) == first and all(map(saves_at_a_signal, group)))
        os.killpg(process.pid, signal.SIGUSR1)
        _, said = process.communicate()
        assert process.returncode == 128 + signal.SIGUSR1, said
        assert said.count("stopped by signal") == 1
    assert not stopped.model.exists()
    assert_alike(straight, trained(spec, stopped, then))
    log = caplog.text if then == 1 else (stopped.model.parent / "log").read_text()
    assert "resuming after step" in log


@pytest.mark.slow
def test_whichever_process_is_killed_none_stays_behind_and_another_start_goes_on(started, tmp_path, caplog):
    spec, place = with_plan(batch=4, steps=20), elsewhere(started, tmp_path / "one")
    for victim in ("first, at its start", "first", "second"):
        process = start(spec, place, 2)
        first = psutil.Process(process.pid)
        wait(process, lambda first=first: others_of(first))
        group = [first, *others_of(first)]
        if victim != "first, at its start":
            wait_for_a_state(process, place)
        group[victim == "second"].kill()
        assert process.wait(60) != 0
        _, alive = psutil.wait_procs(group, 60)
        assert not alive
        saved = {path.name for path in place.state.glob("*.pt")}
        assert bool(saved & {"last.pt", "previous.pt"}) == (victim != "first, at its start")
    with caplog.at_level("INFO", logger="sa_sr"):
        last = trained(spec, place, 1)
    assert [row["step"] for row in rows(last.history)] == list(range(1, 21))
    assert "resuming after step" in caplog.text


def saves_at_a_signal(process: psutil.Process) -> bool:
    return signals(process.pid, "SigCgt", signal.SIGUSR1)


def wait_for_a_state(process: subprocess.Popen[str], files: trainer.Files) -> None:
    """Until a step more than those there were is saved."""
    before = version(files.state / "last.pt")
    wait(process, lambda: version(files.state / "last.pt") not in (0, before))


def others_of(first: psutil.Process) -> list[psutil.Process]:
    """The processes that train with the first one, which starts others as well: h5py asks `uname` for the processor."""
    found = []
    for process in first.children():
        with suppress(psutil.Error):
            found += [process] if "LOCAL_RANK" in process.environ() else []
    return found


def wait(process: subprocess.Popen[str], until: Callable[[], object]) -> None:
    while not until():
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.01)


def test_a_batch_that_cannot_be_shared_equally_is_refused_before_anything_starts():
    with pytest.raises(UserError, match="a batch of 4 patches can't be shared equally by 3 devices"):
        trainer.launch(ESRGAN, trainer.Machine(devices=3))


def test_another_number_of_processes_than_were_started_is_refused(monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "2")
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "2")
    with pytest.raises(UserError, match="--devices 2, but 4 processes were started"):
        trainer.launch(ESRGAN, trainer.Machine(devices=2))
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "3")
    with pytest.raises(UserError, match="as many processes on each node"):
        trainer.launch(ESRGAN, trainer.Machine(devices=4))


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["a folder in use", "a loss that is not finite"])
@pytest.mark.parametrize("launcher", [(), TORCHRUN], ids=["alone", "torchrun"])
def test_what_ends_a_training_is_said_once(started, tmp_path, trouble, launcher):
    """With torchrun the second process lives long enough to find that the first one has ended."""
    spec, place = ESRGAN, elsewhere(started, tmp_path / "two")
    with StateFolder(place.state, "") if trouble == "a folder in use" else nullcontext():
        if trouble == "a loss that is not finite":
            spec = ESRGAN.model_copy(update={"feature_scale": 1e30})
        process = start(spec, place, 2, *launcher)
        said = process.communicate()[1]
    assert process.returncode == 1
    assert said.count("Traceback") == bool(launcher)  # torchrun's own
    assert said.count("sa-sr: error:") == 1
    if trouble == "a loss that is not finite":
        assert said.count("frame 0, x ") == spec.optimise.batch  # of both processes' patches


def test_a_process_that_trained_passes_no_rank_on_to_what_it_starts_later():
    trainer.launch(ESRGAN, trainer.Machine(devices=1))
    said = subprocess.run([sys.executable, "-c", "from sa_sr.rank import rank; print(rank())"], capture_output=True)
    assert said.stdout == b"0\n"
