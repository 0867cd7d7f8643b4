"""From photos and videos to HDF5: exact pixels, the right frames, and clear words for bad input."""

import io
import json
import os
import subprocess
import sys
import tarfile
import unicodedata
import zipfile
from itertools import pairwise
from math import exp
from pathlib import Path

import av
import numpy as np
import pytest
import skimage
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from sa_sr.config import Clips, ClipSource, Expect, Images
from sa_sr.data import archives
from sa_sr.data.bicubic import bicubic
from sa_sr.data.degrade import degrade
from sa_sr.data.prepare import prepare
from sa_sr.data.resize import imresize
from sa_sr.data.scenes import find_scenes, scenes_until
from sa_sr.data.sources import files
from sa_sr.data.video import check_expected, pictures, read_clips
from sa_sr.errors import UserError
from sa_sr.storage import description, h5_reader
from tests.hdf5 import items

PHOTOS = Path(skimage.__file__).parent / "data"


def photo(name: str) -> np.ndarray:
    return np.asarray(Image.open(PHOTOS / name).convert("RGB"))


def folder(path, **more):
    return Images(kind="images", sources=[{"folder": str(path), **more}])


def clips(path, **more):
    return Clips(kind="clips", sources=[{"folder": str(path), **more}])


def photo_file(path, **more):
    return Images(kind="images", sources=[{"file": str(path), **more}])


def clip_file(path, **more):
    return Clips(kind="clips", sources=[{"file": str(path), **more}])


def prepared(dataset, tmp_path) -> list[str]:
    """Names of the items that come out of a data set."""
    prepare(dataset, tmp_path, tmp_path / "out.h5")
    return items(tmp_path / "out.h5")


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as box:
        for name, data in members.items():
            box.writestr(name, data)
    return path


def tarred(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as box:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            box.addfile(info, io.BytesIO(data))
    return path


PACKED = pytest.mark.parametrize(("pack", "suffix"), [(zipped, ".zip"), (tarred, ".tar.gz")], ids=["zip", "tar.gz"])


@pytest.fixture
def photos(tmp_path):
    place = tmp_path / "photos"
    place.mkdir()
    for name in ("chelsea.png", "camera.png"):
        (place / name).write_bytes((PHOTOS / name).read_bytes())
    return place


@pytest.fixture
def frames(tmp_path):
    """A folder with two clips of numbered frames: a camera that pans over a photo."""
    for clip, name in (("cat", "chelsea.png"), ("mug", "coffee.png")):
        place = tmp_path / "clips" / clip
        place.mkdir(parents=True)
        for t in range(12):
            Image.fromarray(photo(name)[20:150, 3 * t : 3 * t + 166]).save(place / f"{t:03d}.png")
    return tmp_path / "clips"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path there, backwards, so that no reader can rely on their order."""
    files = sorted((p for p in folder.rglob("*") if p.is_file()), reverse=True)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def video(path: Path, scenes: dict[str, int], codec: str = "ffv1", pixels: str = "bgr0", b_frames: int = 0) -> Path:
    """A video file of pans over photos, lossless by default: name of the photo -> number of frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.codec_context.max_b_frames = b_frames
        stream.width, stream.height, stream.pix_fmt = 160, 128, pixels
        for name, count in scenes.items():
            for t in range(count):
                frame = av.VideoFrame.from_ndarray(photo(name)[40:168, 2 * t : 2 * t + 160], format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_photos_are_trimmed_to_multiples_of_four_and_reduced(photos, tmp_path):
    prepare(folder(photos), tmp_path, tmp_path / "out.h5")
    with h5_reader(tmp_path / "out.h5") as f:
        assert description(f, "kind") == "images"
        assert sorted(f["hr"]) == ["camera", "chelsea"]
        hr = f["hr/chelsea"][0]
        np.testing.assert_array_equal(hr, photo("chelsea.png")[:300, :448])
        np.testing.assert_array_equal(f["lr/chelsea"][0], imresize(hr, 0.25))
        assert f["hr/camera"].shape == (1, 512, 512, 3)
        assert description(f["hr/chelsea"], "file") == "chelsea.png"
        assert json.loads(description(f["hr/chelsea"], "source"))["reduce"] == 1
        assert "bicubic" not in f


def test_reduction_comes_before_the_crop(photos, tmp_path):
    prepare(folder(photos, reduce=2, crop=[10, 20, 101, 64]), tmp_path, tmp_path / "out.h5")
    with h5_reader(tmp_path / "out.h5") as f:
        expected = imresize(photo("chelsea.png"), 0.5)[20:84, 10:110]
        np.testing.assert_array_equal(f["hr/chelsea"][0], expected)


def test_clips_have_bicubic_frames_and_obey_stride_and_limit(frames, tmp_path):
    prepare(clips(frames, stride=2, max_frames=5), tmp_path, tmp_path / "out.h5")
    with h5_reader(tmp_path / "out.h5") as f:
        assert sorted(f["bicubic"]) == ["cat", "mug"]
        hr = f["hr/mug"][...]
        assert hr.shape == (5, 128, 164, 3)
        np.testing.assert_array_equal(hr[3], photo("coffee.png")[20:148, 18:182])
        np.testing.assert_array_equal(f["bicubic/mug"][3], imresize(imresize(hr[3], 0.25), 4))


def test_scenes_of_a_video_are_cut_at_the_frames_that_are_listed(tmp_path):
    path = video(tmp_path / "v.mkv", {"chelsea.png": 20, "coffee.png": 20})
    read = read_clips(pictures(path), [(2, 14), (20, 40)], stride=3, max_frames=None, where="v")
    found = {name: np.stack(list(f)) for name, f in read}
    assert {name: len(f) for name, f in found.items()} == {"0002-0014": 4, "0020-0040": 7}
    np.testing.assert_array_equal(found["0002-0014"][1], photo("chelsea.png")[40:168, 10:170])
    np.testing.assert_array_equal(found["0020-0040"][2], photo("coffee.png")[40:168, 12:172])


def test_scenes_are_found_where_the_picture_changes(tmp_path):
    path = video(tmp_path / "v.mkv", {"chelsea.png": 30, "coffee.png": 30})
    assert find_scenes(path) == [(0, 30), (30, 60)]
    prepare(Clips(kind="clips", sources=[{"folder": str(tmp_path), "scenes": "detect"}]), tmp_path, tmp_path / "out.h5")
    assert items(tmp_path / "out.h5") == ["v_0000-0030", "v_0030-0060"]


def test_an_unreadable_image_is_named_and_nothing_is_left(photos, tmp_path):
    (photos / "broken.png").write_bytes((PHOTOS / "chelsea.png").read_bytes()[:20_000])
    with pytest.raises(UserError, match=r"broken\.png: can't be read as an image"):
        prepare(folder(photos), tmp_path, tmp_path / "out" / "out.h5")
    assert not list((tmp_path / "out").iterdir())


def test_a_clip_of_fewer_than_five_frames_is_named(frames, tmp_path):
    for t in range(4, 12):
        (frames / "mug" / f"{t:03d}.png").unlink()
    with pytest.raises(UserError, match=r"clip 'mug' has 4 frames, but the video model needs 5"):
        prepare(clips(frames), tmp_path, tmp_path / "out.h5")


def test_a_scene_beyond_the_end_of_the_video_is_named(tmp_path):
    video(tmp_path / "v.mkv", {"chelsea.png": 10})
    with pytest.raises(UserError, match=r"scene \[20, 30\] ends after 0 of 10 frames"):
        prepare(clips(tmp_path, scenes=[[20, 30]]), tmp_path, tmp_path / "out.h5")


def test_a_file_that_is_no_video_is_named(tmp_path):
    (tmp_path / "v.mp4").write_text("hello")
    with pytest.raises(UserError, match=r"v\.mp4: can't be read as a video"):
        prepare(clips(tmp_path), tmp_path, tmp_path / "out.h5")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        prepare(folder(tmp_path / "absent"), tmp_path, tmp_path / "out.h5")


def test_a_crop_outside_the_picture_is_named(photos, tmp_path):
    with pytest.raises(UserError, match=r"crop .* does not fit in its 451x300"):
        prepare(folder(photos, crop=[400, 0, 100, 100]), tmp_path, tmp_path / "out.h5")


def test_a_folder_is_no_file_and_a_file_no_folder(photos, tmp_path):
    with pytest.raises(UserError, match=r"photos: no such file; put it there \(from the shelf\)"):
        prepare(photo_file(photos, note="from the shelf"), tmp_path, tmp_path / "out.h5")
    with pytest.raises(UserError, match=r"camera\.png: no such folder"):
        prepare(folder(photos / "camera.png"), tmp_path, tmp_path / "out.h5")


# ----------------------------------------------------------------------------------------------------- archives


@PACKED
def test_photos_come_out_of_an_archive_as_out_of_a_folder(photos, tmp_path, pack, suffix):
    box = pack(tmp_path / f"box{suffix}", {f"./set/{name}": data for name, data in contents(photos).items()})
    prepare(photo_file(box), tmp_path, tmp_path / "packed.h5")
    prepare(folder(photos), tmp_path, tmp_path / "plain.h5")
    with h5_reader(tmp_path / "packed.h5") as packed, h5_reader(tmp_path / "plain.h5") as plain:
        assert sorted(packed["hr"]) == sorted(plain["hr"]) == ["camera", "chelsea"]
        for name in plain["hr"]:
            np.testing.assert_array_equal(packed[f"hr/{name}"], plain[f"hr/{name}"])
        assert description(packed["hr/camera"], "file") == "set/camera.png"
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"box{suffix}", "packed.h5", "photos", "plain.h5"]


@PACKED
def test_clips_come_out_of_an_archive_as_out_of_a_folder(frames, tmp_path, pack, suffix):
    members = {f"deep/GT/{name}": data for name, data in contents(frames).items()}
    box = pack(tmp_path / f"box{suffix}", {"readme.txt": b"hello", **members})
    prepare(clip_file(box, scenes=[[2, 8]]), tmp_path, tmp_path / "packed.h5")
    prepare(clips(frames, scenes=[[2, 8]]), tmp_path, tmp_path / "plain.h5")
    with h5_reader(tmp_path / "packed.h5") as packed, h5_reader(tmp_path / "plain.h5") as plain:
        assert sorted(packed["hr"]) == sorted(plain["hr"]) == ["cat_0002-0008", "mug_0002-0008"]
        for item in plain["hr"]:
            for part in ("hr", "lr", "bicubic"):
                np.testing.assert_array_equal(packed[f"{part}/{item}"], plain[f"{part}/{item}"])


def test_frames_at_the_top_of_an_archive_are_one_clip_of_its_name(frames, tmp_path):
    assert prepared(clip_file(tarred(tmp_path / "walk.tar.gz", contents(frames / "cat"))), tmp_path) == ["walk"]


def test_an_archive_is_known_by_its_content_and_may_be_an_asset(photos, tmp_path):
    zipped(tmp_path / "Set14", contents(photos))
    assert prepared(Images(kind="images", sources=[{"asset": "Set14"}]), tmp_path) == ["camera", "chelsea"]


def test_two_directories_of_one_name_are_both_named(frames, tmp_path):
    members = {f"{place}/{name}": data for place in ("x4", "GT") for name, data in contents(frames).items()}
    box = zipped(tmp_path / "box.zip", members)
    with pytest.raises(UserError, match=r"box\.zip: GT/cat and x4/cat would both be 'cat'; leave one out by `omit`"):
        prepared(clip_file(box), tmp_path)
    assert prepared(clip_file(box, omit=["x4/*"]), tmp_path) == ["cat", "mug"]


def test_two_photos_of_one_name_are_both_named(photos, tmp_path):
    Image.open(photos / "camera.png").save(photos / "camera.bmp")
    with pytest.raises(UserError, match=r"camera\.bmp and camera\.png would both be 'camera'"):
        prepared(folder(photos), tmp_path)


@PACKED
@pytest.mark.parametrize("name", ["../evil.png", "/tmp/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"])
def test_a_name_that_leads_out_of_the_archive_is_refused(photos, tmp_path, pack, suffix, name):
    good = (photos / "camera.png").read_bytes()
    box = pack(tmp_path / f"box{suffix}", {"good.png": good, name: good})
    with pytest.raises(UserError, match=r"box\..*evil\.png.* leads out of the archive; .*`omit`"):
        prepared(photo_file(box), tmp_path)
    assert prepared(photo_file(box, omit=["*evil*"]), tmp_path) == ["good"]


def test_links_in_an_archive_are_refused(photos, tmp_path):
    with tarfile.open(tmp_path / "box.tar", "w") as box:
        box.add(photos / "camera.png", "camera.png")
        link = tarfile.TarInfo("secret.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(photos / "chelsea.png")
        box.addfile(link)
    with pytest.raises(UserError, match=r"'secret\.png' is a link"):
        prepared(photo_file(tmp_path / "box.tar"), tmp_path)


def test_a_decompression_bomb_is_refused_before_anything_is_read(photos, tmp_path, monkeypatch):
    box = zipped(tmp_path / "box.zip", {"a.png": (photos / "camera.png").read_bytes(), "b.png": bytes(1_000_000)})
    monkeypatch.setattr(archives, "LIMIT", 999_999)
    with pytest.raises(UserError, match=r"'b\.png' has 1000000 bytes, expected at most 999999"):
        prepared(photo_file(box), tmp_path)


def test_a_member_whose_header_lies_about_its_size_is_refused(tmp_path):
    """Ten MB of zeros that claim to be 1000 bytes: no more than these are inflated."""
    with zipfile.ZipFile(tmp_path / "box.zip", "w", zipfile.ZIP_DEFLATED) as box:
        box.writestr("b.png", bytes(10_000_000))
    data = (tmp_path / "box.zip").read_bytes()
    (tmp_path / "box.zip").write_bytes(data.replace((10_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(UserError, match=r"box\.zip/b\.png: can't be read as an image \(the archive is damaged"):
        prepared(photo_file(tmp_path / "box.zip"), tmp_path)


@PACKED
def test_a_damaged_archive_is_named(photos, tmp_path, pack, suffix):
    box = pack(tmp_path / f"box{suffix}", contents(photos))
    box.write_bytes(box.read_bytes()[:-20_000])
    with pytest.raises(UserError, match=r"box\..*: not a readable archive"):
        prepared(photo_file(box), tmp_path)


def test_a_damaged_member_is_named(photos, tmp_path):
    box = zipped(tmp_path / "box.zip", {"a.png": (photos / "camera.png").read_bytes()})
    data = bytearray(box.read_bytes())
    data[1000] ^= 1
    box.write_bytes(data)
    with pytest.raises(UserError, match=r"box\.zip/a\.png: can't be read as an image \(the archive is damaged"):
        prepared(photo_file(box), tmp_path)


def test_an_archive_without_images_is_named(tmp_path):
    with pytest.raises(UserError, match=r"box\.zip: no images in it"):
        prepared(photo_file(zipped(tmp_path / "box.zip", {"a.txt": b"hello"})), tmp_path)


# ------------------------------------------------------------------------------------------------ only and omit


PATHS = [f"{place}/{clip}/{t:03d}.png" for place in ("GT", "BIx4") for clip in ("city", "walk") for t in range(6)]


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """An archive of small frames, whose every path has another picture."""
    members = {}
    for k, path in enumerate(PATHS):
        buffer = io.BytesIO()
        Image.new("RGB", (32, 32), (k, 0, 0)).save(buffer, "png")
        members[path] = buffer.getvalue()
    return zipped(tmp_path_factory.mktemp("box") / "box.zip", members)


def taken(box: Path, tmp_path: Path, **patterns) -> list[str]:
    """The paths whose pictures come out."""
    prepare(clip_file(box, **patterns), tmp_path, tmp_path / "out.h5")
    with h5_reader(tmp_path / "out.h5") as f:
        return sorted(PATHS[frame[0, 0, 0]] for item in f["hr"].values() for frame in item)


def test_only_and_omit_choose_paths_in_an_archive(box, tmp_path):
    assert taken(box, tmp_path, only=["GT/*"]) == sorted(PATHS[:12])  # * takes / too
    assert taken(box, tmp_path, only=["*/walk/*"], omit=["BIx4/*"]) == PATHS[6:12]
    assert taken(box, tmp_path, only=["GT/city/*", "BIx4/walk/00[0-4].png"]) == sorted(PATHS[:6] + PATHS[18:23])
    assert taken(box, tmp_path, omit=["*4/*", "*/005.png"]) == sorted(PATHS[:5] + PATHS[6:11])


@given(st.lists(st.sampled_from(["*", "?", "[0-3]", "/", "GT", "walk", "city", "B", "0", ".png"]), max_size=5))
def test_only_takes_what_omit_leaves(box, parts):
    def left(**patterns) -> set[str]:
        try:
            with files(ClipSource(file=str(box), **patterns), box.parent) as found:
                return set(found)
        except UserError:  # nothing
            return set()

    only, omit = left(only=["".join(parts)]), left(omit=["".join(parts)])
    assert only | omit == set(PATHS)
    assert not only & omit
    assert left(only=["".join(parts), "GT/*"]) == only | set(PATHS[:12])


def test_only_and_omit_choose_frames_and_videos_of_a_folder(frames, tmp_path):
    video(frames / "tour.mkv", {"coffee.png": 6})
    (frames / "notes").mkdir()
    with pytest.raises(UserError, match=r"notes: no images in this folder; leave it out by `omit: \['notes/'\]`"):
        prepared(clips(frames), tmp_path)
    assert prepared(clips(frames, omit=["notes/"]), tmp_path) == ["cat", "mug", "tour"]
    assert prepared(clips(frames, only=["*.mkv", "mug/*"]), tmp_path) == ["mug", "tour"]
    assert prepared(clips(frames, only=["*.png"], omit=["*/01?.png"]), tmp_path) == ["cat", "mug"]
    with h5_reader(tmp_path / "out.h5") as f:
        assert len(f["hr/cat"]) == 10


def test_patterns_tell_capital_letters_apart(photos, tmp_path):
    assert prepared(folder(photos, omit=["CHELSEA.PNG", "cam*"]), tmp_path) == ["chelsea"]


def test_patterns_that_leave_nothing_are_named_beside_what_is_there(photos, box, tmp_path):
    with pytest.raises(
        UserError, match=r"photos: only \['\*\.tif'\], omit \[\] leave nothing of camera.png, chelsea.png;"
    ):
        prepared(folder(photos, only=["*.tif"]), tmp_path)
    with pytest.raises(UserError, match=r"box\.zip: only \[\], omit \['\*'\] .* BIx4/city/000\.png, .* and 19 more"):
        prepared(clip_file(box, omit=["*"]), tmp_path)


# ------------------------------------------------------------------------------------------------------- scenes


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=6, unique=True).map(sorted),
    st.integers(1, 7),
    st.none() | st.integers(1, 9),
)
def test_a_scene_is_a_slice_of_the_video_and_nothing_else_is_decoded(cuts, stride, most):
    video, read, decoded = [np.full((1, 1, 3), k) for k in range(40)], [], []

    def stream():
        for k, frame in enumerate(video):
            read.append(k)
            yield lambda k=k, frame=frame: decoded.append(k) or frame

    scenes = list(zip(cuts[::2], cuts[1::2], strict=False))
    clips = [[int(f[0, 0, 0]) for f in clip] for _, clip in read_clips(stream(), scenes, stride, most, "v")]
    assert clips == [list(range(40))[first:end:stride][:most] for first, end in scenes]
    assert decoded == [k for clip in clips for k in clip]
    assert read == list(range(clips[-1][-1] + 1))


@pytest.mark.parametrize("scenes", [[(5, 5)], [(9, 5)]])
def test_an_empty_scene_is_named(scenes):
    with pytest.raises(UserError, match=r"v: scene \[\d, 5\] has no frames"):
        list(read_clips(iter([]), scenes, 1, None, "v"))


@pytest.fixture(scope="module")
def pan(tmp_path_factory):
    """60 frames at 25 frames a second, in a container that doesn't say how many they are."""
    return video(tmp_path_factory.mktemp("pan") / "pan.mkv", {"chelsea.png": 30, "coffee.png": 30})


def test_a_scene_that_ends_more_than_a_second_behind_the_video_is_named(pan):
    with pytest.raises(UserError, match=r"pan\.mkv: the last scene ends at 3\.41 s, but the video at 2\.40 s"):
        scenes_until(pan, [1.0, 3.41])


@given(st.lists(st.floats(0.05, 3.4), min_size=1, max_size=5, unique=True).map(sorted))
@example([0.5, 2.4])
@example([0.5, 3.4])
def test_scenes_that_end_at_so_many_seconds_tile_the_video(pan, ends):
    scenes = scenes_until(pan, ends)
    assert scenes[0][0] == 0
    assert len(scenes) == len(ends)
    assert all(before[1] == after[0] for before, after in pairwise(scenes))
    assert all(abs(end / 25 - min(t, 2.4)) <= 0.5001 / 25 for (_, end), t in zip(scenes[:-1], ends, strict=False))
    assert scenes[-1][1] <= 60
    assert ends[-1] >= 60 / 25 or abs(scenes[-1][1] / 25 - ends[-1]) <= 0.5001 / 25


@pytest.mark.parametrize(("name", "codec", "pixels"), [("v.mkv", "ffv1", "bgr0"), ("v.mp4", "mpeg4", "yuv420p")])
def test_take_chooses_among_scenes_that_are_given_by_their_ends(tmp_path, name, codec, pixels):
    path = video(tmp_path / name, {"chelsea.png": 30, "coffee.png": 30}, codec, pixels)
    dataset = clip_file(path, ends=[0.4, 1.21, 3.3], take=[1, 3])
    assert prepared(dataset, tmp_path) == ["v_0010-0030", "v_0030-0060"]
    with h5_reader(tmp_path / "out.h5") as f:
        assert len(f["hr/v_0030-0060"]) == 30
        if codec == "ffv1":
            np.testing.assert_array_equal(f["hr/v_0030-0060"][0], photo("coffee.png")[40:168, :160])


def test_take_chooses_among_scenes_that_are_listed_or_found(pan, tmp_path):
    listed = clip_file(pan, scenes=[[0, 9], [9, 20], [40, 50]], take=[1, 2])
    assert prepared(listed, tmp_path) == ["pan_0009-0020"]
    assert prepared(clip_file(pan, scenes="detect", take=[1, 2]), tmp_path) == ["pan_0030-0060"]
    with pytest.raises(UserError, match=r"pan\.mkv: take is \[1, 3\], but 2 scenes were found"):
        prepared(clip_file(pan, scenes="detect", take=[1, 3]), tmp_path)


def test_frames_behind_the_last_scene_are_not_read(tmp_path):
    """The end of the file is damaged, and nobody gets to see it."""
    path = video(tmp_path / "v.mkv", {"chelsea.png": 30, "coffee.png": 30})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert prepared(clip_file(path, ends=[0.4, 0.6, 1.1], take=[0, 1]), tmp_path) == ["v_0000-0010"]


@pytest.mark.parametrize("more", [{"ends": [0.2]}, {"scenes": "detect"}])
def test_single_images_have_no_seconds_to_cut_at(frames, tmp_path, more):
    with pytest.raises(UserError, match=r"clips/cat: `detect` and `ends` are for videos"):
        prepared(clips(frames, **more), tmp_path)


def test_frames_of_other_sizes_in_a_clip_are_named(frames, tmp_path):
    Image.fromarray(photo("chelsea.png")[:64, :64]).save(frames / "cat" / "003.png")
    with pytest.raises(UserError, match=r"cat: its first frame has 166x130 pixels, frame 3 64x64"):
        prepared(clips(frames), tmp_path)


# ------------------------------------------------------------------------------------------------- expectations


def test_a_file_that_is_what_is_expected_passes(pan, photos, tmp_path):
    check_expected(pan, Expect(width=160, height=128, seconds=(2.2, 2.8)))
    check_expected(photos / "chelsea.png", Expect(width=451, height=300))
    check_expected(photos, Expect(width=1))  # a folder is not looked into
    check_expected(zipped(tmp_path / "box.zip", contents(photos)), Expect(width=1))


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"width": 3840, "height": 2160}, r"expected width 3840, height 2160, but found width 160, height 128;"),
        ({"width": 160, "seconds": [3, 4]}, r"expected width 160, seconds 3 to 4, but found width 160, seconds 2\.4;"),
    ],
)
def test_a_video_that_is_not_what_is_expected_is_named(pan, expect, message):
    with pytest.raises(UserError, match=r"pan\.mkv: " + message):
        check_expected(pan, Expect(**expect))


def test_a_photo_has_no_duration(photos):
    with pytest.raises(UserError, match=r"camera\.png: expected seconds 5 to 6, but found seconds unknown"):
        check_expected(photos / "camera.png", Expect(seconds=(5, 6)))


@pytest.mark.parametrize("packed", [False, True])
def test_all_photos_are_checked_before_one_is_decoded(photos, tmp_path, packed):
    """The first one is broken beyond its header, the second has the wrong size: that is what is told."""
    data = contents(photos)
    (photos / "camera.png").write_bytes(data["camera.png"][:20_000])
    dataset = folder(photos, expect={"width": 512})
    if packed:
        dataset = photo_file(zipped(tmp_path / "box.zip", contents(photos)), expect={"width": 512})
    with pytest.raises(UserError, match=r"chelsea\.png: expected width 512, but found width 451"):
        prepared(dataset, tmp_path)


def test_the_check_does_not_load_torch(pan):
    code = f"""
import sys
from pathlib import Path
from sa_sr.config import Expect
from sa_sr.data.video import check_expected
check_expected(Path({str(pan)!r}), Expect(width=160))
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# -------------------------------------------------------------------------------------------------- degradation


def naive_bd(image: np.ndarray) -> np.ndarray:
    """BD by its definition, in floating point: a Gaussian window around every fourth pixel."""
    weights = [exp(-((k - 6) ** 2) / (2 * 1.6**2)) for k in range(13)]
    total = sum(weights) ** 2
    h, w, c = image.shape
    out = np.zeros((len(range(0, h, 4)), len(range(0, w, 4)), c))

    def inside(i: int, n: int) -> int:
        while not 0 <= i < n:
            i = -i if i < 0 else 2 * n - 2 - i
        return i

    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            for i, wi in enumerate(weights):
                for j, wj in enumerate(weights):
                    out[y, x] += wi * wj / total * image[inside(4 * y + i - 6, h), inside(4 * x + j - 6, w)]
    return out


@given(st.integers(2, 6), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_bd_is_a_gaussian_window_around_every_fourth_pixel(h, w, seed):
    image = np.random.default_rng(seed).choice([0, 1, 127, 255], (4 * h, 4 * w, 3)).astype(np.uint8)
    exact = naive_bd(image)
    ours = degrade(image, "BD", "clamp")
    assert ours.dtype == np.uint8
    clear = np.abs(exact - np.floor(exact) - 0.5) > 1e-9  # halves may be rounded either way for one last bit
    np.testing.assert_array_equal(ours[clear], np.floor(exact + 0.5)[clear])
    assert clear.mean() > 0.99


@given(st.integers(0, 255))
def test_a_plain_image_stays_plain(value):
    plain = np.full((32, 40, 3), value, np.uint8)
    for degradation in ("BI", "BD"):
        assert (degrade(plain, degradation, "mirror") == value).all()


@pytest.mark.parametrize("border", ["clamp", "mirror"])
def test_bi_and_the_bicubic_frames_meet_the_border_that_is_asked_for(frames, tmp_path, border):
    dataset = Clips(kind="clips", border=border, sources=[{"folder": str(frames)}])
    prepare(dataset, tmp_path, tmp_path / "out.h5")
    bicubic(tmp_path / "out.h5", tmp_path / "sr.h5")
    with h5_reader(tmp_path / "out.h5") as f, h5_reader(tmp_path / "sr.h5") as sr:
        assert (description(f, "degradation"), description(f, "border")) == ("BI", border)
        hr = f["hr/mug"][4]
        lr = imresize(hr, 0.25, border)
        np.testing.assert_array_equal(f["lr/mug"][4], lr)
        np.testing.assert_array_equal(f["bicubic/mug"][4], imresize(lr, 4, border))
        np.testing.assert_array_equal(sr["sr/mug"][4], f["bicubic/mug"][4])
        other = imresize(hr, 0.25, "mirror" if border == "clamp" else "clamp")
        assert (other != lr).any()


def test_bd_data_say_so_and_are_enlarged_by_bicubic(frames, tmp_path):
    dataset = Clips(kind="clips", degradation="BD", sources=[{"folder": str(frames)}])
    prepare(dataset, tmp_path, tmp_path / "out.h5")
    with h5_reader(tmp_path / "out.h5") as f:
        assert description(f, "degradation") == "BD"
        lr = f["lr/cat"][2]
        np.testing.assert_array_equal(lr, np.floor(naive_bd(f["hr/cat"][2]) + 0.5))
        np.testing.assert_array_equal(f["bicubic/cat"][2], imresize(lr, 4))


def test_an_unknown_degradation_is_refused():
    with pytest.raises(ValueError, match="BI or BD, got 'BX'"):
        degrade(np.zeros((32, 32, 3), np.uint8), "BX", "clamp")


def test_frames_are_in_the_order_of_their_numbers(frames, tmp_path):
    """Whether or not they are padded."""
    prepare(clips(frames), tmp_path, tmp_path / "padded.h5")
    for path in sorted((frames / "cat").iterdir()):
        path.rename(path.with_name(f"frame{int(path.stem)}.png"))
    prepare(clips(frames), tmp_path, tmp_path / "plain.h5")
    with h5_reader(tmp_path / "padded.h5") as a, h5_reader(tmp_path / "plain.h5") as b:
        np.testing.assert_array_equal(a["hr/cat"], b["hr/cat"])


def test_where_pictures_lie_and_what_was_expected_of_them_is_not_in_the_file(photos, tmp_path):
    """A video that is moved, or an `expect` that is mended, must not send a finished training back to its start."""
    prepare(folder(photos), tmp_path, tmp_path / "before.h5")
    moved = photos.rename(tmp_path / "elsewhere")
    prepare(folder(moved, expect={}, note="on the shelf"), tmp_path, tmp_path / "after.h5")
    assert (tmp_path / "before.h5").read_bytes() == (tmp_path / "after.h5").read_bytes()


def test_a_name_is_the_same_in_either_form_of_its_accents(tmp_path):
    """macOS writes an ä as a and a diaeresis, a keyboard gives one character."""
    composed, apart = "Zürich ä", unicodedata.normalize("NFD", "Zürich ä")
    assert composed != apart
    for name in (apart, "b"):
        Image.new("RGB", (40, 40)).save(tmp_path / f"{name}.png")
    source = {"folder": str(tmp_path), "only": [f"{composed[:6]}*"]}
    prepare(Images(kind="images", sources=[source]), tmp_path, tmp_path / "out.h5")
    assert items(tmp_path / "out.h5") == [composed]
    Image.new("RGB", (40, 40)).save(tmp_path / f"{composed}.png")
    with pytest.raises(UserError, match=f"would both be '{composed}'"):
        prepare(Images(kind="images", sources=[source]), tmp_path, tmp_path / "out.h5")


def test_a_name_that_is_no_text_is_refused(tmp_path):
    """As Windows of old wrote it."""
    Image.new("RGB", (40, 40)).save(tmp_path / os.fsdecode(b"Z\xfcrich.png"))
    with pytest.raises(UserError, match=r"'Z\\udcfcrich.png' is not a name in UTF-8; rename it"):
        prepare(Images(kind="images", sources=[{"folder": str(tmp_path)}]), tmp_path, tmp_path / "out.h5")
