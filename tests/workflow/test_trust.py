"""One run is enough, whatever was edited, when, and wherever the results have come from."""

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sa_sr import records
from tests.workflow.conftest import Workspace, changed, edited
from tests.workflow.test_kills_of_the_workflow import results
from tests.workflow.test_reruns import EDIT, EDITS


def without_video(config: dict) -> dict:
    """A configuration without its second model, and the tables and figures of this model."""
    config = json.loads(json.dumps(config))
    del config["models"]["vsrresfeatgan"], config["figures"]["comparisons"]["figure10"]
    config["tables"] = {name: table for name, table in config["tables"].items() if table["model"] == "esrgan"}
    return config


def other_figure(config: dict) -> dict:
    """A configuration whose first figure shows a data set that no table needs."""
    return edited(config, {"figures.edge_maps.figure1": {"dataset": "photos_val", "item": "ihc"}})


DATA = {"a model less": without_video, "a figure of another data set": other_figure}
"""Edits that change which data sets are needed."""


def planned_with(work: Workspace, clone: Path, second: str) -> dict[str, int]:
    """The plan where something besides the configuration is edited too."""
    if second == "the code of the loss":
        with changed(clone / "sa_sr/losses.py", lambda text: text + EDIT):
            return Workspace(work.folder, work.config, clone).planned()
    if second == "a training photo":
        photo = work.folder / "photos/train/coffee.png"
        with changed(photo, lambda _: (work.folder / "photos/test/astronaut.png").read_bytes()):
            return work.planned()
    return Workspace(work.folder, edited(work.config, {"evaluation.ssim": "uniform"})).planned()


@pytest.mark.parametrize("first", DATA)
@pytest.mark.parametrize(
    ("second", "rule", "jobs"),
    [("the code of the loss", "train", (3, 6)), ("a training photo", "train", (3, 3)), ("SSIM", "evaluate", (8, 11))],
)
def test_two_edits_plan_what_each_of_them_plans(finished, clone, first, second, rule, jobs):
    """jobs: of the rule that the second edit alone plans, without the second model and with it."""
    after = Workspace(finished.folder, DATA[first](finished.config))
    both = planned_with(after, clone, second)
    assert both[rule] == jobs[first != "a model less"]
    assert {*both} >= {*after.planned()}
    assert {*both} >= {*planned_with(finished, clone, second)} - {"pretrain"}


@pytest.mark.slow
def test_after_two_edits_one_run_makes_what_a_fresh_one_makes(finished, tmp_path):
    config = other_figure(edited(finished.config, {"evaluation.ssim": "uniform"}))
    both, fresh = (Workspace(shutil.copytree(finished.folder, tmp_path / name), config) for name in ("both", "fresh"))
    for place in ("evaluation", "figures", "tables"):
        shutil.rmtree(fresh.folder / "results/tiny" / place)
    for work in (both, fresh):
        done = work.snakemake()
        assert done.returncode == 0, done.stderr
        assert work.planned() == {}
    assert results(both) == results(fresh)


@pytest.fixture
def moved(finished, tmp_path) -> Workspace:
    """The finished results on another machine: with other times, and without what Snakemake remembers."""
    forgotten = shutil.ignore_patterns(".snakemake")
    shutil.copytree(finished.folder, tmp_path, copy_function=shutil.copyfile, ignore=forgotten, dirs_exist_ok=True)
    return Workspace(tmp_path, finished.config)


def test_results_without_what_snakemake_remembers_are_judged_by_their_records(moved):
    assert moved.planned() == {}
    for edit in ("the training", "the measurements", "a comparison"):
        values, jobs, _ = EDITS[edit]
        after = Workspace(moved.folder, edited(moved.config, values))
        assert after.planned() == {rule: count for rule, count in jobs.items() if count}
    assert "Nothing to be done" in moved.snakemake().stderr
    made = records.read(moved.folder / "results/tiny/tables/table1.md")
    assert made is not None
    now = (moved.folder / "results/tiny/tables/table1.md").stat()
    assert (made["content"]["mtime_ns"], made["content"]["ctime_ns"]) == (now.st_mtime_ns, now.st_ctime_ns)


def test_results_without_records_are_made_again(moved):
    for name in ("table1.csv", "table1.md", "table1.tex", "table1.html"):
        records.record_of(moved.folder / "results/tiny/tables" / name).unlink()
    assert moved.planned() == {"table": 1, "results_page": 1, "all": 1}


def test_what_nothing_needs_any_more_may_be_deleted(finished, tmp_path):
    work = Workspace(shutil.copytree(finished.folder, tmp_path / "work"), finished.config)
    shutil.rmtree(work.folder / "results/tiny/edges")
    (work.folder / "results/assets").rename(work.folder / "results/gone")
    for validations in work.folder.glob("results/tiny/train/*/val.csv"):
        validations.unlink()
    assert work.planned() == {}


def test_a_photo_of_the_same_size_and_time_counts(moved):
    """As from an archive whose files all have one time, or where a tool has set it back."""
    photo = moved.folder / "photos/test/chelsea.png"
    moved.snakemake()
    before, content = photo.stat(), bytearray(photo.read_bytes())
    content[-20] ^= 1
    photo.write_bytes(content)
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (photo.stat().st_size, photo.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert moved.planned()["prepare"] == 1


def edit_during(work: Workspace, sign: str, edit: Callable[[], None]) -> str:
    """Run the workflow, edit something as soon as a file is there, and return what a failing Snakemake has said."""
    run = work.start()
    end = time.monotonic() + 300
    while not (work.folder / sign).exists():
        assert run.poll() is None, (work.folder / "said").read_text()
        assert time.monotonic() < end
        time.sleep(0.02)
    edit()
    assert run.wait(300) == 1
    return (work.folder / "said").read_text()


MEANS, DIFFERENCES = "results/tiny/evaluation/means.csv", "results/tiny/evaluation/differences.csv"


def edit_module_during(work: Workspace, module: Path) -> str:
    """The same with a module, which is as it was afterwards."""
    before = module.read_bytes()
    try:
        return edit_during(work, DIFFERENCES, lambda: module.write_bytes(before + EDIT))
    finally:
        module.write_bytes(before)


@pytest.fixture
def unsummed(moved) -> Workspace:
    """Finished but for means, comparisons and what is made from these: a run of some seconds."""
    for name in (MEANS, DIFFERENCES):
        (moved.folder / name).unlink()
    return moved


@pytest.mark.slow
def test_code_that_changes_during_a_run_fails_the_jobs_that_come_after(finished, unsummed, clone):
    work = Workspace(unsummed.folder, unsummed.config, clone)
    said = edit_module_during(work, clone / "sa_sr/page/results.py")
    assert "sa_sr.page.results has changed since this job was planned; start snakemake again" in said
    assert work.snakemake().returncode == 0
    assert results(work) == results(finished)


@pytest.mark.slow
def test_code_that_changes_during_a_run_after_the_job_that_uses_it_ends_the_run_with_an_error(unsummed, clone):
    work = Workspace(unsummed.folder, unsummed.config, clone)
    said = edit_module_during(work, clone / "sa_sr/evaluation/aggregate.py")
    assert "The run has ended, and something was changed meanwhile. Run snakemake again." in said
    assert "module sa_sr.evaluation.aggregate has changed\n" in said
    assert f"\n  aggregate: {MEANS.replace('means', 'frames')}\n" in said
    assert work.planned() == {}


@pytest.mark.slow
def test_a_configuration_that_changes_during_a_run_ends_the_run_with_an_error(unsummed):
    edit = {"models.esrgan.loss.gan": 0.01}
    said = edit_during(unsummed, DIFFERENCES, Workspace(unsummed.folder, edited(unsummed.config, edit)).configure)
    assert "config.yaml is not what the run was planned with" in said
    assert unsummed.planned() == {}
