"""Configurations that are odd, huge or made to harm: valid, or one error of few words, and nothing is executed."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sa_sr.config import Run, load
from sa_sr.config.reading import parse, read
from sa_sr.errors import UserError
from sa_sr.training.resolve import resolve
from tests.unit.test_config import DEMO, ROOT, changed

TEXT = (ROOT / "config/demo.yaml").read_text()
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

MERGES = "a: &a {x: 1, y: 2, z: 3}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def refused(tmp_path: Path, text: str | bytes) -> str:
    """The one line that is told of a file."""
    (tmp_path / "x.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as e:
        load(read(tmp_path / "x.yaml"), str(tmp_path / "x.yaml"))
    message = str(e.value)
    assert message.startswith(str(tmp_path / "x.yaml"))
    assert len(message) < 600
    return message


@pytest.mark.parametrize("tag", ["python/object/apply:os.mkdir", "python/object/new:os.mkdir", "python/name:os.mkdir"])
def test_a_tag_is_refused_and_nothing_is_executed(tmp_path, tag):
    message = refused(tmp_path, TEXT.replace("name: demo", f"name: !!{tag} [{tmp_path}/executed]"))
    assert "could not determine a constructor for the tag" in message
    assert "\n" not in message
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS + TEXT.replace("name: demo", "name: *i"), "more than 1000000 values"),
        (LAUGHS + TEXT.replace("low: 100", "low: *i"), "more than 1000000 values"),
        (MERGES + TEXT, "by its merge keys a mapping has more than 1000000 values"),
        (TEXT.replace("seeds: [1]", "seeds: &s [*s]"), "more than 1000000 values"),
        (TEXT + "more: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        (TEXT + "more: " + "{a: " * 3000 + "1" + "}" * 3000, "nested too deeply"),
        (TEXT + "name: other\n", "key 'name' is given twice, the second time in line "),
        (TEXT.replace("low: 100,", "low: 100, low: 120,"), "key 'low' is given twice"),
        ("- 1\n- 2\n", "a configuration is a mapping of keys to values; this is list"),
        ("hello", "this is str"),
        ("", "this is NoneType"),
        (TEXT + "---\nname: other\n", "expected a single document"),
        (b"name: Andr\xe9\n", "'utf-8' codec can't decode"),
        (bytes(range(256)), "not a readable YAML file"),
        (TEXT.replace("[1]", f"[{'9' * 6000}]"), "not a readable YAML file"),
        (TEXT.replace("[1]", f"[{'9' * 400}]"), "seeds.0: Input should be less than or equal to"),
        (TEXT.replace("lr: 1e-4", "lr: .nan", 1), "finite number"),
        (TEXT.replace("lr: 1e-4", "lr: .inf", 1), "finite number"),
        (TEXT.replace("low: 100", "low: .nan"), "extractors: extractor 'canny': low is nan: Input should be a finite"),
        (TEXT.replace("low: 100", f"low: {list(range(10_000))}"), "low is [0, 1, 2, 3, 4, 5, ...]"),
        (TEXT.replace("name: demo", "name: !!bool maybe"), "not a readable YAML file"),
        (TEXT.replace("name: demo", "name: !!int ''"), "not a readable YAML file"),
        (TEXT + "? [1, 2]\n: 3\n", "unhashable key"),
        (TEXT + "".join(f"k{i}: 0\n" for i in range(1000)), "unknown key 'k0'"),
        ("a: {<<: {x: 1}, <<: {x: 2}}\n", "key '<<' is given twice"),
        ('{"a": 1, "a": 2}', "key 'a' is given twice"),
        (TEXT + "__use_yte__: true\n", "execute code"),
        (TEXT.replace("name: demo", "name: 2024"), "name: Input should be a valid string; put 2024 in quotes"),
    ],
)
def test_a_file_that_is_no_configuration_is_told_in_few_words(tmp_path, text, message):
    assert message in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("[[0010, 0040]]", "0010 as 8; if it is text, put it in quotes, else write 8"),
        ("1:30", "1:30 as 90;"),
        ("1:30.5", "1:30.5 as 90.5;"),
        ("1_000", "1_000 as 1000;"),
        ("1_0.5", "1_0.5 as 10.5;"),
        ("0x1F", "0x1F as 31;"),
        ("-0b11", "-0b11 as -3;"),
        ("!!int '010'", "010 as 8;"),
        ("no", "no as false; if it is text, put it in quotes, else write false"),
        ("{On: 1}", "On as true;"),
        ("2024-01-05", "2024-01-05 as a date; if it is text, put it in quotes"),
        ("=", "= as a sign;"),
    ],
)
def test_what_yaml_reads_otherwise_than_people_is_refused_with_its_line(tmp_path, value, meaning):
    assert f"x.yaml: line 2: YAML reads {meaning}" in refused(tmp_path, f"name: x\nb: {value}\n")


def test_what_people_read_as_yaml_does_is_taken(tmp_path):
    (tmp_path / "x.yaml").write_text("a: [0, -7, +5, 1.5, 2., .5, 1.0e-4, true, False, null, ~, '0010', 'no', 1e-4]\n")
    assert read(tmp_path / "x.yaml")["a"] == [
        0, -7, 5, 1.5, 2.0, 0.5, 1e-4, True, False, None, None, "0010", "no", "1e-4",
    ]  # fmt: skip


def test_json_is_read_as_snakemake_reads_it(tmp_path):
    (tmp_path / "x.json").write_text('{\n\t"a": [1e5, "\\ud83d\\ude00"]\n}')
    assert read(tmp_path / "x.json") == {"a": [1e5, "\U0001f600"]}


def test_a_result_that_snakemake_took_for_a_configuration_is_told(tmp_path):
    for name in ("run.json", ".run.json.made.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=r"run\.json: a result, no configuration; .* give targets before it"):
        read(tmp_path / "run.json")


def test_aliases_and_merge_keys_that_are_meant_well_are_taken(tmp_path):
    text = TEXT.replace("photos_train: ", "photos_train: &photos ", 1).replace("name: demo", "name: &name demo", 1)
    (tmp_path / "x.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n")
    assert read(tmp_path / "x.yaml")["b"] == {"x": 3, "y": 2}
    (tmp_path / "x.yaml").write_text(text.replace("label: street", "label: *name"))
    assert load(read(tmp_path / "x.yaml")).name == "demo"


NAMES = [
    "../up", "a/b", "a\\b", "..", ".hidden", "/etc", "a b", "{x}", "a\nb", "a\0b", "", "C:", "*", "-rf", "café",
    "a" * 61, "a" * 100_000,
]  # fmt: skip
PLACES = ["name", "datasets", "extractors", "assets", "tables", "figures__edge_maps", "figures__comparisons"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:20]))
def test_what_can_be_no_file_name_can_be_no_name(place, name):
    if place == "name":
        values = changed(name=name)
    else:
        section = DEMO
        for key in place.split("__"):
            section = section.get(key, {})
        asset = {"about": "", "licence": "", "sha256": "0" * 64, "sources": [{"path": "x"}]}
        values = changed(**{place: section | {name: next(iter(section.values()), asset)}})
    with pytest.raises(UserError, match=r"can't be a name: at most 60 letters|which no text may") as e:
        load(values)
    assert len(str(e.value)) < 4000


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ("demo\nname: other", "given twice"),
        ("0010", "YAML reads 0010 as 8"),
        ("!!python/object/apply:os.mkdir [executed]", "not valid JSON or YAML"),
    ],
)
def test_snakemake_takes_no_key_twice_and_nothing_misread_and_executes_nothing(tmp_path, edit, message):
    """It reads the file itself, before anything of ours; what it makes of it is then looked at."""
    (tmp_path / "x.yaml").write_text(TEXT.replace("name: demo", f"name: {edit}", 1).replace("exec", f"{tmp_path}/exec"))
    command = [sys.executable, "-m", "snakemake", "-n", "--configfile", str(tmp_path / "x.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 1
    assert message in told
    assert "Traceback" not in told
    assert not (tmp_path / "executed").exists()


# ---------------------------------------------------------------------------------------------------- any values


def paths(values: object, path: tuple = ()) -> list[tuple]:
    """The place of every value in the configuration."""
    parts = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [path, *(deeper for key, value in parts for deeper in paths(value, (*path, key)))]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.just(10**4000)
VALUES = st.recursive(
    SCALARS,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=9), part, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(paths(DEMO)[1:]), VALUES), min_size=1, max_size=3))
@example([(("name",), "x" * 1_000_000)])
@example([(("seeds",), list(range(100_000)) * 2)])
@example([(("datasets",), {f"d{i}": 0 for i in range(10_000)})])
def test_any_value_at_any_key_is_valid_or_told_in_few_words(edits):
    values = copy.deepcopy(DEMO)
    for (*parents, last), value in edits:
        section = values
        try:
            for key in parents:
                section = section[key]
            section[last] = value
        except (TypeError, KeyError, IndexError):  # an earlier edit took it away
            continue
    try:
        config = load(values)
    except UserError as e:
        message = str(e)
    else:
        message = ""
        for run in config.runs:  # what travels to the stages is JSON
            json.loads(config.train_spec(run).canonical(), parse_constant=pytest.fail)
    assert len(message) < 4000


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab:,-[]{}&*!? \n#|>'\"<9.") | st.characters(), max_size=60))
def test_any_text_is_a_mapping_or_told_in_one_line(tmp_path_factory, text):
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert isinstance(read(file), dict)
    except UserError as e:
        message = str(e)
        assert "\n" not in message


# ------------------------------------------------------------------------------------------- options that are JSON


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "[" * 100_000, "9" * 5000, '{"a": "\udce9"}'])
def test_settings_that_are_no_mapping_are_told_in_one_line(text):
    with pytest.raises(UserError, match=r"^--params: .{10,100}$"):
        parse(dict[str, Any], text, "--params")


@pytest.mark.parametrize("name", ["", "esrgan", "esrgan-none-1", "a-b-c-s1", "a-b-sx", f"a-b-s{'9' * 5000}"])
def test_what_is_not_the_name_of_a_run_is_told(name):
    with pytest.raises(UserError, match="is not the name of a run"):
        Run.parse(name)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"beta2": "x"}', '{"beta2": null}'])
def test_a_calibration_that_does_not_tell_beta2_is_named(tmp_path, text):
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(UserError, match=r"c\.json: no calibration"):
        resolve({"beta2": "auto"}, tmp_path / "c.json")


def test_the_configurations_that_come_along_are_far_from_the_limit():
    sizes = {file.name: len(paths(yaml.safe_load(file.read_text()))) for file in (ROOT / "config").glob("*.yaml")}
    assert max(sizes.values()) < 2000, sizes
