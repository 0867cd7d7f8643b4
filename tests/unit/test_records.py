"""The record beside each file says what made it, and notices what is not that any more."""

import json
import os
import shutil
from pathlib import Path

import pytest
import skimage
from PIL import Image
from typer.testing import CliRunner

from sa_sr import provenance, records
from sa_sr.cli import app
from sa_sr.errors import UserError
from sa_sr.provenance import code, digest
from sa_sr.records import Call, recording
from sa_sr.stage import STAGES, call_of
from sa_sr.verdict import _settings, differences

SPEC = {"kind": "images", "sources": [{"folder": "photos", "crop": [100, 100, 64, 48]}]}


def sa_sr(*words: str) -> None:
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with one photo, prepared by the command line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    Image.open(f"{skimage.__path__[0]}/data/coffee.png").save("photos/coffee.png")
    sa_sr("prepare", "--spec", json.dumps(SPEC), "--assets", "assets", "--out", "data/a.h5", "--log", "logs/a.log")
    return tmp_path


def test_a_record_holds_settings_inputs_and_code(place):
    made = records.read("data/a.h5")
    assert made is not None
    assert (made["command"], made["settings"]) == ("prepare", {"spec": SPEC})
    assert {path: found["sha256"] for path, found in made["inputs"].items()} == {
        "photos/coffee.png": digest("photos/coffee.png")
    }
    assert made["code"] == code("prepare")
    assert made["content"]["sha256"] == digest("data/a.h5")


def test_a_record_names_the_plugins_that_were_used(place):
    sa_sr("extract-edges", "data/a.h5", "--extractor", "canny", "--params", '{"low": 50}', "--out", "edges/canny.h5")
    made = records.read("edges/canny.h5")
    assert made is not None
    assert "sa_sr.edges.canny" in made["plugins"]
    assert made["code"] == code("extract_edges", *made["plugins"])
    assert made["settings"] == {"extractor": "canny", "params": {"low": 50}}
    assert list(made["inputs"]) == ["data/a.h5"]


def test_only_another_content_counts(place):
    (recorded,) = (records.read("data/a.h5") or {})["inputs"].values()
    os.utime("photos/coffee.png", (1, 1))
    assert records.same("photos/coffee.png", recorded)
    content = Path("photos/coffee.png").read_bytes()
    Path("photos/coffee.png").write_bytes(content[:-1] + b"\0")
    assert not records.same("photos/coffee.png", recorded)


def test_a_record_is_of_the_code_that_was_there_at_the_beginning(place, monkeypatch):
    """It may be edited while a training runs."""
    before = code("prepare")
    with recording(Call("prepare", {}, ["photos/coffee.png"], ["out"])):
        monkeypatch.setattr(provenance, "ROOT", place)  # where there is no module at all
        Path("out").touch()
    monkeypatch.undo()
    assert json.loads((place / ".out.made.json").read_text())["code"] == before


def test_an_input_that_changes_while_it_is_read_is_an_error(place):
    photo = Path("photos/coffee.png")

    def make() -> None:
        with recording(Call("prepare", {}, [str(photo)], ["out"])):
            Path("out").touch()
            photo.write_bytes(photo.read_bytes()[:-1] + b"\0")

    with pytest.raises(UserError, match=r"photos/coffee\.png was changed while prepare read it; run"):
        make()
    assert not Path(".out.made.json").exists()


def test_an_input_that_is_not_what_a_stage_made_under_its_name_is_set_aside(place):
    content = Path("data/a.h5").read_bytes()
    Path("data/a.h5").write_bytes(content[:-1] + b"\0")
    done = CliRunner().invoke(app, ["bicubic", "data/a.h5", "--out", "b.h5"])
    assert str(done.exception).startswith(
        "data/a.h5: damaged (it is not the file that prepare made there), set aside as damaged-a.h5; run the same"
    )
    assert [path.name for path in Path("data").glob("*.h5")] == ["damaged-a.h5"]


def test_the_order_of_settings_counts_where_it_is_not_sorted():
    claims = {"psnr": 1, "ssim": 2}
    call = Call("claims", {"claims": claims}, [], ["claims.csv"])
    assert list(_settings(call, {"claims": claims})) == []
    assert list(_settings(call, {"claims": dict(reversed(claims.items()))})) == ["the order of its settings is another"]


def test_a_download_that_was_put_in_its_place_by_hand_gets_a_record(place):
    Path("a.bin").write_bytes(b"a")
    call = Call("download", {"name": "a.bin", "sha256": digest("a.bin")}, [], ["a.bin"])
    assert list(differences(call)) == []
    records.renew(call)
    made = records.read("a.bin")
    assert made is not None
    assert made["content"]["sha256"] == digest("a.bin")
    Path("a.bin").write_bytes(b"b")
    assert list(differences(call)) == [f"a.bin has not the checksum {call.settings['sha256']}"]
    records.record_of("a.bin").unlink()
    with pytest.raises(UserError, match=r"a\.bin: not the asset, whose checksum is \w+; move the file away"):
        list(differences(call))


def test_a_file_that_is_given_twice_is_one_input(place):
    """As with `val_split: patch`, where a model is validated on what it learns from."""
    words = ["evaluate", "d.h5", "d.h5", "--method", "bicubic", "--protocol", "{}", "--lpips", "l", "--out", "o.csv"]
    call = call_of(app, words)
    assert call is not None
    assert call.inputs == ["d.h5", "l"]


def test_a_file_that_was_copied_with_its_record_may_be_edited(place):
    """Where the file was made another content is damage."""
    with recording(Call("download", {}, [], ["photos/coffee.png"])):
        pass
    Path("mine").mkdir()
    for path in Path("photos").iterdir():
        shutil.copy2(path, "mine")
    for folder in ("photos", "mine"):
        Image.new("RGB", (300, 300)).save(f"{folder}/coffee.png")
    spec = SPEC["sources"][0] | {"folder": "mine"}
    sa_sr("prepare", "--spec", json.dumps(SPEC | {"sources": [spec]}), "--assets", "assets", "--out", "data/b.h5")
    assert Path("mine/coffee.png").exists()
    with pytest.raises(UserError, match="set aside as damaged-coffee"):
        sa_sr("prepare", "--spec", json.dumps(SPEC), "--assets", "assets", "--out", "data/a.h5")
    assert not Path("photos/coffee.png").exists()


@pytest.mark.parametrize("text", ["", "{", "no record", "[1]", '{"command": "prepare"}'])
def test_a_damaged_record_is_none(place, text):
    records.record_of("data/a.h5").write_text(text)
    assert records.read("data/a.h5") is None


def test_a_stage_that_fails_leaves_no_record(place):
    Path("photos/broken.png").write_bytes(b"no picture")
    words = ["prepare", "--spec", json.dumps(SPEC), "--assets", "assets", "--out", "data/b.h5"]
    assert CliRunner().invoke(app, words).exit_code != 0
    assert not list(Path("data").glob("*b.h5*"))


def test_how_and_where_a_command_runs_is_no_part_of_what_it_makes():
    words = ["super-resolve", "d.h5", "--model", "m.safetensors", "--recipe", "esrgan", "--out", "o.h5"]
    calls = {str(call_of(app, [*words, "--threads", threads, "--log", "x.log"])) for threads in ("1", "8")}
    assert len(calls) == 1
    call = call_of(app, words)
    assert call is not None
    assert (call.inputs, call.outputs) == (["d.h5", "m.safetensors"], ["o.h5"])
    assert call.settings == {"recipe": "esrgan", "tile": 0}


def test_a_figure_is_two_files():
    call = call_of(app, ["figure", "curves", "r/history.csv", "r/val.csv", "--out", "f.png"])
    assert call is not None
    assert (call.command, call.inputs, call.outputs) == ("curves", ["r/history.csv", "r/val.csv"], ["f.png", "f.pdf"])


def test_what_is_no_stage_makes_nothing_that_is_recorded():
    assert call_of(app, ["summary", "results/demo"]) is None
    assert "train" in STAGES
