"""Leases of devices, by real processes; which devices they are makes no difference to them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sa_sr import gpus
from sa_sr.errors import UserError
from tests.conftest import ROOT

Start = Callable[..., subprocess.Popen]

HOLDER = """
import json, logging, os, subprocess, sys, time
from pathlib import Path
from sa_sr import gpus
logging.basicConfig(format="%(message)s")
gpus.POLL_SECONDS = 0.001
folder, names, *counts = Path(sys.argv[1]), sys.argv[2].split(","), *map(int, sys.argv[3:])
print(*(",".join(gpus.take(names, count, folder)) for count in counts), flush=True)
"""
HOLDING = HOLDER + "time.sleep(600)"


@pytest.fixture(autouse=True)
def without_a_lease(monkeypatch) -> None:
    """What trained in this process before may have one, which its children would share."""
    monkeypatch.delenv(gpus.OURS, raising=False)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start Python code with arguments, and end it with the test."""
    started = []

    def run(code: str, *arguments: object, **environment: str) -> subprocess.Popen:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ | environment)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen) -> str:
    """The next line of what a process prints."""
    assert process.stdout
    return process.stdout.readline().strip()


CROWD = """
import json, os, signal, sys, time
from pathlib import Path
from sa_sr import gpus
gpus.POLL_SECONDS = 0.001
folder, names, jobs = Path(sys.argv[1]), sys.argv[2].split(","), json.loads(sys.argv[3])

def work(count, killed):
    taken = gpus.take(names, count, folder)
    assert len(set(taken)) == count
    for name in taken:
        os.close(os.open(folder.parent / f"used-{name}", os.O_CREAT | os.O_EXCL))  # fails where another one is there
    time.sleep(0.002)
    for name in taken:
        os.unlink(folder.parent / f"used-{name}")
    if killed:
        os.kill(os.getpid(), signal.SIGKILL)

started = []
for job in jobs:
    if not (child := os.fork()):
        work(*job)
        os._exit(0)
    started.append(child)
ends = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in started]
assert ends == [-signal.SIGKILL if killed else 0 for _, killed in jobs], ends
"""


@st.composite
def crowds(draw: st.DrawFn) -> tuple[int, list[tuple[int, bool]]]:
    """A number of devices, and jobs: how many of them each wants, and whether it is killed at its end."""
    devices = draw(st.integers(1, 4))
    return devices, draw(st.lists(st.tuples(st.integers(1, devices), st.booleans()), min_size=2, max_size=8))


@settings(max_examples=10, deadline=None)
@given(crowds())
@example((3, [(2, False)] * 8))
@example((2, [(1, True)] * 8))
def test_whatever_jobs_want_no_two_share_a_device_and_all_get_theirs(tmp_path_factory, crowd):
    count, jobs = crowd
    folder = tmp_path_factory.mktemp("crowd") / "gpus"
    names = ",".join("abcd"[:count])
    subprocess.run([sys.executable, "-c", CROWD, folder, names, json.dumps(jobs)], check=True, timeout=120)
    assert gpus.holders(list("abcd"), folder) == {}


def test_a_killed_job_frees_its_device_though_processes_that_it_forked_live_on(tmp_path, start):
    code = HOLDER + "if child := os.fork():\n    print(child, flush=True)\ntime.sleep(600)"
    holder = start(code, tmp_path / "gpus", "a", 1)
    assert said(holder) == "a"
    child = int(said(holder))
    try:
        assert f"process {holder.pid} on " in gpus.holders(["a"], tmp_path / "gpus")["a"]
        holder.kill()
        holder.wait()
        assert gpus.holders(["a"], tmp_path / "gpus") == {}
        os.kill(child, 0)
    finally:
        os.kill(child, 9)


def test_who_waits_says_once_for_whom(tmp_path, start):
    holder = start(HOLDING, tmp_path / "gpus", "a,b", 2)
    assert said(holder) == "a,b"
    waiting = start(HOLDER, tmp_path / "gpus", "a,b", 1)
    assert waiting.stderr
    line = waiting.stderr.readline()
    assert line.startswith(f"waiting for 1 of 2 GPUs; taken: process {holder.pid} on ")
    assert line.count("process") == 1
    assert f" {tmp_path}/gpus a,b 2" in line
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.1)
    holder.kill()
    assert waiting.communicate() == ("a\n", "")


def test_who_waits_for_several_holds_none_meanwhile(tmp_path, start):
    holder = start(HOLDING, tmp_path / "gpus", "a,b", 1)
    assert said(holder) == "a"
    waiting = start(HOLDER, tmp_path / "gpus", "a,b", 2)
    assert waiting.stderr
    assert waiting.stderr.readline().startswith("waiting for 2 of 2 GPUs")
    assert start(HOLDER, tmp_path / "gpus", "a,b", 1).communicate() == ("b\n", "")
    holder.kill()
    assert waiting.communicate() == ("a,b\n", "")


def test_a_second_lease_of_a_process_is_the_first_one(tmp_path, start):
    first = start(HOLDING, tmp_path / "gpus", "a,b,c", 1)
    assert said(first) == "a"
    holder = start(HOLDING, tmp_path / "gpus", "a,b,c", 2, 2, 1)
    assert said(holder) == "b,c b,c b"
    first.kill()
    first.wait()
    assert sorted(gpus.holders(["a", "b", "c"], tmp_path / "gpus")) == ["b", "c"]
    greedy = start(HOLDER, tmp_path / "gpus", "a,b,c", 1, 2)
    assert "ValueError: 2 devices are wanted of a lease of 1" in greedy.communicate()[1]


@pytest.mark.parametrize("way", ["fork", "start"])
def test_what_a_job_starts_is_part_of_it(tmp_path, start, way):
    """The processes of one training have one lease."""
    code = {
        "fork": "if not os.fork():\n    print(*gpus.take(names, 2, folder), sep=',', flush=True)\n    os._exit(0)",
        "start": f"subprocess.run([sys.executable, '-c', {HOLDER!r}, *sys.argv[1:]])",
    }
    holder = start(HOLDER + code[way] + "\ntime.sleep(600)", tmp_path / "gpus", "a,b", 2)
    assert (said(holder), said(holder)) == ("a,b", "a,b")


def test_the_tasks_of_a_slurm_step_share_what_slurm_gave_them(tmp_path, start):
    tasks = [start(HOLDING, tmp_path / "gpus", "a,b", 2, SLURM_STEP_NUM_TASKS="2") for _ in range(2)]
    assert [said(task) for task in tasks] == ["a,b", "a,b"]


def test_more_than_there_are_is_refused(tmp_path):
    with pytest.raises(UserError, match="3 GPUs are wanted, and 2 can be seen here"):
        gpus.take(["a", "b"], 3, tmp_path / "gpus")


def _link(folder: Path) -> None:
    (folder.parent / "other").mkdir(mode=0o700)
    folder.symlink_to("other")


def _of_another(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of another user")
    os.chown(folder, 65534, 65534)


@pytest.mark.parametrize("put", [_link, _of_another, Path.touch, Path.mkdir])
def test_a_folder_that_others_may_have_made_is_refused(tmp_path, put):
    folder = tmp_path / "gpus"
    put(folder)
    with pytest.raises(UserError, match=r"gpus: not a folder of your own that is closed to others"):
        gpus.take(["a"], 1, folder)
    assert [path for path in tmp_path.rglob("*") if path.name in ("a", "turn")] == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_job_with_a_gpu_that_torch_does_not_see_fails_unless_it_may_use_the_cpu(monkeypatch):
    monkeypatch.setenv("SA_SR_CPU", "0")
    for none in ("", "-1", "none", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none)
        assert gpus.lease(1) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(UserError, match=r"CUDA_VISIBLE_DEVICES=0\), but torch \S+ sees none"):
        gpus.lease(1)
    monkeypatch.setenv("SA_SR_CPU", "1")
    assert gpus.lease(1) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_there_is_nothing_to_lease():
    assert gpus.lease(1) == gpus.lease(2) == gpus.listing() == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_every_gpu_has_a_name_of_its_own():
    assert len(set(gpus.devices())) == torch.cuda.device_count() == len(gpus.listing())


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
@pytest.mark.parametrize("visible", [0, 3])
def test_make_trains_on_each_gpu_or_on_each_core(tmp_path, visible):
    command = tmp_path / "sa-sr"
    command.write_text(f"#!/bin/sh\nseq {visible}\n")
    command.chmod(0o755)
    (tmp_path / ".installed").touch()
    make = ["make", "-n", f"BIN={tmp_path}", "demo"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True)
    cores = int(subprocess.run(["nproc"], capture_output=True, check=True).stdout)
    assert f"snakemake --resources gpu={visible or cores} " in done.stdout
