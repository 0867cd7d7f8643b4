"""Sweeps in the configuration: which runs they take, and which mistakes are named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_sr.check.disk import training_files
from sa_sr.check.networks import build
from sa_sr.check.plan import edge_files
from sa_sr.config import Run, load
from sa_sr.config.sweeps import variant_name
from sa_sr.errors import UserError
from sa_sr.render.labels import label
from tests.unit.test_config import DEMO, changed

BETA2 = {"model": "esrgan", "extractor": "canny", "key": "beta2", "values": [5, 20, 80], "dataset": "photos_test"}
WINDOW = BETA2 | {"extractor": "local_variance", "key": "window", "values": [3, 5.0, 7]}


def swept(**edits):
    """The demo's configuration with these sweeps, and values at dotted paths."""
    sweeps = {name: value for name, value in edits.items() if isinstance(value, dict) and "key" in value}
    return load(changed(sweeps=sweeps, **{path: value for path, value in edits.items() if path not in sweeps}))


def names(config):
    return [run.name for run in config.runs if run not in load(DEMO).runs]


def test_a_value_is_a_run_more_but_for_the_one_that_there_is_already():
    config = swept(beta2=BETA2, window=WINDOW)
    new = ["canny.beta2_5", "canny.beta2_80", "local_variance.window_5", "local_variance.window_7"]
    assert names(config) == [f"esrgan-{variant}-s1" for variant in new]
    assert [run.name for run in config.runs][: len(load(DEMO).runs)] == [run.name for run in load(DEMO).runs]
    assert all(Run.parse(run.name) == run for run in config.runs)


def test_each_seed_is_trained_with_each_value():
    assert names(swept(beta2=BETA2, seeds=[1, 2]))[-2:] == ["esrgan-canny.beta2_80-s1", "esrgan-canny.beta2_80-s2"]


def test_a_run_differs_from_its_extractors_by_the_value_alone():
    config = swept(beta2=BETA2, window=WINDOW)
    for variant, different in (
        ("canny.beta2_5", {"name": "esrgan-canny.beta2_5-s1", "beta2": 5}),
        ("local_variance.window_7", {"name": "esrgan-local_variance.window_7-s1"}),
    ):
        own = config.train_spec(Run("esrgan", variant.partition(".")[0], 1)).model_dump()
        if "window" in variant:
            different["extractor_params"] = own["extractor_params"] | {"window": 7}
        assert config.train_spec(Run("esrgan", variant, 1)).model_dump() == own | different


def test_existing_runs_are_as_without_sweeps():
    ours, theirs = swept(beta2=BETA2, window=WINDOW), load(DEMO)
    for run in theirs.runs:
        assert ours.train_spec(run) == theirs.train_spec(run)
        assert ours.test_sets(run) == theirs.test_sets(run)


def test_beta2_needs_no_edge_maps_and_a_parameter_its_own():
    before = edge_files(load(DEMO))
    assert edge_files(swept(beta2=BETA2)) == before
    own = {(dataset, f"local_variance.window_{n}") for dataset in ("photos_train", "photos_val") for n in (5, 7)}
    assert edge_files(swept(window=WINDOW)) == before | own


def test_maps_of_patches_take_no_files():
    config = swept(window=WINDOW, models__esrgan__loss__edge_scope="crop")
    assert not any("." in variant for _, variant in edge_files(config))
    assert config.train_spec(Run("esrgan", "local_variance.window_5", 1)).modules[-1] == "sa_sr.edges.local_variance"


def test_sweeps_share_their_runs_and_add_their_data_sets():
    config = swept(one=BETA2, two=BETA2 | {"values": [80, 160], "dataset": "street_test"})
    assert names(config) == [f"esrgan-canny.beta2_{value}-s1" for value in (5, 80, 160)]
    tested = {run.extractor: config.test_sets(run) for run in config.runs if "." in run.extractor}
    assert tested == {
        "canny.beta2_5": ["photos_test"],
        "canny.beta2_80": ["photos_test", "street_test"],
        "canny.beta2_160": ["street_test"],
    }
    assert [d for d, methods in config.tested.items() if "esrgan-canny.beta2_160-s1" in methods] == ["street_test"]


def test_points_ascend_and_have_the_configured_value_among_them():
    config = swept(beta2=BETA2 | {"values": [80, 5]})
    assert config.sweep_spec("beta2")["points"] == [("canny.beta2_5", 5), ("canny", 20), ("canny.beta2_80", 80)]


def test_values_that_are_no_numbers_keep_their_order():
    config = swept(l2=BETA2 | {"key": "l2gradient", "values": [True, False]})
    assert config.sweep_spec("l2")["points"] == [("canny.l2gradient_true", True), ("canny", False)]


def test_with_auto_a_parameter_calibrates_each_value_and_beta2_has_numbers():
    auto = {"models__esrgan__loss__beta2__canny": "auto"}
    config = swept(low=BETA2 | {"key": "low", "values": [50]}, beta2=BETA2, **auto)
    assert config.is_auto(Run("esrgan", "canny.low_50", 1))
    assert config.calibrate_spec(Run("esrgan", "canny.low_50", 1)).share == 0.15
    assert not config.is_auto(Run("esrgan", "canny.beta2_20", 1))  # what auto will come to is not known
    assert config.sweep_spec("beta2")["points"][-1] == ("canny", "auto")
    assert {run.extractor for run in config.calibrated} >= {"canny.low_50", "canny.beta2_5", "canny.beta2_20"}


def test_the_estimates_count_the_runs_of_sweeps():
    config = swept(beta2=BETA2)
    weights, states = training_files(config, {model: build(config, model) for model in config.chosen_models})
    assert "results/demo/train/esrgan-canny.beta2_5-s1/model.safetensors" in weights.files
    assert "state/demo/esrgan-canny.beta2_5-s1/last.pt" in states.files


def test_tables_and_comparisons_keep_to_the_extractors():
    assert swept(beta2=BETA2).table_spec("table1") == load(DEMO).table_spec("table1")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"model": "esrgann"}, r"sweeps\.s\.model: "),
        ({"extractor": "cany"}, r"sweeps\.s\.extractor: no extractor 'cany'; did you mean 'canny'\?"),
        ({"extractor": "none"}, r"sweeps\.s\.extractor: 'none' is the baseline"),
        ({"key": "hihg"}, r"sweeps\.s\.key: no parameter of canny, nor 'beta2', 'hihg'; did you mean 'high'\?"),
        ({"dataset": "photos_val"}, r"sweeps\.s\.dataset: 'photos_val' is not in models\.esrgan\.test_sets"),
        ({"border": 5}, r"sweeps\.s: space rgb, border 5 is not measured"),
        ({"values": []}, r"sweeps\.s\.values: .*at least 1 item"),
        ({"values": [5, -1]}, r"sweeps\.s\.values\.1: .*greater than or equal to 0"),
        ({"values": [5, "auto"]}, r"sweeps\.s\.values\.1: .*valid number"),
        ({"values": [5, 80, 5.0]}, r"sweeps\.s\.values\.2: 5\.0 is the same as 5; give each value once"),
        ({"values": [5, float("inf")]}, r"sweeps\.s\.values\.1"),
        ({"values": [1e-60]}, r"sweeps\.s\.values\.0: .* can't be a name: at most 60"),
        ({"key": "low", "values": ["a-b"]}, r"sweeps\.s\.values\.0: extractor 'canny': low is 'a-b': .*valid number"),
        ({"extractor": "local_variance", "key": "window", "values": [3.5]}, r"sweeps\.s\.values\.0: .*window is 3\.5"),
        ({"value": [3]}, r"sweeps\.s: unknown key 'value'; did you mean 'values'\?"),
    ],
)
def test_a_mistake_is_named(edits, message):
    with pytest.raises(UserError, match=message):
        load(changed(sweeps={"s": BETA2 | edits}))


@pytest.mark.parametrize("name", ["figure1", "figure8", "curves_esrgan", "plane"])
def test_a_name_that_another_figure_has_is_refused(name):
    with pytest.raises(UserError, match=f"figures: two figures are named '{name}'"):
        load(changed(sweeps={name: BETA2}))


@pytest.mark.parametrize(
    ("value", "name"),
    [(5, "5"), (5.0, "5"), (100, "100"), (1e-05, "0.00001"), (-2.5, "minus2.5"), (-0.0, "0"), (True, "true")],
)
def test_names_have_neither_hyphens_nor_exponents(value, name):
    assert variant_name("canny", "low", value) == f"canny.low_{name}"


@given(st.floats(0, 1e9), st.integers(0, 99))
def test_a_run_is_found_by_its_name(value, seed):
    run = Run("esrgan", variant_name("canny", "beta2", value), seed)
    assert Run.parse(run.name) == run
    assert float(run.extractor.partition("_")[2]) == value


def test_print_says_what_a_variant_has_different():
    assert label("esrgan", "canny.beta2_5") == "SA-ESRGAN (canny, β₂ 5)"
    assert label("vsrresfeatgan", "local_variance.per_channel_false") == "SA-VSRResFeatGAN (lv, per channel false)"


def test_the_plane_has_a_panel_for_each_model_and_data_set_once():
    spec = swept(beta2=BETA2, more=BETA2 | {"values": [80, 160], "dataset": "street_test", "space": "y"}).plane_spec()
    shown = [(p["model"], p["dataset"], p["space"], len(p["lines"])) for p in spec["panels"]]
    assert shown == [
        ("esrgan", "street_test", "rgb", 1),  # as its table measures it
        ("esrgan", "city_test", "rgb", 0),
        ("vsrresfeatgan", "city_test", "y", 0),
        ("vsrresfeatgan", "street_test", "y", 0),
        ("esrgan", "photos_test", "rgb", 1),
    ]
    assert json.loads(json.dumps(spec))["panels"][-1]["lines"] == [["canny.beta2_5", "canny", "canny.beta2_80"]]
