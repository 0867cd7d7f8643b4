"""The lock that a killed Snakemake leaves behind is removed, that of a living one is respected."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT

SNAKEFILE = """
rule all:
    input: "done"
rule wait:
    output: "done"
    shell: "{command}"
"""


def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def start(folder: Path, command: str) -> subprocess.Popen[str]:
    (folder / "Snakefile").write_text(SNAKEFILE.replace("{command}", command))
    arguments = ["snakemake", "--cores", "1", "--workflow-profile", "none"]
    return subprocess.Popen(arguments, cwd=folder, env=environment(), start_new_session=True, stderr=subprocess.DEVNULL)


def unlock(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sa_sr", "unlock"]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)


def locks(folder: Path) -> list[Path]:
    return list((folder / ".snakemake/locks").glob("*.lock"))


def test_a_living_snakemake_keeps_its_lock_and_a_dead_one_loses_it(tmp_path):
    folder = tmp_path / "über see"
    folder.mkdir()
    run = start(folder, "sleep 300 && touch done")
    try:
        deadline = time.monotonic() + 300
        while not locks(folder):
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        refused = unlock(folder)
        assert refused.returncode == 1
        assert f"Snakemake is running here as process {run.pid}" in refused.stderr
        assert locks(folder)
        assert unlock(tmp_path).returncode == 0  # nothing is locked there
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert locks(folder)
    done = unlock(folder)
    assert done.returncode == 0
    assert "removed the lock of a Snakemake that is no longer there" in done.stderr
    assert not locks(folder)
    assert start(folder, "touch done").wait(300) == 0
    assert (folder / "done").exists()


@pytest.mark.parametrize("target", ["demo", "paper"])
def test_make_clears_the_lock_first(target):
    lines = (ROOT / "Makefile").read_text().partition(f"\n{target}:")[2].splitlines()
    assert lines[1].strip() == "@sa-sr unlock"
