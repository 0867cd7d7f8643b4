"""Mistakes in a configuration are found, named by their path, and all at once."""

import copy
import subprocess
import sys
from contextlib import nullcontext
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from sa_sr.config import Run, load
from sa_sr.config.reading import read
from sa_sr.config_docs import write_docs
from sa_sr.errors import UserError

ROOT = Path(__file__).parents[2]
DEMO = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
del DEMO["sweeps"]  # test_sweeps.py has some of its own


def changed(**edits):
    """The demo's configuration with values set by dotted paths; `...` deletes."""
    values = copy.deepcopy(DEMO)
    for path, value in edits.items():
        *parents, last = path.split("__")
        section = values
        for key in parents:
            section = section[int(key) if isinstance(section, list) else key]
        if value is ...:
            del section[last]
        else:
            section[last] = value
    return values


EXPERIMENTS = sorted(file for file in (ROOT / "config").glob("*.yaml") if file.name != "claims.yaml")


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda f: f.name)
def test_every_configuration_that_comes_along_is_valid(file):
    load(read(file))


@pytest.mark.parametrize("name", ["config/claims.yaml", "sa_sr/data/assets.yaml"])
def test_what_else_comes_along_means_what_it_seems_to_mean(name):
    assert read(ROOT / name) == yaml.safe_load((ROOT / name).read_text())


def test_a_password_in_an_address_is_refused_and_not_shown():
    source = {"url": "https://me:hush@a.b/c.png"}
    asset = {"about": "", "licence": "", "sha256": "0" * 64, "sources": [source]}
    with pytest.raises(UserError, match=r"assets\.mine\.sources\.0\.url\.url: holds a password") as e:
        load(changed(assets={"mine": asset}))
    assert "hush" not in str(e.value)


def test_runs_are_models_times_extractors_times_seeds():
    config = load(changed(seeds=[1, 2]))
    assert len(config.runs) == 2 * 3 * 2
    assert config.runs[0] == Run("esrgan", "none", 1) == Run.parse("esrgan-none-s1")


def test_numbers_in_scientific_notation_work_although_yaml_reads_text():
    config = load(changed(models__esrgan__train__lr="2e-4"))
    assert config.train_spec(config.runs[0]).optimise.lr == 2e-4


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ({"models__esrgan__train__lrr": 1}, r"models\.esrgan\.train: unknown key 'lrr'; did you mean 'lr'\?"),
        ({"sedes": [1]}, r"unknown key 'sedes'; did you mean 'seeds'\?"),
        ({"models__esrgan__train__steps": "many"}, r"models\.esrgan\.train\.steps: .*integer"),
        ({"models__esrgan__train_set": "photos"}, r"models\.esrgan\.train_set: no data set 'photos'; did you mean"),
        ({"models__vsrresfeatgan__train_set": "photos_train"}, "holds images, and this model takes clips"),
        (
            {"datasets__photos_val__sources__0__asset": "chinese.jpg"},
            r"no asset 'chinese\.jpg'; did you mean 'china\.jpg'",
        ),
        (
            {"datasets__photos_val__sources__0__asset": "coffee.png"},
            "coffee.png is in test set 'photos_test' and in 'photos_val'",
        ),
        ({"datasets__city_test__sources__0__scenes": [[90, 190]]}, "cityCC0.mpg is in test set 'city_test'"),
        ({"datasets__photos_val__kind": "pictures"}, r"datasets\.photos_val: a data set needs .* images or clips"),
        ({"datasets__photos_val__kind": ...}, r"datasets\.photos_val: a data set needs the key `kind`"),
        ({"name": "my-photos"}, r"name: 'my-photos' can't be a name: .* and no hyphen"),
        ({"models__esrgan__init": "weights/mine.pth"}, r"models\.esrgan\.init: .* is a path; name a file of your own"),
        ({"figures__comparisons__figure10__border": 5}, r"figures\.comparisons\.figure10: space y, border 5 is not"),
        ({"extractors__canny__lo": 3}, "'lo'.*did you mean 'low'"),
        ({"extractors__cany": {}}, "cany"),
        ({"extractors__none": ...}, "'none' is missing"),
        ({"models__esrgan__loss__beta2__canny": ...}, r"models\.esrgan\.loss\.beta2: 'canny' is missing"),
        ({"tables__table1__border": 5}, r"tables\.table1: space rgb, border 5"),
        ({"tables__table3__dataset": "photos_test"}, r"tables\.table3\.dataset: 'photos_test' is not in"),
        ({"name": "../elsewhere"}, "name: "),
        ({"models__esrgan__patch": 100}, "not a multiple of 32"),
        (
            {"models__esrgan__patch": 32, "models__esrgan__train__batch": 1},
            r"models\.esrgan\.train\.batch: one patch of 32 pixels leaves",
        ),
        (
            {f"models__esrgan__loss__{key}": 0 for key in ("gan", "percep", "beta1")}
            | {"models__esrgan__loss__beta2__canny": "auto"},
            "auto is a share of the loss, of which",
        ),
        ({"models__vsrresfeatgan__generator": {"num_feat": 2}}, r"generator\.num_feat: .*greater than or equal to 3"),
        ({"models__esrgan__min_variance": 0.25}, r"min_variance: .*less than 0\.25"),
        *(({"name": name}, f"name: results/{name} is the place of") for name in ("assets", "Reference", "README.md")),
        ({"models__esrgan__loss__beta2__none": "auto"}, r"beta2\.none: is auto, but the baseline has no edges; give 0"),
        ({"models__esrgan__loss__beta2__none": 5}, r"beta2\.none: is 5"),
        ({"models__esrgan__train__betas": [0.9, 1.0]}, r"models\.esrgan\.train\.betas\.1: .*less than 1"),
        ({"tables__shares": DEMO["tables"]["table1"]}, r"tables\.shares: that name is taken"),
        ({"tables__claims": DEMO["tables"]["table1"]}, r"tables\.claims: that name is taken"),
        ({"tables__table1_details": DEMO["tables"]["table1"]}, r"tables\.table1_details: that name is taken"),
        ({"datasets__city_test__sources__0__take": [1, 2]}, "take is .*, but there are 1 scenes"),
        ({"datasets__city_test__sources__0__scenes": []}, r"scenes.*at least 1 item"),
        ({"seeds": [-1]}, r"seeds\.0"),
        ({"seeds": [1, 1]}, "names one twice"),
        ({"evaluation": {"borders": [4, 4, 8]}}, r"evaluation\.borders: \[4, 4, 8\] names one twice"),
        ({"evaluation": {"spaces": ["rgb", "y", "y"]}}, r"evaluation\.spaces: .* names one twice"),
        ({"models__esrgan__features__layer": "conv54"}, r"models\.esrgan\.features\.layer"),
        ({"evaluation": {"regions": {"windw": 7}}}, r"unknown key 'windw'; did you mean 'window'\?"),
        ({"evaluation": {"regions": {"window": 4}}}, r"evaluation\.regions\.window: 4 is even"),
        ({"evaluation": {"regions": {"edge": 5}}}, r"evaluation\.regions: texture 5\.0 is not below edge 5\.0"),
        ({"evaluation": {"edges": {"low": 101}}}, r"evaluation\.edges: low 101\.0 is above high 100\.0"),
        ({"evaluation": {"edges": {"tolerance": -1}}}, r"evaluation\.edges\.tolerance"),
        ({"tables__table1__published": "table3"}, "table3 of the paper is not about esrgan"),
        (
            {"figures__comparisons__figure8__item": "astronut"},
            "no item of photos_test 'astronut'; did you mean 'astronaut'",
        ),
        (
            {"figures__comparisons__figure1": DEMO["figures"]["comparisons"]["figure8"]},
            "two figures are named 'figure1'",
        ),
    ],
)
def test_a_mistake_is_named(edits, message):
    with pytest.raises(UserError, match=message):
        load(changed(**edits), "demo.yaml")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (
            {"datasets__photos_val__sources__0__only": [f"{i:060d}" for i in range(2200)]},
            r"datasets\.photos_val: 1\d+ l",
        ),
        ({"datasets__photos_val__sources__0__only": ["ö" * 20_000]}, r"datasets\.photos_val: 12\d+ letters"),
        ({"datasets__photos_val__sources__0__only": ["'" * 25_000]}, r"datasets\.photos_val: 12\d+ letters"),
        ({"seeds": list(range(500))}, "seeds: 3000 trainings make more files than"),
    ],
)
def test_what_no_command_line_takes_is_told(edits, message):
    with pytest.raises(UserError, match=message):
        load(changed(**edits))


@pytest.mark.parametrize("text", ["a\0b", "\x1b[2J", "\ud800"])
def test_a_text_that_no_command_can_be_given_is_told(text):
    for edit in ({"tables__table1__label": text}, {"datasets__photos_val__sources__0__only": [text]}):
        with pytest.raises(
            UserError, match=r"^x: .* which no text may hold$|^x is not valid: .* which no text may hold$"
        ):
            load(changed(**edit), "x")


@pytest.mark.parametrize("edit", [{"patch": 64, "train__batch": 1}, {"patch": 32, "train__batch": 2}])
def test_the_discriminator_takes_the_least_that_is_not_refused(edit):
    from sa_sr.check import networks

    config = load(changed(**{f"models__esrgan__{key}": value for key, value in edit.items()}))
    assert isinstance(networks.build(config, "esrgan"), networks.Pair)


def test_reordered_keys_give_equal_settings():
    def backwards(value):
        return {k: backwards(value[k]) for k in reversed(value)} if isinstance(value, dict) else value

    ours, theirs = load(DEMO), load(changed(models=backwards(DEMO["models"])))
    assert [ours.train_spec(r).canonical() for r in ours.runs] == [theirs.train_spec(r).canonical() for r in ours.runs]


def test_defaults_of_an_extractor_are_part_of_its_settings():
    ours, theirs = load(changed(extractors__canny={})), load(changed(extractors__canny={"high": 200.0, "low": 100}))
    assert ours.extractors == theirs.extractors


def test_a_folder_inside_another_is_no_independent_test():
    train = {"kind": "images", "sources": [{"folder": "photos"}]}
    test = {"kind": "images", "sources": [{"folder": "photos/../photos/some"}]}
    with pytest.raises(UserError, match="which it learns from"):
        load(changed(datasets__photos_train=train, datasets__photos_test=test))


@pytest.mark.parametrize(
    ("train", "test", "shared"),
    [
        ({"folder": "clips"}, {"file": "clips/a.mp4"}, True),
        ({"file": "clips/a.mp4"}, {"folder": "./clips"}, True),
        ({"file": "a.mp4"}, {"file": "./a.mp4"}, True),
        ({"file": "a.mp4"}, {"file": "b.mp4"}, False),
        ({"folder": "clips"}, {"file": "others/a.mp4"}, False),
        ({"folder": "clips", "omit": ["a.*"]}, {"file": "clips/a.mp4"}, False),
        ({"folder": "clips"}, {"file": "clips/test.zip"}, False),
    ],
)
def test_a_file_of_one_s_own_is_the_same_under_any_path_to_it(train, test, shared):
    sets = {f"datasets__{name}": {"kind": "clips", "sources": [source]}
            for name, source in (("city_train", train), ("city_test", test))}  # fmt: skip
    with pytest.raises(UserError, match="which it learns from") if shared else nullcontext():
        load(changed(**sets))


def test_variants_share_everything_but_the_extractor():
    config = load(DEMO)
    none, lv, canny = (config.train_spec(r).model_dump() for r in config.runs if r.model == "esrgan")
    different = {key for key in none if not none[key] == lv[key] == canny[key]}
    assert different == {"name", "extractor", "extractor_params", "beta2"}


@pytest.mark.parametrize("heavy", ["torch", "snakemake", "h5py"])
def test_reading_the_configuration_imports_nothing_heavy(heavy):
    code = f"import sys, sa_sr.config, sa_sr.provenance, sa_sr.plugins, sa_sr.cli; sys.exit('{heavy}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_reference_of_the_configuration_is_up_to_date(tmp_path):
    write_docs(tmp_path)
    for name in ("README.md", "schema.json"):
        assert (ROOT / "config" / name).read_text() == (tmp_path / name).read_text(), "run `sa-sr config-docs`"


# ------------------------------------------------------------------------------------------ the paper's configurations

MYANMAR = "17 MYANMAR 5994 UHD h264.mp4"


def paper(reds=False, **edits):
    """The paper's configuration, or the one with REDS, with values set by dotted paths."""
    return changed(**yaml.safe_load((ROOT / f"config/paper{'-reds' if reds else ''}.yaml").read_text()), **edits)


def test_the_papers_scenes_are_taken_once_each():
    config = load(paper())
    sources = {name: config.datasets[f"myanmar_{name}"].sources[0] for name in ("train", "val", "test", "53")}
    assert {name: source.take for name, source in sources.items()} == {
        "train": (0, 42), "val": (42, 53), "test": (53, 59), "53": (0, 53),
    }  # fmt: skip
    (same,) = {source.model_copy(update={"take": None}).canonical() for source in sources.values()}
    assert len(sources["train"].ends) == 59
    shortest, longest = sources["train"].expect.seconds
    assert shortest <= sources["train"].ends[-1] <= longest
    assert MYANMAR in same


def test_the_paper_validates_on_a_fifth_of_the_scenes_or_of_the_patches():
    run, model = Run("vsrresfeatgan", "canny", 1), "models__vsrresfeatgan__"
    patches = {f"{model}val_split": "patch", f"{model}train_set": "myanmar_53", f"{model}val_set": "myanmar_53"}
    assert load(paper()).train_spec(run).val_share == 0
    assert load(paper(**patches)).train_spec(run).val_share == 0.2


def test_reds_is_divided_into_212_and_24_and_4_clips():
    config, clips = load(paper(reds=True)), {}
    for name in ("train", "val", "test"):
        (source,) = config.datasets[f"reds_{name}"].sources
        for number in range(240):
            path = f"train/train_sharp/{number:03d}/00000000.png"
            taken = any(fnmatchcase(path, glob) for glob in source.only or ["*"])
            if taken and not any(fnmatchcase(path, glob) for glob in source.omit):
                clips.setdefault(name, []).append(number)
    assert {name: len(those) for name, those in clips.items()} == {"train": 212, "val": 24, "test": 4}
    assert set().union(*clips.values()) == set(range(240))
    assert clips["test"] == [0, 11, 15, 20]


@pytest.mark.parametrize("reds", [False, True])
def test_only_tables_on_the_papers_data_claim_to_be(reds):
    same = {name: table.same_data for name, table in load(paper(reds)).tables.items()}
    assert same == {"table1": not reds, "table2": True, "table3": True, "table4": not reds}


@pytest.mark.parametrize(
    ("reds", "edits", "message"),
    [
        (False, {"datasets__myanmar_val__sources__0__take": [41, 53]}, f"{MYANMAR} is in train_set and val_set"),
        (False, {"datasets__myanmar_val__sources__0__take": [42, 54]}, "test set 'myanmar_test' and in 'myanmar_val'"),
        (False, {"datasets__myanmar_val__sources__0__take": ...}, "test set 'myanmar_test' and in 'myanmar_val'"),
        (False, {"datasets__myanmar_test__sources__0__take": [53, 60]}, "there are 59 scenes"),
        (False, {"datasets__myanmar_test__sources__0__ends": [4, 3]}, "ends must ascend"),
        (False, {"models__vsrresfeatgan__train_set": "myanmar_53"}, f"{MYANMAR} is in train_set and val_set"),
        (False, {"models__vsrresfeatgan__val_split": "patch"}, "val_set must be 'myanmar_train'"),
        (False, {"models__esrgan__val_set": "div2k"}, r"DIV2K_train_HR\.zip is in train_set and val_set"),
        (False, {"figures__edge_maps__figure1__item": "barbara"}, "did you mean 'set14_barbara'"),
        (True, {"datasets__reds_train__sources__0__omit": ["*/000/*"]}, "in test set 'reds_test' and in 'reds_train'"),
        (True, {"datasets__reds_val__sources__0__omit": []}, "in test set 'reds_test' and in 'reds_val'"),
        (True, {"datasets__reds_val__sources__0__only": []}, "is in train_set and val_set"),
    ],
)
def test_what_would_leak_in_the_papers_configurations_is_found(reds, edits, message):
    with pytest.raises(UserError, match=message):
        load(paper(reds, **edits))
