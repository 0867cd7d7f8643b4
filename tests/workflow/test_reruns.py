"""After an edit exactly those stages run again which depend on what was edited."""

import os
import shutil

import pytest
from PIL import Image

from tests.workflow.conftest import ROOT, Workspace, changed, edited

ESRGAN, VSR = {"esrgan": 3}, {"vsrresfeatgan": 3}
TESTED = {"esrgan": 2, "vsrresfeatgan": 1}
"""Test sets of each model."""
TAIL = {
    **dict.fromkeys(("aggregate", "statistics", "claims", "plane", "results_page", "all"), 1),
    "table": 4,
    "details": 4,
    "comparison": 2,
}
"""What follows whenever something was measured anew."""


def trained(**runs: int) -> dict[str, int]:
    """What follows when so many runs of each model are trained anew."""
    tested = sum(count * TESTED[model] for model, count in runs.items())
    follow = {"super_resolve": tested, "evaluate": tested, "shares": 1, "health": 1, "curves": len(runs)}
    return {"train": sum(runs.values()), **follow, **TAIL}


EDIT = b"\nEDITED = True\n"
"""Of a module: behind its last line."""
EDITS = {
    "a word on where data is to be had": (
        {"datasets.photos_test.sources.0.note": "Ask the author."},
        {},
        "",
    ),
    "an asset that nothing uses": (
        {
            "assets.mine": {
                "about": "Mine.",
                "licence": "CC0",
                "sha256": "0" * 64,
                "sources": [{"url": "https://example.org/mine"}],
            }
        },
        {},
        "",
    ),
    "a test set": (
        {"datasets.photos_test.sources.0.reduce": 2},
        {"prepare": 1, "bicubic": 1, "extract_edges": 2, "edge_maps": 1, "super_resolve": 3} | {"evaluate": 4, **TAIL},
        "datasets.photos_test.sources.0.reduce was 1, is 2\n  prepare: results/tiny/data/photos_test.h5",
    ),
    "the blur of a training set": (
        {"datasets.clips_train.degradation": "BD"},
        {
            "prepare": 1,
            "extract_edges": 3,
            "pretrain": 1,
            "calibrate": 2,
            "resolve": 2,
            **trained(**VSR),
        },
        "datasets.clips_train.degradation was 'BI', is 'BD'",
    ),
    "a test set more": (
        {"models.esrgan.test_sets": ["photos_test", "clips_test", "clips_val"]},
        {"bicubic": 1, "super_resolve": 3, "evaluate": 4, **TAIL},
        "not there yet\n  bicubic: results/tiny/images/bicubic/clips_val.h5",
    ),
    "a parameter of an extractor": (
        {"extractors.canny.low": 90},
        {"extract_edges": 5, "edge_maps": 1, "calibrate": 2, "resolve": 2, **trained(esrgan=1, vsrresfeatgan=1)},
        "extractors.canny.low was 100.0, is 90.0\n  extract_edges: results/tiny/edges/",
    ),
    "an extractor less": (
        {
            "extractors": {"none": {}, "canny": {"low": 100, "high": 200}},
            "models.esrgan.loss.beta2": {"none": 0, "canny": "auto"},
            "models.vsrresfeatgan.loss.beta2": {"none": 0, "canny": "auto"},
        },
        {"edge_maps": 1, "shares": 1, "health": 1, "curves": 2, **TAIL},
        "extractors.",
    ),
    "a seed more": (
        {"seeds": [1, 2]},
        {"resolve_pretrain": 2, "resolve": 6, "pretrain": 2, "calibrate": 4} | trained(**ESRGAN, **VSR) | {"curves": 0},
        "not there yet\n  resolve: results/tiny/pretrain/esrgan-s2/run.json",
    ),
    "the precision": (
        {"precision": "bf16-mixed"},
        {"resolve_pretrain": 2, "resolve": 6, "pretrain": 2, "calibrate": 4, **trained(**ESRGAN, **VSR)},
        "precision was 'auto', is 'bf16-mixed'\n  resolve: results/tiny/pretrain/esrgan-s1/run.json, and 7 more",
    ),
    "the size of a network": (
        {"models.vsrresfeatgan.generator.num_feat": 12},
        {"resolve_pretrain": 1, "resolve": 3, "pretrain": 1, "calibrate": 2, **trained(**VSR)},
        "models.vsrresfeatgan.generator.num_feat was 8, is 12",
    ),
    "the discriminator": (
        {"models.esrgan.discriminator.num_feat": 8},
        {"resolve": 3, "calibrate": 2, **trained(**ESRGAN)},
        "models.esrgan.discriminator.num_feat was 4, is 8",
    ),
    "the patches": (
        {"models.esrgan.patch": 64},
        {"resolve_pretrain": 1, "resolve": 3, "pretrain": 1, "calibrate": 2, **trained(**ESRGAN)},
        "models.esrgan.patch was 32, is 64",
    ),
    "the pretraining": (
        {"models.esrgan.pretrain.lr": 3e-4},
        {"resolve_pretrain": 1, "pretrain": 1, "calibrate": 2, "resolve": 1, **trained(**ESRGAN)},
        "models.esrgan.pretrain.lr was 0.0001, is 0.0003\n  resolve: results/tiny/pretrain/esrgan-s1/run.json",
    ),
    "the training": (
        {"models.esrgan.train.steps": 4},
        {"resolve": 3, **trained(**ESRGAN)},
        "models.esrgan.train.steps was 3, is 4\n  resolve: results/tiny/train/esrgan-canny-s1/run.json, and 2 more",
    ),
    "the perceptual loss": (
        {"models.vsrresfeatgan.features.scale": 0.01},
        {"resolve": 3, "calibrate": 2, **trained(**VSR)},
        "models.vsrresfeatgan.features.scale was 0.0064, is 0.01",
    ),
    "the weight of a term": (
        {"models.vsrresfeatgan.loss.gan": 0.002},
        {"resolve": 3, "calibrate": 2, **trained(**VSR)},
        "models.vsrresfeatgan.loss.gan was 0.001, is 0.002",
    ),
    "the weight of an extractor": (
        {"models.esrgan.loss.beta2.local_variance": 5},
        {"resolve": 1, "calibrate": 1, **trained(esrgan=1)},
        "models.esrgan.loss.beta2.local_variance was 20.0, is 5.0",
    ),
    "the share that is aimed at": (
        {"models.esrgan.loss.share": 0.1},
        {"calibrate": 1, "resolve": 1, **trained(esrgan=1)},
        "models.esrgan.loss.share was 0.15, is 0.1",
    ),
    "the measurements": (
        {"evaluation.borders": [4, 8, 2]},
        {"evaluate": 11, **TAIL},
        "evaluation.borders.2 was nothing, is 2\n  evaluate: results/tiny/evaluation/bicubic/clips_test.csv, and 10",
    ),
    "the regions": (
        {"evaluation.regions.edge": 30},
        {"evaluate": 11, **TAIL},
        "evaluation.regions.edge was 25.0, is 30.0\n  evaluate: results/tiny/evaluation/bicubic/clips_test.csv",
    ),
    "a table": (
        {"tables.table1.label": "photos"},
        {"table": 1, "details": 1, "claims": 1, "results_page": 1, "all": 1},
        "tables.table1.label was 'street, standing in for Myanmar', is 'photos'\n  claims: results/tiny/claims.csv\n"
        "  table: results/tiny/tables/table1.csv\n  details: results/tiny/tables/table1_details.md\n",
    ),
    "the first figure": (
        {"figures.edge_maps.figure1.item": "chelsea"},
        {"edge_maps": 1, "results_page": 1, "all": 1},
        "figures.edge_maps.figure1.item was 'astronaut', is 'chelsea'",
    ),
    "a comparison": (
        {"figures.comparisons.figure8.crop": [10, 10, 32, 24]},
        {"comparison": 1, "results_page": 1, "all": 1},
        "figures.comparisons.figure8.crop was '', is '10,10,32,24'",
    ),
}
"""For each edit, the keys and their values, the jobs that follow, and what `sa-sr why` says."""


def slow(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


USUAL = ("a test set", "a parameter of an extractor", "a seed more", "the training", "the measurements", "a comparison")
"""Edits of each part of the configuration that are tried with every change of the code; the others are slow tests."""


@pytest.mark.parametrize("edit", [name if name in USUAL else slow(name) for name in EDITS])
def test_a_key_reruns_what_depends_on_it(finished, edit):
    values, jobs, _ = EDITS[edit]
    after = Workspace(finished.folder, edited(finished.config, values))
    assert after.planned() == {rule: count for rule, count in jobs.items() if count}


APART = {"an extractor less": 1, "a test set more": 1, "a seed more": 2}
"""Edits that `sa-sr why` is not asked about together with the others: they change what these would be of."""


@pytest.mark.slow
@pytest.mark.parametrize("group", [0, 1, 2])
def test_why_names_the_keys_and_what_was_made_with_their_old_values(finished, group):
    edits = [EDITS[edit] for edit in EDITS if APART.get(edit, 0) == group]
    config = finished.config
    for values, *_ in edits:
        config = edited(config, values)
    said = Workspace(finished.folder, config).why()
    assert [words for *_, words in edits if words not in said] == []


def test_why_needs_no_memory_of_snakemake(finished, tmp_path):
    """It goes by what lies beside each file."""
    table = "results/tiny/tables/table1.md"
    memory = finished.folder / ".snakemake"
    memory.rename(tmp_path / "memory")
    try:
        assert finished.why(table).endswith(": up to date. Nothing that it is made from has changed.\n")
        after = Workspace(finished.folder, edited(finished.config, {"models.esrgan.loss.gan": 0.01}))
        said = after.why(table)
    finally:
        shutil.rmtree(memory, ignore_errors=True)
        (tmp_path / "memory").rename(memory)
    assert said.splitlines()[2:] == [
        "models.esrgan.loss.gan was 0.005, is 0.01",
        "  resolve: results/tiny/train/esrgan-canny-s1/run.json, and 2 more",
        "  calibrate: results/tiny/train/esrgan-canny-s1/calibration.json",
        "",
        # beside them 6 sets of pictures, 6 measurements, their means and comparisons, and the table
        "18 more stages follow from these, 3 of them trainings.",
    ]


def test_a_claim_reruns_its_stage_alone_and_own_ones_come_first(finished):
    """config/claims.yaml of the folder stands before that beside the Snakefile."""
    own = finished.folder / "config/claims.yaml"
    own.parent.mkdir()
    claims = (ROOT / "config/claims.yaml").read_text()
    try:
        own.write_text(f"# the same claims\n{claims}")
        assert finished.planned() == {}
        own.write_text(claims.replace("share: [0.10, 0.20]", "share: [0.12, 0.2]"))
        assert finished.planned() == {"claims": 1, "results_page": 1, "all": 1}
        assert "config/claims.yaml: claims.share.share.0 was 0.1, is 0.12\n  claims: " in finished.why()
        own.write_text(claims.replace("metric: psnr", "metric: pnsr"))
        done = finished.snakemake("--dry-run")
        assert done.returncode != 0
        assert "config/claims.yaml is not valid:\n  claims.psnr.metric: no metric 'pnsr'; did you mean 'psnr'?" in (
            done.stdout + done.stderr
        )
    finally:
        shutil.rmtree(own.parent)


def backwards(config: object) -> object:
    """The same mappings with their keys in another order; the order of extractors is that of the tables."""
    if isinstance(config, dict):
        return {key: v if key == "extractors" else backwards(v) for key, v in reversed(config.items())}
    return [backwards(value) for value in config] if isinstance(config, list) else config


def test_the_order_of_keys_does_not_count(finished):
    assert Workspace(finished.folder, backwards(finished.config)).planned() == {}


def test_the_order_of_extractors_is_that_of_tables_and_figures(finished):
    extractors = dict(reversed(finished.config["extractors"].items()))
    after = Workspace(finished.folder, finished.config | {"extractors": extractors})
    assert after.planned() == {"edge_maps": 1, "shares": 1, "health": 1, "curves": 2, **TAIL}
    assert "the order of what it is made from is another\n" in after.why()


def test_times_do_not_count(finished):
    for path in [*finished.folder.rglob("*"), finished.folder]:
        if path.is_file() and ".snakemake" not in path.parts:
            os.utime(path)
    assert finished.planned() == {}


PHOTO = {"prepare": 1, "bicubic": 1, "extract_edges": 2, "edge_maps": 1, "super_resolve": 3}
PHOTO |= {"evaluate": 4, **TAIL}


def test_a_photo_that_is_another_counts(finished):
    file = finished.folder / "photos/test/chelsea.png"
    with changed(file, lambda png: (finished.folder / "photos/test/astronaut.png").read_bytes()):
        assert finished.planned() == PHOTO
        assert (
            "photos/test/chelsea.png has another content\n  prepare: results/tiny/data/photos_test.h5" in finished.why()
        )


def test_a_photo_more_and_a_photo_less_count(finished):
    one, other = (finished.folder / f"photos/test/{name}.png" for name in ("chelsea", "more"))
    Image.open(one).save(other)
    try:
        assert finished.planned() == PHOTO
        assert "photos/test/more.png is new" in finished.why()
        one.rename(one.with_suffix(".off"))
        assert finished.planned() == PHOTO
        assert "photos/test/chelsea.png is gone" in finished.why()
    finally:
        other.unlink()
        one.with_suffix(".off").rename(one)


NEW = b'''"""Horizontal edges."""
import cv2
import numpy as np

def steps(image: np.ndarray, strength: float = 1.0) -> np.ndarray:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None] / 255
    return np.clip(strength * np.abs(np.gradient(gray, axis=0)), 0, 1)
'''


def test_an_extractor_more_makes_only_what_is_its_own(finished, clone):
    weights = {f"models.{model}.loss.beta2.steps": 3 for model in ("esrgan", "vsrresfeatgan")}
    config = edited(finished.config, {"extractors.steps": {"strength": 2}} | weights)
    file = clone / "sa_sr/edges/steps.py"
    file.write_bytes(NEW)
    try:
        planned = Workspace(finished.folder, config, clone).planned()
    finally:
        file.unlink()
    assert planned == {"extract_edges": 5, "edge_maps": 1, "calibrate": 2, "resolve": 2} | trained(
        esrgan=1, vsrresfeatgan=1
    )


SRUN = ("nodes=2", "mpi=srun", "tasks=2", "tasks_per_gpu=1", "cpus_per_task=1")


def test_on_how_many_devices_and_machines_a_training_runs_reruns_nothing(finished):
    several = ("--set-resources", "train:gpu=2", "pretrain:gpu=2")
    assert finished.planned("--resources", "gpu=2", *several) == {}
    machines = [f"{rule}:{key}" for rule in ("train", "pretrain") for key in SRUN]
    assert finished.planned("--resources", "gpu=2", *several, *machines) == {}
