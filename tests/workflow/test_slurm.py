"""The workflow on a real Slurm, which `python -m tests.slurm.cluster start` starts: with profiles/slurm."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psutil
import pytest
import yaml

from tests.processes import signals, suspend
from tests.slurm import cluster
from tests.workflow.conftest import ROOT, Workspace
from tests.workflow.test_kills import rows
from tests.workflow.test_kills_of_the_workflow import results

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.usefixtures("slurm"), pytest.mark.timeout(1800)]

RUN = "esrgan-none-s1"
MODEL = f"results/tiny/train/{RUN}/model.safetensors"
STEPS = 60
TERMS = ("l_g_total", "l_g_percep", "l_g_gan", "l_d", "grad_g", "grad_d")
PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
GROUPS = PROFILE["groups"] | {"prepare": "data", "extract_edges": "edges", "evaluate": "scores"}
COMPONENTS = [*PROFILE["group-components"], "data=3", "edges=3", "scores=3"]
GROUPED = ["--groups", *(f"{rule}={group}" for rule, group in GROUPS.items()), "--group-components", *COMPONENTS]
"""The profile's groups and more: Snakemake starts twice in each Slurm job, for five seconds each time."""
SUBMITTED = {*(f"rule_{name}" for name in ("pretrain", "calibrate", "train", "super_resolve")),
             *(f"group_{name}" for name in GROUPS.values())}  # fmt: skip
"""Downloads and resolving, among others, are left to the machine where Snakemake runs."""
QUICK = ["--seconds-between-status-checks", "2", "--slurm-init-seconds-before-status-checks", "2",
         "--max-status-checks-per-second", "10",
         "--latency-wait", "5", "--set-threads", "train=1", "pretrain=1", "--jobs", "4"]  # fmt: skip
"""What a machine of two cores wants; the rest is the profile's."""


def test_the_whole_graph_runs_on_the_nodes_and_makes_the_same_files(finished_part, tmp_path):
    work = replace(finished_part.copy(tmp_path), profile="slurm")
    done = work.snakemake(*QUICK, *GROUPED, "--slurm-keep-successful-logs")
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" in work.snakemake(*QUICK).stderr
    assert results(work) == results(finished_part)
    logs = [folder.name for folder in (tmp_path / ".snakemake/slurm_logs").iterdir()]
    assert {name if name.startswith("rule_") else "_".join(name.split("_")[:2]) for name in logs} == SUBMITTED
    jobs = [job for job in ended_jobs() if f"WorkDir={tmp_path} " in job]
    assert {re.search(r"NodeList=(\S+)", job)[1] for job in jobs} == {"n1", "n2"}
    assert {job for job in jobs if "JobState=COMPLETED" not in job} == set()


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> Workspace:
    """One training of some seconds, by the profile for one machine."""
    work = tiny.copy(tmp_path_factory.mktemp("trained"))
    work.config["models"]["esrgan"]["train"] |= {"steps": STEPS, "val_every": STEPS}
    done = work.snakemake(MODEL)
    assert done.returncode == 0, done.stderr
    return work


@pytest.fixture
def untrained(trained, tmp_path) -> Workspace:
    """The same without the training, for Slurm."""
    shutil.copytree(trained.folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / f"state/tiny/{RUN}")
    for name in ("model.safetensors", "history.csv", "val.csv"):
        (tmp_path / f"results/tiny/train/{RUN}/{name}").unlink()
    (tmp_path / f"results/tiny/logs/train/{RUN}.log").unlink()
    return replace(trained, folder=tmp_path, profile="slurm")


def test_a_training_is_warned_of_its_time_limit_and_goes_on_in_the_next_attempt(trained, untrained):
    """With a limit of two minutes. The training is held until the warning is there, however fast the machine."""
    asked = ["slurm_partition=gpu", "nodes=1", "mem_mb=32000", "runtime=attempt+1", "slurm_extra='--signal=USR1@1'"]
    run = untrained.start("--set-resources", *(f"train:{one}" for one in asked), *QUICK, MODEL)
    with held(untrained, run) as (process, job):
        wait(lambda: not psutil.pid_exists(process) or signals(process, "ShdPnd", signal.SIGUSR1))
    assert run.wait(300) == 0, said(untrained)
    assert f"stopped by signal {signal.SIGUSR1:d}; step {resumed(untrained)} is saved" in said(untrained)
    assert "User defined signal" not in said(untrained)  # that nothing else in the job has died of
    assert "TimeLimit=2 " in finished_job(job)
    assert "JobState=FAILED" in finished_job(job)
    assert same(trained, untrained)


def test_a_training_goes_on_after_scancel(trained, untrained):
    run = untrained.start(*QUICK, MODEL)
    with held(untrained, run) as (process, job):
        assert psutil.Process(process).environ()["CUDA_VISIBLE_DEVICES"] == "0"
        subprocess.run(["scancel", job], check=True)
    assert run.wait(300) == 0, said(untrained)
    assert "JobState=CANCELLED" in finished_job(job)
    assert int(resumed(untrained)) > 0
    assert same(trained, untrained)


def test_a_job_that_slurm_starts_again_goes_on(trained, untrained):
    """As after the failure of a node; Snakemake waits for it, and submits no other."""
    run = untrained.start(*QUICK, MODEL)
    with held(untrained, run) as (_, job):
        subprocess.run(["scontrol", "requeue", job], check=True)
    assert run.wait(300) == 0, said(untrained)
    assert said(untrained).count("has been submitted") == 1
    assert int(resumed(untrained)) > 0
    assert same(trained, untrained)


def test_a_job_outlives_its_snakemake_and_nothing_is_trained_twice(trained, untrained):
    run = untrained.start(*QUICK, MODEL)
    with held(untrained, run) as (_, job):
        run.kill()
        run.wait()
        assert untrained.unlock().returncode == 0
        second = untrained.snakemake(*QUICK, "--retries", "0", MODEL)
        assert second.returncode != 0
        assert re.search(rf"is in use by process \d+ on \S+, Slurm job {job}\b", second.stderr + second.stdout)
    wait(lambda: "JobState=COMPLETED" in finished_job(job))
    state = untrained.folder / f"state/tiny/{RUN}/last.pt"
    before = state.stat().st_mtime_ns
    third = untrained.snakemake(*QUICK, MODEL)
    assert third.returncode == 0, third.stderr
    assert state.stat().st_mtime_ns == before
    assert same(trained, untrained)


def test_one_training_runs_on_two_nodes(trained, untrained):
    asked = ["slurm_partition=gpu", "gpu=2", "gres='gpu:1'", "nodes=2", "mpi=srun", "tasks=2", "tasks_per_gpu=1",
             "cpus_per_task=1", "slurm_extra='--signal=USR1@180'"]  # fmt: skip
    done = untrained.snakemake("--set-resources", *(f"train:{one}" for one in asked), *QUICK, MODEL)
    assert done.returncode == 0, done.stderr
    log = (untrained.folder / f"results/tiny/logs/train/{RUN}.log").read_text()
    assert log.count("one of 2") == log.count(f"{STEPS} steps in ") == 1
    one, two = (rows((work.folder / MODEL).with_name("history.csv")) for work in (trained, untrained))
    assert len(one) == len(two) == STEPS
    assert [float(two[0][name]) for name in TERMS] == pytest.approx([float(one[0][name]) for name in TERMS], rel=1e-3)
    (job,) = [job for job in ended_jobs() if f"WorkDir={untrained.folder} " in job]
    assert "NodeList=n[1-2]" in job
    assert not untrained.planned(MODEL)


def test_a_squeue_that_fails_for_a_while_loses_no_job(trained, untrained, monkeypatch):
    """As it does while the controller has too much to do."""
    place, busy, asked = (untrained.folder / name for name in ("bin", "busy", "asked"))
    place.mkdir()
    (place / "squeue").write_text(
        f'#!/bin/sh\n[ ! -e {busy} ] || {{ echo >>{asked}; exit 1; }}\nexec {shutil.which("squeue")} "$@"\n'
    )
    (place / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    run = untrained.start(*QUICK, MODEL)
    with held(untrained, run):
        busy.touch()
        wait(lambda: asked.exists() and asked.stat().st_size > 20)
        busy.unlink()
    assert run.wait(300) == 0, said(untrained)
    assert said(untrained).count("has been submitted") == 1
    assert same(trained, untrained)


def test_the_log_of_a_job_that_fails_is_shown(tiny, tmp_path):
    work = replace(tiny.copy(tmp_path), profile="slurm")
    photo = tmp_path / "photos/val/ihc.png"
    photo.write_bytes(photo.read_bytes()[:1000])
    done = work.snakemake(*QUICK, "--retries", "0", "results/tiny/data/photos_val.h5")
    assert done.returncode != 0
    assert re.search(r"sa-sr: error: photos/val/ihc\.png: can't be read", done.stderr)


@contextmanager
def held(work: Workspace, run: subprocess.Popen[bytes]) -> Iterator[tuple[int, str]]:
    """The process and the Slurm job of the training, which stands still after some steps, and goes on afterwards."""
    lock = work.folder / f"state/tiny/{RUN}/lock"
    wait(lambda: run.poll() is not None or (lock.exists() and "Slurm job" in lock.read_text()))
    assert run.poll() is None, said(work)
    process, job = re.findall(r"process (\d+) .*Slurm job (\d+)", lock.read_text())[0]
    wait(lambda: signals(int(process), "SigCgt", signal.SIGTERM))  # from here on it saves before it ends
    suspend(int(process))
    try:
        yield int(process), job
    finally:
        with suppress(ProcessLookupError):  # Slurm may have let it go on already, to hear a signal
            os.kill(int(process), signal.SIGCONT)


def wait(until) -> None:
    end = time.monotonic() + 180
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def said(work: Workspace) -> str:
    return (work.folder / "said").read_text()


def resumed(work: Workspace) -> str:
    """The step after which the last attempt went on."""
    log = (work.folder / f"results/tiny/logs/train/{RUN}.log").read_text()
    (step,) = re.findall(rf"resuming after step (\d+) of {STEPS}", log)
    return step


def finished_job(job: str) -> str:
    """What Slurm has noted of a job; empty until it has ended."""
    return next((line for line in reversed(ended_jobs()) if line.startswith(f"JobId={job} ")), "")


def ended_jobs() -> list[str]:
    return cluster.FINISHED_JOBS.read_text().splitlines()


def same(one: Workspace, other: Workspace) -> bool:
    """Whether both trainings have ended with the same weights and records."""
    return (one.folder / MODEL).read_bytes() == (other.folder / MODEL).read_bytes() and all(
        rows((one.folder / MODEL).with_name(name)) == rows((other.folder / MODEL).with_name(name))
        for name in ("history.csv", "val.csv")
    )
