"""The lists of packages agree: what the project needs, what is pinned, what conda is told."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = [Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
}


@pytest.mark.parametrize("requirement", NEEDED, ids=lambda r: r.name)
def test_every_requirement_is_pinned_within_its_range(requirement):
    assert canonicalize_name(requirement.name) in PINS
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_torch_may_be_old_or_new():
    (torch,) = (r for r in NEEDED if r.name == "torch")
    assert torch.specifier.contains("2.11.0")
    assert torch.specifier.contains("2.99.0")
    assert PINS["torch"] == "2.13.0"


def test_conda_installs_this_project_against_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (entry["pip"] for entry in environment if isinstance(entry, dict))
    assert pip == ["--constraint constraints.txt", "--editable ."]


def test_the_packages_that_users_expect_are_required():
    names = {r.name for r in NEEDED}
    assert names >= {
        "torch", "snakemake", "opencv-python", "lpips", "scikit-image", "h5py", "pandas", "matplotlib", "pytest",
        "snakemake-executor-plugin-slurm",
    }  # fmt: skip


def test_the_library_never_imports_snakemake():
    for file in (ROOT / "sa_sr").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) snakemake", file.read_text(), re.M), file


PROMISES = [
    line.strip("| ").split(" | ")
    for line in (ROOT / "docs/reliability.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| promise")
]


@pytest.mark.parametrize(("promise", "tests"), PROMISES, ids=lambda text: text[:40])
def test_every_promise_names_tests_that_exist(promise, tests):
    named = re.findall(r"`(tests/[^`]+)`", tests)
    assert named
    for name in named:
        path, _, function = name.partition("::")
        assert (ROOT / path).exists(), path
        assert f"def {function}" in (ROOT / path).read_text() if function else True, name
