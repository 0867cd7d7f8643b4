"""The plan that `sa-sr check` prints is Snakemake's."""

import pytest
import yaml

from sa_sr.check.plan import jobs
from sa_sr.config import load
from tests.workflow.conftest import ROOT, Workspace


@pytest.mark.parametrize("file", ["demo.yaml", "paper.yaml", "paper-reds.yaml"])
def test_the_plan_is_snakemakes(tmp_path, file):
    """In an empty folder, so that nothing is done yet, and even files of one's own are lacking."""
    config = yaml.safe_load((ROOT / "config" / file).read_text())
    assert jobs(load(config)) == Workspace(tmp_path, config).planned()


@pytest.mark.slow
def test_the_plan_is_snakemakes_for_another_experiment_too(demo):
    """Two seeds, maps from patches, one model without tables, an extractor less, a figure of a data set of its own."""
    config = demo.config
    del config["models"]["vsrresfeatgan"], config["extractors"]["canny"], config["tables"]
    config |= {"seeds": [1, 2], "sweeps": {}}
    model = config["models"]["esrgan"]
    model["loss"] |= {"edge_scope": "crop", "beta2": {"none": 0, "local_variance": "auto"}}
    model["test_sets"] = ["city_test"]
    config["figures"] = {"edge_maps": {"figure1": {"dataset": "photos_test", "item": "astronaut"}}}
    assert jobs(load(config)) == demo.planned()


def test_the_plan_is_snakemakes_with_sweeps(demo):
    """Over beta2 and over parameters, two that share a run, one with a weight that is calibrated, and two seeds."""
    demo.config["seeds"] = [1, 2]
    demo.config["sweeps"] = {
        "beta2": SWEEP | {"key": "beta2", "values": [5, 20.0, 80]},
        "more": SWEEP | {"key": "beta2", "values": [80, 160], "dataset": "street_test"},
        "low": SWEEP | {"key": "low", "values": [50, 100]},
        "delta": {"model": "vsrresfeatgan", "extractor": "local_variance", "key": "delta", "values": [0.01]}
        | {"dataset": "city_test", "space": "y", "border": 8, "subset": "interior"},
    }
    planned = jobs(load(demo.config))
    assert planned == demo.planned()
    assert (planned["train"], planned["sweep"]) == (2 * (6 + 3 + 1 + 1), 4)


SWEEP = {"model": "esrgan", "extractor": "canny", "dataset": "photos_test"}


@pytest.mark.slow
def test_the_plan_of_the_baseline_alone_has_no_calibration(demo):
    demo.config |= {"extractors": {"none": {}}, "sweeps": {}}
    for model in demo.config["models"].values():
        model["loss"]["beta2"] = {"none": 0}
    planned = jobs(load(demo.config))
    assert planned == demo.planned()
    assert not planned.keys() & {"calibrate", "shares"}
