"""A damaged HDF5 file is noticed, named and set aside; a whole one never is."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sa_sr.config import Evaluation
from sa_sr.damage import find_damage, noticing_damage
from sa_sr.errors import UserError
from sa_sr.evaluation.protocol import evaluate
from sa_sr.files import record_of
from sa_sr.layout import h5_items
from sa_sr.render.figures import figure_edge_maps
from sa_sr.storage import describe, description, h5_reader, h5_writer, open_h5, put
from sa_sr.training import trainer
from tests.conftest import without_root
from tests.unit.test_training import ONE, SPEC, elsewhere, stop_after

flip = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
"""A place, as a share of the file, and what is added to its byte."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """Noise, which does not shrink; a clip that shrinks to nothing; more items than fit in the head of a group."""
    path = tmp_path_factory.mktemp("whole") / "photos.h5"
    noise = np.random.default_rng(0).integers(1, 255, (20, 40, 32, 3), dtype=np.uint8)
    with h5_writer(path, kind="images", dataset="ä" * 300) as f:
        for i, frame in enumerate(noise):
            describe(put(f, f"hr/{i}", [frame]), file=f"{i}.png")
        put(f, "hr/clip", np.full((3, 150, 40, 3), 7, np.uint8))
    return path


def content(path: Path) -> dict[str, Any]:
    with h5_reader(path) as f:
        frames = {item: f[f"hr/{item}"][...].tobytes() for item in sorted(f["hr"])}
        texts = {item: description(f[f"hr/{item}"], "file") for item in f["hr"] if "file" in f[f"hr/{item}"].attrs}
        return frames | texts | {name: description(f, name) for name in f.attrs}


def everything(f: Any) -> list[np.ndarray]:
    return [f[f"hr/{item}"][...] for item in f["hr"]]


def recorded(file: Path) -> None:
    """As if a stage had made it where it lies."""
    record_of(file).write_text(json.dumps({"path": str(file)}))


def damaged(whole: Path, folder: Path, at: float, by: int = 1, name: str = "photos.h5") -> Path:
    """A copy with one byte altered."""
    data = bytearray(whole.read_bytes())
    data[int(at * len(data))] ^= by
    (folder / name).write_bytes(data)
    recorded(folder / name)
    return folder / name


def test_nothing_is_stored_where_hdf5_has_no_checksum(whole):
    """Chunks have one besides deflate's, which HDF5 may leave out; the heap of texts of variable length has none."""
    with h5_reader(whole) as f:
        assert all(f[f"hr/{item}"].fletcher32 for item in f["hr"])
    assert b"GCOL" not in whole.read_bytes()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(flip, max_size=4), rest=st.none() | st.floats(0, 1, exclude_max=True))
def test_whatever_is_read_is_the_original_or_an_error_that_names_the_file(whole, tmp_path, flips, rest):
    """Any bytes altered, or the end lost, at any place."""
    file, aside = tmp_path / "photos.h5", tmp_path / "damaged-photos.h5"
    data = bytearray(whole.read_bytes())
    for at, by in flips:
        data[int(at * len(data))] ^= by
    file.write_bytes(data if rest is None else data[: int(rest * len(data))])
    recorded(file)
    written = file.read_bytes()
    try:
        read, said = content(file), ""
    except UserError as e:
        read, said = None, str(e)
    if read:
        assert read == content(whole)
        assert file.read_bytes() == written
    else:
        assert said.startswith(f"{file}: damaged (")
        assert "set aside as damaged-photos.h5; run the same command again" in said
        assert not file.exists()
        assert aside.read_bytes() == written


@pytest.mark.parametrize("trouble", ["missing", "written", "no HDF5", "a folder", "a bug", "no such item"])
def test_other_troubles_set_nothing_aside(whole, tmp_path, trouble):
    file = tmp_path / ("photo.jpg" if trouble == "no HDF5" else "photos.h5")
    holder = io.BytesIO()
    if trouble == "a folder":
        file.mkdir()
    elif trouble == "no HDF5":
        file.write_bytes(b"\xff\xd8\xff")
    elif trouble != "missing":
        shutil.copy(whole, file)
    if trouble == "written":
        holder = h5py.File(file, "r+", locking=True)
    before = sorted(path.name for path in tmp_path.iterdir())
    with holder, pytest.raises((UserError, ValueError, KeyError)) as error, h5_reader(file) as f:
        np.reshape(f["hr/0" if trouble == "a bug" else "hr/nobody"][...], (7,))
    assert "damaged" not in str(error.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", ["times", "elsewhere", "named type", "circle", "damaged"])
def test_what_no_stage_has_made_stays_where_it_is(whole, tmp_path, kind):
    """It may be whole, and of a kind that only others read."""
    file = tmp_path / "mine.h5"
    if kind == "damaged":
        damaged(whole, tmp_path, 0.5, name="mine.h5")
        record_of(file).unlink()
    else:
        with h5py.File(file, "w") as f:
            f["empty"] = h5py.Empty("f4")
            if kind == "elsewhere":
                f.create_dataset("far", (4,), "u1", external=[("nowhere.bin", 0, 4)])
            if kind == "named type":
                f["type"] = np.dtype("f8")
            if kind == "times":
                h5py.h5d.create(f.id, b"time", h5py.h5t.UNIX_D32LE, h5py.h5s.create(h5py.h5s.SCALAR))
            if kind == "circle":
                f.create_group("a")
                f["a/again"] = f["a"]
    before = file.read_bytes()
    with pytest.raises(UserError, match=r"mine\.h5: "), h5_items(file, "hr") as f:
        everything(f)
    assert file.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"mine.h5"}


def test_of_several_files_the_damaged_one_is_set_aside(whole, tmp_path):
    for name in ("a.h5", "c.h5"):
        shutil.copy(whole, tmp_path / name)
    bad = damaged(whole, tmp_path, 0.5, name="b.h5")
    files = [tmp_path / name for name in ("a.h5", "b.h5", "c.h5")]
    opened = [open_h5(file) for file in files]
    with pytest.raises(UserError, match=r"b\.h5: damaged"), noticing_damage(*files):
        list(map(everything, opened))
    assert not bad.exists()
    assert {path.name for path in tmp_path.glob("[!.]*")} == {"a.h5", "c.h5", "damaged-b.h5"}
    # who has it open still, in another process, says the same
    with pytest.raises(UserError, match=r"b\.h5: damaged"), noticing_damage(bad):
        everything(opened[1])
    for f in opened:
        f.close()


def test_stages_do_not_take_damage_for_an_item_that_is_lacking(whole, tmp_path):
    """A description in the head of the file is damaged: h5py's `get` would say that the group is not there."""
    with h5py.File(whole) as source, h5_writer(tmp_path / "sr.h5") as f:
        source.copy("hr", f, "sr")
    with h5_writer(tmp_path / "truth.h5") as f:
        put(f, "hr/3", np.zeros((1, 40, 32, 3), np.uint8))
    places = [at for at in range(400) if (tmp_path / "sr.h5").read_bytes()[at : at + 4] == b"OHDR"]
    assert places
    for at in places:
        sr = damaged(tmp_path / "sr.h5", tmp_path, (at + 9.5) / (tmp_path / "sr.h5").stat().st_size, name="bad.h5")
        with pytest.raises(UserError, match=r"bad\.h5: damaged"):
            evaluate(sr, tmp_path / "truth.h5", tmp_path / "x.csv", Evaluation(), "bicubic", "bicubic", None, None, "x")
        sr = damaged(whole, tmp_path, (at + 9.5) / whole.stat().st_size, name="bad.h5")
        with pytest.raises(UserError, match=r"bad\.h5: damaged"):
            figure_edge_maps(sr, {}, "3", 0, tmp_path / "figure.png")


def test_where_nothing_can_be_renamed_the_message_says_delete(whole, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    file = damaged(whole, folder, 0.5)
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            without_root(
                [
                    sys.executable,
                    "-m",
                    "sa_sr",
                    "extract-edges",
                    str(file),
                    "--extractor",
                    "canny",
                    "--out",
                    str(tmp_path / "out.h5"),
                ]
            ),
            capture_output=True,
            text=True,
        )
    finally:
        folder.chmod(0o755)
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if "error" in line)
    assert f"{file}: damaged (" in line
    assert "can't be set aside (Permission denied); delete it and run the same command again" in line
    assert file.exists()


@pytest.fixture
def spoilt(files) -> trainer.Files:
    """The training photo is damaged in the middle."""
    damaged(files.data, files.data.parent, 0.5, name=files.data.name)
    assert find_damage(files.data)
    return files


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_says_in_one_line_which_file_is_damaged(spoilt, workers):
    """The patches are read by processes of torch's, which puts a traceback around what they say."""
    with pytest.raises(UserError) as error:
        trainer.train(SPEC, spoilt, trainer.Machine(threads=1, workers=workers))
    assert str(error.value).startswith(f"{spoilt.data}: damaged (")
    assert len(str(error.value).splitlines()) == 1
    assert not spoilt.data.exists()
    assert not spoilt.model.exists()


def test_a_training_goes_on_where_it_was_when_its_damaged_file_is_made_anew(files, tmp_path, monkeypatch, caplog):
    """Meanwhile its state was of other data: it is not lost."""
    trainer.train(SPEC, files, ONE)
    stopped = elsewhere(files, tmp_path / "stopped")
    stop_after(3, monkeypatch, lambda: trainer.train(SPEC, stopped, ONE))
    shutil.copy(files.data, tmp_path / "whole.h5")
    damaged(files.data, files.data.parent, 0.5, name=files.data.name)
    with pytest.raises(UserError, match="damaged"):
        trainer.train(SPEC, stopped, trainer.Machine(threads=1, save_seconds=0))
    os.replace(tmp_path / "whole.h5", stopped.data)
    with caplog.at_level("INFO", logger="sa_sr"):
        trainer.train(SPEC, stopped, ONE)
    assert "resuming after step 3 of 6" in caplog.text
    assert stopped.model.read_bytes() == files.model.read_bytes()
