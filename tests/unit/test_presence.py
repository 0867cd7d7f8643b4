"""Which files of one's own are missing, and that whoever lacks them is told all at once."""

from pathlib import Path

import pytest
import yaml
from PIL import Image

from sa_sr.config import load
from sa_sr.data.presence import lacking, used

ROOT = Path(__file__).parents[2]


def config(name="demo", **datasets):
    """A configuration that comes along, with other sources for some data sets."""
    values = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    for dataset, sources in datasets.items():
        values["datasets"][dataset]["sources"] = sources
    values["figures"] = {}
    return load(values)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["demo", "paper-reds"])
def test_who_needs_assets_alone_lacks_nothing(name):
    assert lacking(config(name)) == []


def test_a_file_that_is_missing_is_one_line_with_all_that_need_it_and_where_it_is_to_be_had():
    city = {"file": "data/city.mpg", "note": "Ask the town hall."}
    lines = lacking(
        config(
            city_train=[{**city, "scenes": [[0, 9]]}],
            city_val=[{"file": "data/city.mpg", "scenes": [[9, 18]]}],
            city_test=[{**city, "scenes": [[18, 27]]}],
        )
    )
    assert lines == ["data/city.mpg: no such file (data sets: city_test, city_train, city_val). Ask the town hall."]


def test_the_paper_lacks_its_video_alone():
    (line,) = lacking(config("paper"))
    assert line.startswith("data/17 MYANMAR 5994 UHD h264.mp4: no such file")
    assert "(data sets: myanmar_test, myanmar_train, myanmar_val)" in line
    assert "http://www.harmonicinc.com/resources/videos/4k-video-clip-center" in line
    assert "`snakemake --configfile config/paper-reds.yaml` works without it" in line


def test_a_folder_has_to_hold_something(folder):
    chosen = config(photos_val=[{"folder": "mine"}])
    message = "mine: no folder with images or videos (data sets: photos_val)."
    assert lacking(chosen) == [message]
    (folder / "mine/sub").mkdir(parents=True)
    (folder / "mine/read me.txt").touch()
    assert lacking(chosen) == [message]
    (folder / "mine/sub/photo.png").touch()
    assert lacking(chosen) == [message], "sub-folders are for clips"
    (folder / "mine/photo.png").touch()
    assert lacking(chosen) == []


def test_a_file_that_is_another_than_expected_is_told(folder):
    Image.new("RGB", (64, 48)).save("photo.png")
    assert lacking(config(photos_val=[{"file": "photo.png", "expect": {"width": 64, "height": 48}}])) == []
    (line,) = lacking(config(photos_val=[{"file": "photo.png", "expect": {"width": 640}, "note": "Scan it."}]))
    assert line.startswith("photo.png: ")
    assert "640" in line
    assert "64" in line.replace("640", "")
    assert line.endswith("(data sets: photos_val). Scan it.")


def test_all_that_is_missing_is_told_at_once():
    lines = lacking(config(photos_train=[{"folder": "a"}, {"file": "b.png"}], photos_val=[{"folder": "c"}]))
    assert [line.partition(":")[0] for line in lines] == ["a", "b.png", "c"]


def test_what_no_model_uses_is_not_asked_for():
    values = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    values["datasets"]["spare"] = {"kind": "images", "sources": [{"folder": "spare"}]}
    assert lacking(load(values)) == []
    values["figures"]["edge_maps"]["figure1"] = {"dataset": "spare", "item": "cat"}
    assert lacking(load(values)) == ["spare: no folder with images or videos (data sets: spare)."]
    assert used(load(values)).count("spare") == 1
