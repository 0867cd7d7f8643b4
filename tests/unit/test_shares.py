"""The table of beta2 and of the share that the spatially adaptive part had."""

import csv
import json

import pytest

from sa_sr.errors import UserError
from sa_sr.render.shares import shares


@pytest.fixture
def run(tmp_path):
    """The folder of a run of two steps, in which the adaptive part was 1 of 4 and 2 of 4."""
    folder = tmp_path / "esrgan-canny-s3"
    folder.mkdir()
    measured = {"name": folder.name, "extractor": "canny", "beta2": 7.5, "chosen": "auto", "share": 0.1501}
    (folder / "calibration.json").write_text(json.dumps(measured))
    (folder / "run.json").write_text(json.dumps({"beta2": 7.5}))
    (folder / "history.csv").write_text("step,l_g_total,l_g_sa\n1,4,1\n2,4,2\n")
    return folder


def test_a_row_has_the_weight_and_both_shares(run, tmp_path):
    files = [tmp_path / f"shares.{kind}" for kind in ("csv", "md", "html")]
    shares([run / "calibration.json"], *files)
    (row,) = csv.DictReader(files[0].open())
    assert row == {
        "run": "esrgan-canny-s3", "model": "esrgan", "extractor": "canny", "seed": "3", "beta2": "7.5",
        "chosen": "auto", "share_at_start": "0.1501", "share_in_training": "0.375",
    }  # fmt: skip
    for file in files[1:]:
        text = file.read_text()
        assert all(cell in text for cell in ("SA-ESRGAN (canny)", "7.5", "auto", "15.0 %", "37.5 %"))


def test_a_training_of_no_steps_has_no_share_in_training(run, tmp_path):
    (run / "history.csv").write_text("step\n")
    files = [tmp_path / f"shares.{kind}" for kind in ("csv", "md", "html")]
    shares([run / "calibration.json"], *files)
    (row,) = csv.DictReader(files[0].open())
    assert (row["share_at_start"], row["share_in_training"]) == ("0.1501", "")
    for file in files[1:]:
        text = file.read_text()
        assert "15.0 %" in text
        assert "–" in text
        assert "nan" not in text


def test_of_a_loss_that_is_nothing_the_share_is_nothing(run, tmp_path):
    (run / "history.csv").write_text("step,l_g_total,l_g_sa\n1,0,0\n")
    shares([run / "calibration.json"], *(tmp_path / f"shares.{kind}" for kind in ("csv", "md", "html")))
    (row,) = csv.DictReader((tmp_path / "shares.csv").open())
    assert row["share_in_training"] == "0"


@pytest.mark.parametrize("name", ["calibration.json", "run.json", "history.csv"])
def test_a_record_that_lacks_a_part_is_named(run, tmp_path, name):
    (run / name).write_text("{}")
    with pytest.raises(UserError, match=r"esrgan-canny-s3: no complete record of a training"):
        shares([run / "calibration.json"], *(tmp_path / f"shares.{kind}" for kind in ("csv", "md", "html")))
    assert not (tmp_path / "shares.csv").exists()
