"""The whole workflow is killed again and again, is started again each time, and ends with the same bytes."""

import os
import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.processes import version
from tests.workflow.conftest import Workspace
from tests.workflow.test_kills import rows

ALONE, GROUP, CTRL_C = "Snakemake alone", "everything", "Ctrl-C"
KILLS = [
    (GROUP, "results/tiny/data/*.h5"),
    (ALONE, "results/tiny/edges/*/*.h5"),
    (GROUP, "state/tiny/pretrain-*/lock"),
    (ALONE, "state/tiny/pretrain-*/last.pt"),
    (CTRL_C, "state/tiny/esrgan-*/lock"),
    (ALONE, "state/tiny/esrgan-*/last.pt"),
    (GROUP, "results/tiny/train/*/model.safetensors"),
    (ALONE, "results/tiny/images/*/*.h5"),
]
"""Who is killed, and after the appearance of which file, or of a later one, that was not there at the start."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_workflow_that_is_killed_again_and_again_ends_with_the_same_bytes(finished_part, tmp_path):
    chance, work = random.Random(1), finished_part.copy(tmp_path)
    for number, (who, _) in enumerate(KILLS):
        signs = [sign for _, sign in KILLS[number:]]  # what an earlier run has finished already can't be waited for
        unlocked = work.unlock()
        assert unlocked.returncode == 0, unlocked.stderr
        before = versions(work, signs)
        run = work.start("--resources", "gpu=2")
        while not versions(work, signs) - before and run.poll() is None:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 1.5))
        if run.poll() is not None:  # it met a training that had outlived its Snakemake, and said so
            assert refused(work), (tmp_path / "said").read_text()
        elif who == ALONE:
            run.kill()
        else:
            os.killpg(run.pid, signal.SIGKILL if who == GROUP else signal.SIGINT)
        assert run.wait(120) != 0
        if who == CTRL_C:
            assert not list((tmp_path / ".snakemake/locks").glob("*"))
        (tmp_path / "said").unlink()

    for _ in range(2):
        assert work.unlock().returncode == 0
        if work.start("--resources", "gpu=2").wait() == 0:
            break
        assert refused(work), (tmp_path / "said").read_text()  # then who waits and starts again gets on
        wait_for_orphans(tmp_path)
    assert "Nothing to be done" in work.snakemake().stderr
    assert results(work) == results(finished_part)
    for history in (finished_part.folder / "results/tiny").rglob("history.csv"):
        assert rows(tmp_path / history.relative_to(finished_part.folder)) == rows(history)
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list((tmp_path / ".snakemake/locks").glob("*"))


def versions(work: Workspace, signs: list[str]) -> set[tuple[Path, int]]:
    """The files there are, each with a number for its content."""
    return {(path, found) for sign in signs for path in work.folder.glob(sign) if (found := version(path))}


def refused(work: Workspace) -> bool:
    return "is in use by process" in (work.folder / "said").read_text()


def wait_for_orphans(folder: Path) -> None:
    """Jobs go on when their Snakemake is killed: until the last of them is done."""
    orphans = [p for p in psutil.process_iter(["cwd"]) if p.info["cwd"] == str(folder)]
    _, alive = psutil.wait_procs(orphans, 120)
    assert not alive


def results(work: Workspace) -> dict[str, bytes]:
    """Every result but the times: weights, validations, evaluations, tables, figures, pictures, edge maps, data."""
    folder = work.folder / "results/tiny"
    timed = {folder / "logs", folder / ".plan", *folder.rglob("history.csv"), *folder.rglob(".*.made.json")}
    kept = [path for path in folder.rglob("*") if path.is_file() and not timed & {path, *path.parents}]
    assert len(kept) > 50
    return {str(path.relative_to(work.folder)): path.read_bytes() for path in kept}
