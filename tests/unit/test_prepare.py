"""From photos and videos to HDF5: exact pixels, the right frames, and clear words for bad input."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import skimage
from PIL import Image

from sa_sr.config import Clips, Images
from sa_sr.data.prepare import prepare
from sa_sr.data.resize import imresize
from sa_sr.data.video import find_scenes, read_clips
from sa_sr.errors import UserError
from sa_sr.storage import h5_reader, items

PHOTOS = Path(skimage.__file__).parent / "data"


def photo(name: str) -> np.ndarray:
    return np.asarray(Image.open(PHOTOS / name).convert("RGB"))


def folder(path, **more):
    return Images(kind="images", sources=[{"folder": str(path), **more}])


def clips(path, **more):
    return Clips(kind="clips", sources=[{"folder": str(path), **more}])


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


def video(path: Path, scenes: dict[str, int]) -> Path:
    """A lossless video file of pans over photos: name of the photo -> number of frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 128, "bgr0"
        for name, count in scenes.items():
            for t in range(count):
                frame = av.VideoFrame.from_ndarray(photo(name)[40:168, 2 * t : 2 * t + 160], format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_photos_are_trimmed_to_multiples_of_four_and_reduced(photos, tmp_path):
    prepare(folder(photos), tmp_path, tmp_path / "out.h5")
    with h5_reader(tmp_path / "out.h5") as f:
        assert f.attrs["kind"] == "images"
        assert sorted(f["hr"]) == ["camera", "chelsea"]
        hr = f["hr/chelsea"][0]
        np.testing.assert_array_equal(hr, photo("chelsea.png")[:300, :448])
        np.testing.assert_array_equal(f["lr/chelsea"][0], imresize(hr, 0.25))
        assert f["hr/camera"].shape == (1, 512, 512, 3)
        assert json.loads(f["hr/chelsea"].attrs["source"])["file"] == "chelsea.png"
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
    found = {name: np.stack(list(f)) for name, f in read_clips(path, [(2, 14), (20, 40)], stride=3, max_frames=None)}
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
