"""What a run was planned with is handed to its jobs, and jobs with anything else refuse."""

import json

import pytest

from sa_sr import plan
from sa_sr.errors import UserError

CONFIG = {"name": "x", "extractors": {"none": {}, "canny": {}, "b": {}}}
CLAIMS = {"claims": {}}


@pytest.fixture
def frozen(tmp_path, monkeypatch):
    rules = tmp_path / "Snakefile"
    rules.write_text("rule all:\n")
    path = plan.freeze(tmp_path / ".plan", CONFIG, CLAIMS, {"sa_sr.losses@1", "torch==2.1"}, [str(rules)])
    monkeypatch.setenv(plan.VARIABLE, str(path))
    return path


def test_a_job_gets_the_configuration_in_its_order_and_the_claims(frozen):
    config = json.loads(frozen.read_text())
    assert plan.enter(frozen, config) == CLAIMS
    assert list(config["extractors"]) == list(CONFIG["extractors"])
    assert config == CONFIG


def test_a_plan_that_was_edited_is_refused(frozen):
    frozen.write_text(frozen.read_text().replace('"name": "x"', '"name": "y"'))
    with pytest.raises(UserError, match="not the configuration that this job was planned with; start snakemake again"):
        plan.enter(frozen, json.loads(frozen.read_text()))


def test_rules_that_were_edited_are_refused(frozen, tmp_path):
    plan.check([])
    (tmp_path / "Snakefile").write_text("rule all: input: 'a'\n")
    with pytest.raises(UserError, match="Snakefile has changed since this job was planned"):
        plan.check([])


def test_code_and_libraries_that_the_plan_names_are_compared(frozen):
    plan.check(["sa_sr.losses@1", "torch==2.1", "mylab.edges@7"])
    with pytest.raises(UserError, match=r"sa_sr\.losses has changed since this job was planned"):
        plan.check(["sa_sr.losses@2"])
    with pytest.raises(UserError, match="torch has changed since this job was planned"):
        plan.check(["torch==2.2"])


def test_a_later_run_takes_the_place_of_an_earlier_one_whose_jobs_refuse(frozen):
    later = plan.freeze(frozen.parent, CONFIG | {"name": "y"}, CLAIMS, [], [])
    assert list(frozen.parent.iterdir()) == [later]
    with pytest.raises(UserError, match="the plan of this job is gone"):
        plan.check(["sa_sr.losses@1"])


def test_two_runs_in_one_folder_keep_their_plans(frozen):
    other = plan.freeze(frozen.parent, CONFIG | {"name": "y"}, CLAIMS, [], [], alone=False)
    assert {*frozen.parent.iterdir()} == {frozen, other}


def test_a_command_that_is_run_by_hand_has_no_plan(monkeypatch):
    monkeypatch.delenv(plan.VARIABLE, raising=False)
    plan.check(["sa_sr.losses@1"])
