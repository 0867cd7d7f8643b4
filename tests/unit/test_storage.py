"""Files are whole or absent, and equal content gives equal bytes."""

import fcntl
import json
import os
import re
import resource
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sa_sr.errors import UserError
from sa_sr.evaluation.protocol import COLUMNS
from sa_sr.files import atomic_path, write_text
from sa_sr.storage import h5_reader, h5_writer, put
from tests.hdf5 import items


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a.h5", "b.h5"):
        with h5_writer(tmp_path / name, kind="images") as f:
            put(f, "hr/x", np.arange(2 * 5 * 7 * 3, dtype=np.uint8).reshape(2, 5, 7, 3))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_frames_come_back_as_they_were_put(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (3, 200, 150, 3), dtype=np.uint8)
    with h5_writer(tmp_path / "a.h5") as f:
        put(f, "hr/clip", iter(frames))
    assert items(tmp_path / "a.h5") == ["clip"]
    with h5_reader(tmp_path / "a.h5") as f:
        np.testing.assert_array_equal(f["hr/clip"][...], frames)


def test_a_frame_of_another_size_is_refused(tmp_path):
    with h5_writer(tmp_path / "a.h5") as f, pytest.raises(ValueError, match="frame 1"):
        put(f, "hr/clip", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)])


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "bad.h5").write_bytes(b"not HDF5")
    with pytest.raises(UserError, match=r"bad\.h5"), h5_reader(tmp_path / "bad.h5"):
        pass


WRITER = """
import sys, time
from sa_sr.storage import {context}
with {context}(sys.argv[1]) as out:
    print("writing", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("context", ["atomic_path", "h5_writer"])
def test_what_a_killed_writer_left_is_removed_by_the_next_and_a_living_one_is_not_disturbed(tmp_path, context):
    target = tmp_path / "a [1].h5"
    command = [sys.executable, "-c", WRITER.format(context=context), str(target)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == b"writing\n"
    other = tmp_path / ".b.h5.1.tmp"
    other.touch()
    try:
        dead, living = (next(tmp_path.glob(f".a*.{w.pid}-*.tmp")) for w in writers)
        writers[0].kill()
        writers[0].wait()
        write_text(target, "new")
        assert target.read_text() == "new"
        assert not dead.exists()
        assert living.exists()
        assert other.exists()
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    write_text(target, "newer")
    assert sorted(tmp_path.iterdir()) == [other, target]


def test_a_finished_file_can_be_read_whoever_holds_a_lock_of_it(tmp_path):
    """As its writer does for a moment after the rename: HDF5 by itself refuses to open a locked file."""
    with h5_writer(tmp_path / "a.h5") as f:
        f["x"] = 1
    with open(tmp_path / "a.h5") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with h5_reader(tmp_path / "a.h5") as f:
            assert f["x"][()] == 1


NO_LOCKS = """
import sys
import numpy as np
from pathlib import Path
from sa_sr.damage import find_damage
from sa_sr.errors import UserError
from sa_sr.files import atomic_path
from sa_sr.models.vgg import load_vgg19
from sa_sr.storage import h5_reader, h5_writer, put
target = Path(sys.argv[1])
with atomic_path(target) as living:
    with h5_writer(target, kind="photos") as f:
        put(f, "hr/x", np.full((1, 4, 4, 3), 7, np.uint8))
    print(living.exists(), find_damage(target))
    with h5_reader(target) as f:
        print(f["hr/x"][...].mean())
    try:
        load_vgg19(target)
    except UserError as e:
        print(e)
"""


@pytest.mark.parametrize("error", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_files_are_written_and_read_where_the_file_system_has_no_locks(tmp_path, error):
    """What an earlier writer left stays there, as nobody can say whether that one lives."""
    stray = tmp_path / ".a.h5.1-00.tmp"
    stray.touch()
    command = [sys.executable, "-m", "tests.nolocks", error, sys.executable, "-c", NO_LOCKS, str(tmp_path / "a.h5")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    exists, value, vgg = done.stdout.splitlines()
    assert (exists, value) == ("True None", "7.0")
    assert "no VGG19 weights" in vgg
    assert sorted(tmp_path.iterdir()) == [stray, tmp_path / "a.h5"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_have_the_permissions_of_any_other_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "a")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A data file and a CSV of an evaluation, each larger than what the full disks below take."""
    folder = tmp_path_factory.mktemp("inputs")
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    (folder / "photos").mkdir()
    for i, frame in enumerate(noise):
        Image.fromarray(frame).save(folder / f"photos/{i}.png")
    with h5_writer(folder / "data.h5", border="mirror") as f:
        put(f, "hr/x", noise)
        put(f, "lr/x", noise[:, ::4, ::4])
    rows = [f"bicubic,bicubic,,,x,a,{t},900,psnr,all,rgb,4,30.000000" for t in range(900)]
    (folder / "x.csv").write_text("\n".join([",".join(COLUMNS), *rows, ""]))
    return folder


@pytest.mark.parametrize(
    ("stage", "limit", "out"),
    [
        ("prepare --spec {spec} --assets {folder} --out {out}/a.h5", 20_000, "a.h5"),
        ("extract-edges {folder}/data.h5 --extractor local_variance --out {out}/a.h5", 2_000, "a.h5"),
        ("bicubic {folder}/data.h5 --out {out}/a.h5", 3_000, "a.h5"),
        (
            "aggregate {folder}/x.csv --frames {out}/f.csv --clips {out}/c.csv --means {out}/m.csv"
            " --parquet {out}/f.parquet",
            20_000,
            "f.csv",
        ),
    ],
)
def test_a_full_disk_is_one_clear_error_and_nothing_half_written(tmp_path, inputs, stage, limit, out):
    """A limit on the size of files stands in for the disk. HDF5 by itself ends in tracebacks and a crash."""
    spec = json.dumps({"kind": "images", "sources": [{"folder": str(inputs / "photos")}]})
    command = [word.format(spec=spec, folder=inputs, out=tmp_path) for word in stage.split()]
    done = subprocess.run(
        [sys.executable, "-m", "sa_sr", *command],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
    )
    progress = r" in \d+\.\d s$|\[\d+:\d+<.*\]$"
    said = [line for line in done.stderr.splitlines() if line and not re.search(progress, line)]
    assert said == [f"sa-sr: error: [Errno 27] File too large: '{tmp_path / out}'"]
    assert done.returncode == 1
    assert not list(tmp_path.iterdir())
