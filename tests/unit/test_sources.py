"""What is taken of folders and archives, and that nothing else is left out without a word."""

import os
import warnings
import zipfile

import pytest

from sa_sr.data.images import File
from sa_sr.data.prepare import prepare
from sa_sr.data.presence import sources
from sa_sr.data.sources import clips as named_clips
from sa_sr.data.sources import files
from sa_sr.data.video import VIDEOS
from sa_sr.errors import UserError
from tests.unit.test_hostile_media import CAT, saved
from tests.unit.test_prepare import PACKED, clips, contents, folder, photo_file, prepared, video

PNG = saved(CAT, ".png")


def filled(place, *names, data=PNG):
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    return place


def read_of(dataset, tmp_path) -> list[str]:
    """The paths that `prepare` reads of the only source of a data set."""
    with files(dataset.sources[0], tmp_path) as found:
        return list(found)


def test_every_format_that_is_read_as_a_file_is_taken_from_a_folder(tmp_path, caplog):
    for name in ("a.png", "b.jfif", "c.ppm", "d.JPE"):
        CAT.save(filled(tmp_path / "p", "x.png") / name, None if name.islower() else "JPEG")
    assert prepared(folder(tmp_path / "p"), tmp_path) == ["a", "b", "c", "d", "x"]
    assert not caplog.records


@pytest.mark.parametrize("suffix", [".mts", ".vob", ".ts", ".m2ts", ".ogv", ".3gp", ".flv", ".wmv"])
def test_videos_are_taken_from_a_folder_by_every_usual_suffix(tmp_path, suffix):
    """libav knows the container by its content, here that of Matroska."""
    filled(tmp_path / "v", f"a{suffix}", data=video(tmp_path / "a.mkv", {"chelsea.png": 5}).read_bytes())
    assert suffix in VIDEOS
    assert prepared(clips(tmp_path / "v"), tmp_path) == ["a"]


def test_what_is_left_out_is_named_in_one_line(tmp_path, caplog):
    place = filled(tmp_path / "p", "a.png", "b.gif", "notes.txt", "more/c.png", "v.mp4")
    assert read_of(folder(place), tmp_path) == ["a.png"]
    (line,) = caplog.messages
    assert f"{place}: left out, for only images of known suffixes are taken: b.gif, more/, notes.txt, v.mp4" in line
    caplog.clear()
    read_of(folder(place, omit=["notes*", "*.gif", "v.*", "more/"]), tmp_path)
    assert not caplog.records


def test_what_clips_leave_out_is_named_too(tmp_path, caplog):
    place = filled(tmp_path / "c", "walk/0.png", "walk/readme", "walk/deep/1.png", "top.png", "b.mp4")
    assert read_of(clips(place), tmp_path) == ["b.mp4", "walk/0.png"]
    assert caplog.messages[0].endswith("are taken: top.png, walk/deep, walk/readme")


@PACKED
def test_what_is_left_out_of_an_archive_is_named(tmp_path, caplog, pack, suffix):
    box = pack(tmp_path / f"p{suffix}", {"a.png": PNG, "b.avif": b"?"})
    assert read_of(photo_file(box), tmp_path) == ["a.png"]
    assert caplog.messages[0].endswith("b.avif")


LITTER = ("__MACOSX/._a.png", "._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "@eaDir/a.png", ".hidden/b.png")


@PACKED
def test_what_systems_leave_beside_pictures_is_nobodys_picture(tmp_path, caplog, pack, suffix):
    place = filled(filled(tmp_path / "p", *LITTER, data=b"\0\5\x16\7"), "a.png")
    assert prepared(folder(place), tmp_path) == ["a"]
    assert prepared(photo_file(pack(tmp_path / f"p{suffix}", contents(place))), tmp_path) == ["a"]
    assert not caplog.records
    frames = filled(filled(tmp_path / "c", *LITTER, "x/._1.png", data=b"\0"), *(f"x/{n}.png" for n in range(5)))
    assert prepared(clips(frames), tmp_path) == ["x"]


def test_the_plan_knows_exactly_the_files_that_are_read(tmp_path):
    place = filled(tmp_path / "p", "a.png", "b.png", "c.txt", "sub/d.png", ".e.png")
    for dataset in (folder(place), folder(place, omit=["b*"]), folder(place, only=["b*"])):
        assert sources(dataset, "") == [str(place / path) for path in read_of(dataset, tmp_path)]
    place = filled(tmp_path / "c", "a.mp4", "w/0.png", "w/1.png", "w/deep/2.png", "top.png", "x/0.png")
    for dataset in (clips(place), clips(place, omit=["w/*"]), clips(place, only=["*.mp4"])):
        assert sources(dataset, "") == [str(place / path) for path in read_of(dataset, tmp_path)]


@pytest.mark.parametrize(
    ("numbers", "gaps"),
    [
        ([1, 2, 3, 5, 6, 7, 9, 10, 11], "c/frame_3.png and c/frame_5.png, c/frame_7.png and c/frame_9.png"),
        ([0, 4, 8, 16], "c/frame_8.png and c/frame_16.png"),
        ([7, 8, 9, 10, 11], ""),
        ([0, 33, 67, 100, 133], ""),  # milliseconds
    ],
)
def test_numbers_that_are_missing_among_frames_are_told(tmp_path, caplog, numbers, gaps):
    place = filled(tmp_path / "p", *(f"c/frame_{n}.png" for n in numbers))
    with files(clips(place).sources[0], tmp_path) as found:
        assert list(named_clips(place, found)) == ["c"]
    assert [f"missing between {gaps}, which" in message for message in caplog.messages] == [True] * bool(gaps)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    place = filled(tmp_path / "p", "a.png")
    os.mkfifo(place / "b.png")
    with pytest.raises(UserError, match=r"b\.png: a pipe, a device or a link that leads nowhere"):
        read_of(folder(place), tmp_path)
    assert read_of(folder(place, omit=["b.png"]), tmp_path) == ["a.png"]
    assert sources(folder(place), "") == [str(place / "a.png")]


def test_two_members_of_one_name_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as box, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("b.png", "a.png", "./a.png"):
            box.writestr(name, PNG)
    with pytest.raises(UserError, match=r"a\.zip: has 2 members of the name 'a\.png'"):
        read_of(photo_file(tmp_path / "a.zip"), tmp_path)
    assert read_of(photo_file(tmp_path / "a.zip", omit=["a.png"]), tmp_path) == ["b.png"]


def test_a_number_of_any_length_has_its_place_in_the_order(tmp_path):
    names = ["c/2.png", "c/010.png", f"c/{'9' * 5000}.png", f"c/1{'0' * 5000}.png"]
    given: dict[str, File] = {name: tmp_path / name[:9] for name in reversed(names)}
    assert named_clips(tmp_path, given)["c"].content == [tmp_path / name[:9] for name in names]


def test_a_picture_without_a_name_is_refused(tmp_path):
    place = filled(tmp_path / "p", "..png")
    for dataset in (photo_file(place / "..png"), folder(place)):
        with pytest.raises(UserError, match=r"'\.\.png' has no name before its suffix; rename it"):
            prepare(dataset, tmp_path, tmp_path / "out.h5")
