"""Files are whole or absent, and equal content gives equal bytes."""

import numpy as np
import pytest

from sa_sr.errors import UserError
from sa_sr.storage import atomic_path, h5_reader, h5_writer, items, put


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
