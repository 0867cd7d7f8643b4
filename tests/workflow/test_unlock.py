"""The lock that a killed Snakemake leaves behind is removed, that of a living one is respected."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT

SNAKEFILE = """
from pathlib import Path
from sa_sr.unlock import hold
HOLD
rule all:
    input: "done"
rule wait:
    output: "done"
    shell: "COMMAND"
"""
API = """
from pathlib import Path
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, ResourceSettings
with SnakemakeApi(OutputSettings()) as api:
    resources = ResourceSettings(cores=1)
    api.workflow(resources, snakefile=Path("Snakefile"), workdir=Path()).dag().execute_workflow()
"""
COMMANDS = {
    "snakemake": ["snakemake", "--cores", "1", "--workflow-profile", "none"],
    "python -m": [sys.executable, "-u", "-W", "ignore", "-m", "snakemake", "--cores", "1"],
    "API": [sys.executable, "-c", API],
}


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def start(folder: Path, command: str, by: str = "snakemake", hold: str = "") -> subprocess.Popen[bytes]:
    (folder / "Snakefile").write_text(SNAKEFILE.replace("COMMAND", command).replace("HOLD", hold))
    return subprocess.Popen(
        COMMANDS[by], cwd=folder, env=environment(), start_new_session=True, stderr=subprocess.DEVNULL
    )


@contextmanager
def locked(folder: Path, *how: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Snakemake that waits, killed in the end."""
    run = start(folder, "sleep 300 && touch done", *how)
    try:
        deadline = time.monotonic() + 300
        while not locks(folder):
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield run
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert locks(folder)


def unlock(folder: Path, *before: str) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-m", "sa_sr", "unlock"]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)


def locks(folder: Path) -> list[Path]:
    return list((folder / ".snakemake/locks").glob("*.lock"))


@pytest.mark.parametrize("by", COMMANDS)
def test_a_living_snakemake_keeps_its_lock_and_a_dead_one_loses_it(tmp_path, by):
    folder = tmp_path / "über see"
    folder.mkdir()
    with locked(folder, by) as run:
        refused = unlock(folder)
        assert refused.returncode == 1
        assert f"Snakemake is running here as process {run.pid}" in refused.stderr
        assert locks(folder)
        assert unlock(tmp_path).returncode == 0  # nothing is locked there
    done = unlock(folder)
    assert done.returncode == 0
    assert "removed the lock of a Snakemake that is no longer there" in done.stderr
    assert not locks(folder)


def test_a_folder_without_its_lock_can_be_used(tmp_path):
    with locked(tmp_path):
        pass
    assert unlock(tmp_path).returncode == 0
    assert start(tmp_path, "touch done").wait(300) == 0


@pytest.mark.parametrize("hold", ["", "hold(Path())"], ids=["another Snakefile", "this Snakefile"])
def test_a_snakemake_outside_of_a_container_keeps_its_lock(tmp_path, hold):
    """What a container can't see it can't judge; but of this workflow it sees a lock that ends with its process."""
    inside = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    with locked(tmp_path, "snakemake", hold) as run:
        refused = unlock(tmp_path, *inside)
        assert refused.returncode == 1
        assert (f"is running here as process {run.pid} on" if hold else "may be running here") in refused.stderr
        assert locks(tmp_path)
    assert unlock(tmp_path, *inside).returncode == (0 if hold else 1)
    assert bool(locks(tmp_path)) == (not hold)


@pytest.mark.parametrize("target", ["demo", "paper"])
def test_make_clears_the_lock_first(target):
    lines = (ROOT / "Makefile").read_text().partition(f"\n{target}:")[2].splitlines()
    assert lines[1].strip() == "@sa-sr unlock"
