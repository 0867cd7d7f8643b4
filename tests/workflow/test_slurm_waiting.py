"""What is edited while jobs wait in Slurm's queue does not reach them."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.workflow.conftest import Workspace, changed, edited
from tests.workflow.test_slurm import QUICK, said, wait

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.usefixtures("slurm"), pytest.mark.timeout(900)]

DATA, MAPS = (f"results/tiny/{place}.h5" for place in ("data/photos_val", "edges/photos_val/canny"))


@pytest.fixture
def work(tiny, tmp_path) -> Workspace:
    work = tiny.copy(tmp_path)
    done = work.snakemake(DATA)
    assert done.returncode == 0, done.stderr
    return replace(work, profile="slurm")


@contextmanager
def waiting(work: Workspace) -> Iterator[Callable[[], int]]:
    """Snakemake with a job of edge maps that waits in the queue; call what is given to let the job start and end."""
    set_partition("DOWN")
    try:
        run = work.start(*QUICK, "--retries", "0", MAPS)
        wait(lambda: "has been submitted" in said(work) or run.poll() is not None)
        assert run.poll() is None, said(work)

        def end() -> int:
            set_partition("UP")
            return run.wait(180)

        yield end
    finally:
        set_partition("UP")


def set_partition(state: str) -> None:
    subprocess.run(["scontrol", "update", "PartitionName=cpu", f"State={state}"], check=True)


def test_a_job_runs_with_the_configuration_that_it_was_planned_with(tiny, work, tmp_path):
    other = Workspace(work.folder, edited(work.config, {"extractors.canny.low": 10}))
    with waiting(work) as end:
        other.configure()
        assert end() == 1
    assert "config.yaml is not what the run was planned with" in said(work)
    assert work.planned(MAPS) == {}
    assert other.planned(MAPS) == {"extract_edges": 1}
    here = tiny.copy(tmp_path / "here")
    assert here.snakemake(MAPS).returncode == 0
    assert (work.folder / MAPS).read_bytes() == (here.folder / MAPS).read_bytes()


def test_a_job_refuses_code_that_it_was_not_planned_with(work, clone):
    work = replace(work, checkout=clone)
    with waiting(work) as end, changed(clone / "sa_sr/edges/canny.py", lambda text: text + b"\nEDITED = True\n"):
        assert end() == 1
    assert "sa_sr.edges.canny has changed since this job was planned; start snakemake again" in said(work)
    assert not (work.folder / MAPS).exists()


def test_a_job_refuses_rules_that_it_was_not_planned_with(work, clone):
    work = replace(work, checkout=clone)
    rules = clone / "workflow/rules/edges.smk"
    with waiting(work) as end, changed(rules, lambda text: text + b"\n# another word\n"):
        assert end() == 1
    assert f"{rules} has changed since this job was planned; start snakemake again" in said(work)
