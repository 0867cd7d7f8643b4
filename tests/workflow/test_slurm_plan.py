"""What profiles/slurm asks for in the paper's plan; no Slurm is needed for that."""

import re
from collections import Counter
from dataclasses import replace

import pytest
import yaml

from tests.workflow.conftest import ROOT, Workspace


@pytest.fixture(scope="module")
def paper(tmp_path_factory) -> Workspace:
    config = yaml.safe_load((ROOT / "config/paper.yaml").read_text())
    return replace(Workspace(tmp_path_factory.mktemp("paper"), config), profile="slurm")


@pytest.fixture(scope="module")
def plan(paper) -> str:
    return planned(paper)


def planned(work: Workspace, *options: str) -> str:
    done = work.snakemake("--dry-run", "--nocolor", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def resources(plan: str, rule: str) -> list[dict[str, str]]:
    """The resources of every job of a rule."""
    lines = re.findall(rf"^ *rule {rule}:\n(?:.+\n)*? +resources: (.*)", plan, re.M)
    return [dict(entry.split("=", 1) for entry in line.split(", ")) for line in lines]


@pytest.mark.parametrize(("rule", "jobs"), [("pretrain", 2), ("train", 6)])
def test_a_training_has_a_gpu_of_one_node_a_day_and_a_warning(plan, rule, jobs):
    found = resources(plan, rule)
    assert len(found) == jobs
    wanted = {"slurm_partition": "gpu", "gpu": "1", "nodes": "1", "mem_mb": "32000", "runtime": "1440"}
    for job in found:
        assert wanted.items() <= job.items()
        assert job["slurm_extra"] == "--signal=USR1@180"


@pytest.mark.parametrize(("gpus", "starts"), [
    (4, ""),
    (8, "srun --nodes=2 --ntasks=8 --ntasks-per-node=4 --cpus-per-task=4 --kill-on-bad-exit=1 "),
])  # fmt: skip
def test_one_training_on_several_gpus_as_the_profile_has_it_in_comments(paper, tmp_path, gpus, starts):
    """The profile's own line for one GPU is exchanged for the one that stands below it as a comment."""
    lines = (ROOT / "profiles/slurm/config.yaml").read_text().splitlines()
    (several,) = [
        line.replace("# ", "") for line in lines if line.startswith(f"  # train: {{slurm_partition: gpu, gpu: {gpus},")
    ]
    lines = [several if line.startswith("  train: {") else line for line in lines]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    plan = planned(paper, "--workflow-profile", str(tmp_path), "--printshellcmds", "--cores", "64")
    found = resources(plan, "train")
    wanted = {"gpu": str(gpus), "mem_mb": "128000", "runtime": "1440"}
    assert [wanted.items() <= job.items() for job in found] == [True] * 6
    commands = re.findall(r"Shell command: (.*)sa-sr train .*(--devices \d+)", plan)
    assert commands == [(starts, f"--devices {gpus}")] * 6


def test_other_jobs_have_a_gpu_only_where_a_network_runs(plan):
    asked = {
        rule: resources(plan, rule) for rule in ("calibrate", "super_resolve", "prepare", "extract_edges", "evaluate")
    }
    assert {
        rule: Counter((job["slurm_partition"], job.get("gpu")) for job in jobs) for rule, jobs in asked.items()
    } == {
        "calibrate": {("gpu", "1"): 4},
        "super_resolve": {("gpu", "1"): 12},
        "prepare": {("cpu", None): 6},
        "extract_edges": {("cpu", None): 12},
        "evaluate": {("cpu", None): 14},
    }


def test_stages_of_seconds_share_a_job(plan):
    groups = re.findall(r"Group job (\w+) .*\n((?:(?: {4}.*)?\n)+)", plan)
    assert {name: set(re.findall(r"^ +rule (\w+):", jobs, re.M)) for name, jobs in groups} == {
        "enlargements": {"bicubic"},
        "pictures": {"edge_maps", "comparison", "curves", "plane", "results_page"},
    }
    assert len(groups) == 2
    assert {job["runtime"] for rule in ("bicubic", "plane") for job in resources(plan, rule)} == {"10"}
