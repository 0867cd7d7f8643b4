"""Videos as players show them: which frames there are, when each is shown, how it is turned, and in which colours.

Frame k of most videos here is plain, of level 20 + 5k, so that every frame tells its number.
"""

from fractions import Fraction
from itertools import pairwise, product

import av
import numpy as np
import pytest
from av.stream import Disposition

from sa_sr.check.items import Item, items
from sa_sr.config import ClipSource, Expect
from sa_sr.data import film
from sa_sr.data.scenes import find_scenes, scenes_until
from sa_sr.data.video import check_expected
from sa_sr.errors import UserError

MS = Fraction(1, 1000)


def plain(count, size=(96, 64)):
    """RGB frames that tell their numbers."""
    return [np.full((size[1], size[0], 3), 20 + 5 * k, np.uint8) for k in range(count)]


def numbers(path):
    """The numbers of the frames that come out of a video."""
    return [round((float(picture().mean()) - 20) / 5) for picture in film.pictures(path)]


def add(container, frames, codec="libx264", pixels="yuv444p", **settings):
    """A video stream for these frames; settings: those of its codec's context."""
    options = {"qp": "0"} if codec == "libx264" else {}
    stream = container.add_stream(codec, rate=25, options={**options, **settings.pop("options", {})})
    stream.height, stream.width = frames[0].shape[:2]
    stream.pix_fmt, stream.codec_context.gop_size = pixels, 12
    for name, value in settings.items():
        setattr(stream.codec_context, name, value)
    return stream


def encode(container, stream, frames, at=None):
    """Frames, RGB or of the library's kind, shown at so many ms: by default every 40."""
    base = stream.codec_context.time_base = MS if at else Fraction(1, 25)
    for k, frame in enumerate(frames):
        shown = frame if isinstance(frame, av.VideoFrame) else av.VideoFrame.from_ndarray(frame, format="rgb24")
        shown.pts, shown.time_base = (at[k] if at else k), base
        container.mux(stream.encode(shown))
    container.mux(stream.encode())


def save(path, frames, at=None, format=None, tag=(), **settings):
    with av.open(str(path), "w", format=format) as container:
        stream = add(container, frames, **settings)
        stream.metadata.update(tag)
        encode(container, stream, frames, at)
    return path


def silence(samples):
    sound = av.AudioFrame.from_ndarray(np.zeros((1, samples), np.float32), format="fltp", layout="mono")
    sound.rate = 44_100
    return sound


def demuxed(path):
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def remuxed(source, path, keep=lambda k, packet: True, shift=0, **colours):
    """The packets of a video that are to be kept, in another file, so many ms later, of colours that it tells."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for name, value in colours.items():
            setattr(stream.codec_context, name, value)
        for k, packet in enumerate(old.demux(video=0)):
            if packet.size and keep(k, packet):
                late = round(shift * MS / packet.time_base)
                packet.pts += late
                packet.dts = None if packet.dts is None else packet.dts + late
                packet.stream = stream
                new.mux(packet)
    return path


# ------------------------------------------------------------------------------------------------------- which frames


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_the_track_that_is_flagged_as_default_is_taken(tmp_path, suffix):
    path = tmp_path / f"v{suffix}"
    with av.open(str(path), "w") as container:
        tracks = [add(container, plain(30)) for _ in range(2)]
        tracks[0].disposition, tracks[1].disposition = Disposition(0), Disposition.default
        encode(container, tracks[0], plain(30))
        encode(container, tracks[1], plain(30)[10:])
    assert numbers(path) == list(range(10, 30))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_cover_is_no_video(tmp_path, suffix):
    with av.open(str(tmp_path / "cover.jpg"), "w", format="image2") as container:
        encode(container, add(container, plain(1), "mjpeg", "yuvj420p"), plain(1))
    path = tmp_path / f"v{suffix}"
    with av.open(str(path), "w") as container:
        if suffix == ".mkv":
            container.add_attachment("cover.jpg", "image/jpeg", (tmp_path / "cover.jpg").read_bytes())
        else:
            cover = add(container, plain(1), "mjpeg", "yuvj420p")
            cover.disposition = Disposition.attached_pic
        sound = container.add_stream("aac", rate=44_100)
        if suffix == ".mp4":
            encode(container, cover, plain(1))
        container.mux(sound.encode(silence(44_100)))
        container.mux(sound.encode())
    with pytest.raises(UserError, match="has no video in it"):
        numbers(path)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mkv", "libx264"), (".webm", "libvpx-vp9"), (".ts", "libx264"), (".mp4", "libx264"), (".mov", "libx264")],
)
def test_a_file_that_does_not_begin_at_0_has_all_its_frames(tmp_path, suffix, codec):
    path = save(tmp_path / f"v{suffix}", plain(30), [5000 + 40 * k for k in range(30)], codec=codec, pixels="yuv420p")
    assert numbers(path) == list(range(30))
    np.testing.assert_allclose(film.times(path), np.arange(31) / 25, atol=1e-3)
    check_expected(path, Expect(seconds=(1.15, 1.25)))
    with pytest.raises(UserError, match=r"found seconds 1\.2"):
        check_expected(path, Expect(seconds=(6, 7)))


def test_frames_that_an_edit_list_hides_are_not_there(tmp_path):
    save(tmp_path / "whole.mp4", plain(40))
    path = remuxed(tmp_path / "whole.mp4", tmp_path / "v.mp4", shift=-400)
    assert numbers(path) == list(range(10, 40))
    assert len(film.times(path)) == 31
    check_expected(path, Expect(seconds=(1.15, 1.25)))


OPEN = [
    ("libx264", {"qp": "4", "x264-params": "open-gop=1:bframes=2:b-adapt=0:scenecut=0"}),
    ("libx265", {"x265-params": "qp=4:open-gop=1:keyint=12:bframes=2:b-adapt=0:log-level=none"}),
    ("mpeg2video", {"bf": "2", "qmax": "2"}),
]
"""Codecs whose groups of pictures are not closed: two frames before a key frame are stored behind it."""


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize(("codec", "options"), OPEN, ids=[codec for codec, _ in OPEN])
def test_frames_whose_neighbours_were_cut_off_are_left_out_and_told(tmp_path, caplog, suffix, codec, options):
    whole = save(tmp_path / f"whole{suffix}", plain(40), codec=codec, pixels="yuv420p", options=options)
    packets = demuxed(whole)
    pairs = enumerate(pairwise(packets))
    cut = next(k for k, (packet, after) in pairs if k and packet.is_keyframe and after.pts < packet.pts)
    early = sum(packet.pts < packets[cut].pts for packet in packets[cut:])
    path = remuxed(whole, tmp_path / f"v{suffix}", lambda k, _: k >= cut)
    assert numbers(path) == list(range(cut + early, 40))
    assert len(film.times(path)) == 40 - cut - early + 1
    told = [f"{path}: frames at its beginning that need others, which were cut off, left out: {early}"]
    assert early
    assert [r.message for r in caplog.records] == ([] if suffix == ".mp4" else told)  # its edit list hides them


def test_hidden_frames_of_vp8_are_not_counted(tmp_path):
    """Bit 4 of the first byte says that a frame is shown. Encoders hide frames that others are predicted from."""
    at = [40 * k for k in range(20)]
    at[10:10] = [at[9] + 1]
    save(tmp_path / "v.webm", plain(21), at, codec="libvpx", pixels="yuv420p")
    with av.open(str(tmp_path / "v.webm")) as old, av.open(str(tmp_path / "hidden.webm"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for k, packet in enumerate(old.demux(video=0)):
            if packet.size:
                data = bytearray(packet)
                data[0] &= ~0x10 if k == 10 else 0xFF
                packet.update(bytes(data))
                packet.stream = stream
                new.mux(packet)
    assert numbers(tmp_path / "hidden.webm") == [*range(10), *range(11, 21)]
    assert len(film.times(tmp_path / "hidden.webm")) == 21


# ------------------------------------------------------------------------------------------------- when they are shown

COLOURS = (220, 40, 40), (20, 60, 20), (90, 90, 250)
VARYING = [40 * k for k in range(30)] + [1200 + 120 * k for k in range(30)] + [4800 + 40 * k for k in range(30)]
"""Milliseconds at which 90 frames are shown: 25 a second, then 8 1/3, then 25 again."""


@pytest.fixture(scope="module", params=[".mp4", ".mkv"])
def varying(request, tmp_path_factory):
    """Three scenes of 30 frames each, of which the second one is slow."""
    frames = [np.full((64, 96, 3), colour, np.uint8) for colour in COLOURS for _ in range(30)]
    return save(tmp_path_factory.mktemp("varying") / f"v{request.param}", frames, VARYING)


def test_scenes_are_counted_in_frames_where_their_rate_varies(varying):
    assert find_scenes(varying) == [(0, 30), (30, 60), (60, 90)]
    assert sum(1 for _ in film.pictures(varying)) == 90


def test_seconds_become_the_frame_that_is_shown_then(varying):
    assert scenes_until(varying, [1.0, 1.2, 2.4, 4.8, 6.0]) == [(0, 25), (25, 30), (30, 40), (40, 60), (60, 90)]
    check_expected(varying, Expect(seconds=(5.9, 6.1)))


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "mjpeg"), (".ts", "mpeg2video"), (".webm", "libvpx-vp9")])
def test_a_frame_that_was_lost_of_a_constant_rate_is_an_error(tmp_path, suffix, codec):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    whole = save(tmp_path / f"whole{suffix}", plain(40), codec=codec, pixels=pixels, options={"g": "1", "qmin": "2"})
    assert len(numbers(whole)) == 40
    path = remuxed(whole, tmp_path / f"v{suffix}", lambda k, _: k != 20)
    with pytest.raises(UserError, match=r"frames are missing before or in frame 20"):
        numbers(path)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_a_picture_that_comes_later_than_the_sound_is_late(tmp_path, suffix):
    path = tmp_path / f"v{suffix}"
    with av.open(str(path), "w") as container:
        video, sound = add(container, plain(40)), container.add_stream("mp2", rate=44_100)
        container.mux(sound.encode(silence(3 * 44_100)))
        encode(container, video, plain(40), [1000 + 40 * k for k in range(40)])
        container.mux(sound.encode())
    assert numbers(path) == list(range(40))
    assert scenes_until(path, [2.0, 2.6]) == [(0, 25), (25, 40)]


def test_where_recordings_were_joined_time_goes_on(tmp_path):
    part = save(tmp_path / "part.ts", plain(20)).read_bytes()
    (tmp_path / "v.ts").write_bytes(part + part)
    shown = film.times(tmp_path / "v.ts")
    assert len(shown) == 41
    np.testing.assert_allclose(np.diff(shown), 1 / 25, atol=0.05)
    assert len(numbers(tmp_path / "v.ts")) == 40


# ------------------------------------------------------------------------------------------------- how they are turned

# a, b, c, d of a display matrix; Matroska has no mirrored ones
QUARTERS = [(a, 0, 0, d) for a, d in product((1, -1), repeat=2)] + [(0, b, c, 0) for b, c in product((1, -1), repeat=2)]


def corners():
    """Eight frames whose quarters differ."""
    frame = np.repeat(np.repeat(np.array([[30, 90], [150, 210]], np.uint8), 48, 0), 80, 1)
    return [np.stack([frame] * 3, -1)] * 8


def told(picture):
    return [[round(int(picture[y, x, 0]) / 60 - 0.5) for x in (4, -5)] for y in (4, -5)]


@pytest.mark.parametrize(
    ("suffix", "matrix"),
    [(".mp4", m) for m in QUARTERS] + [(".mkv", m) for m in QUARTERS if np.linalg.det(np.reshape(m, (2, 2))) > 0],
)
def test_a_video_is_turned_and_mirrored_by_its_display_matrix(tmp_path, suffix, matrix):
    """x' = ax + cy, y' = bx + dy, for the corners of a picture whose middle is 0."""
    a, b, c, d = matrix
    path = tmp_path / f"v{suffix}"
    with av.open(str(path), "w") as container:
        stream = add(container, corners())
        stream.set_display_matrix([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30])
        encode(container, stream, corners())
    expected = [[0, 0], [0, 0]]
    for x, y in product((-1, 1), repeat=2):
        expected[(b * x + d * y + 1) // 2][(a * x + c * y + 1) // 2] = (x + 1) // 2 + (y + 1)
    picture = next(film.pictures(path))()
    assert told(picture) == expected
    width, height = (160, 96) if a else (96, 160)
    assert picture.shape == (height, width, 3)
    check_expected(path, Expect(width=width, height=height))
    assert items(ClipSource(file=str(path))) == [Item("v", str(path), 8, height, width)]


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [("90", [[2, 0], [3, 1]]), ("180", [[3, 2], [1, 0]]), ("-90", [[1, 3], [0, 2]]), ("odd", [[0, 1], [2, 3]])],
)
def test_the_tag_of_older_files_turns_clockwise(tmp_path, degrees, expected):
    path = save(tmp_path / "v.mkv", corners(), tag={"rotate": degrees})
    assert told(next(film.pictures(path))()) == expected


# ------------------------------------------------------------------------------------------------------ their colours

WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.3, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""What red and blue are of luma, by the number of the matrix in ITU-T H.273."""
LIMITED, FULL = 1, 2


def coded(levels, size=(96, 64), bits=8, **colours):
    """A plain frame of Y, Cb, Cr."""
    frame = av.VideoFrame(*size, "yuv444p" if bits == 8 else f"yuv444p{bits}le")
    for plane, level in zip(frame.planes, levels, strict=True):
        kind = np.uint8 if bits == 8 else np.uint16
        plane.update(np.full(plane.buffer_size // kind().itemsize, level, kind).tobytes())
    for name, value in colours.items():
        setattr(frame, name, value)
    return frame


def shown(path, levels, size=(96, 64), bits=8, **colours):
    """The colour that comes out of a video whose frames are coded in that way."""
    with av.open(str(path), "w") as container:
        stream = add(container, [np.empty((size[1], size[0], 3))], "ffv1", f"yuv444p{'10le' * (bits > 8)}", **colours)
        encode(container, stream, [coded(levels, size, bits, **colours) for _ in range(2)])
    picture = next(film.pictures(path))()
    assert (picture == picture[0, 0]).all()
    return picture[0, 0]


def by_matrix(levels, matrix, span, bits=8):
    """The same by the definition, in floating point."""
    red, blue = WEIGHTS[matrix]
    top = 1 << (bits - 8)
    black, luma, chroma = (0, 255, 255) if span == FULL else (16, 219, 224)
    y, cb, cr = (
        (level / top - zero) / scale
        for level, zero, scale in zip(levels, (black, 128, 128), (luma, chroma, chroma), strict=True)
    )
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip([255 * r, 255 * g, 255 * b], 0, 255)


@pytest.mark.parametrize("span", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_colours_are_those_of_the_matrix_and_range_that_are_told(tmp_path, matrix, span):
    for levels in ((120, 90, 170), (80, 160, 100)):
        rgb = shown(tmp_path / "v.mkv", levels, colorspace=matrix, color_range=span)
        np.testing.assert_allclose(rgb, by_matrix(levels, matrix, span), atol=1.5)


@pytest.mark.parametrize(("size", "matrix"), [((720, 576), 5), ((1280, 536), 1), ((1024, 720), 1)])
def test_where_no_matrix_is_told_the_size_decides_and_the_range_is_limited(tmp_path, size, matrix):
    rgb = shown(tmp_path / "v.mkv", (120, 90, 170), size)
    np.testing.assert_allclose(rgb, by_matrix((120, 90, 170), matrix, LIMITED), atol=1.5)


def test_ten_bits_are_rounded_to_eight_and_told(tmp_path, caplog):
    levels = (481, 362, 678)
    rgb = shown(tmp_path / "v.mkv", levels, bits=10, colorspace=9)
    np.testing.assert_allclose(rgb, by_matrix(levels, 9, LIMITED, bits=10), atol=1.5)
    assert [r.message for r in caplog.records] == [f"{tmp_path}/v.mkv: 10 bits a channel are reduced to 8"]


@pytest.mark.parametrize(
    ("colours", "message"),
    [
        ({"color_trc": 16}, r"v\.mkv: its brightness is PQ \(HDR\), .*convert it to SDR of BT\.709 first"),
        ({"color_trc": 18}, r"v\.mkv: its brightness is HLG \(HDR\)"),
        ({"colorspace": 8}, r"v\.mkv: its colours are coded by matrix 8 of ITU-T H\.273"),
    ],
)
def test_colours_that_can_not_be_shown_as_they_are_are_refused(tmp_path, colours, message):
    with pytest.raises(UserError, match=message):
        shown(tmp_path / "v.mkv", (120, 90, 170), **colours)
    with pytest.raises(UserError, match=message):
        items(ClipSource(file=str(tmp_path / "v.mkv")))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_colours_that_the_container_alone_tells_count(tmp_path, suffix):
    options = {"x265-params": "log-level=none"}
    save(tmp_path / f"sdr{suffix}", plain(8), codec="libx265", pixels="yuv420p", options=options)
    path = remuxed(tmp_path / f"sdr{suffix}", tmp_path / f"v{suffix}", color_trc=18, colorspace=9, color_primaries=9)
    with pytest.raises(UserError, match=r"its brightness is HLG \(HDR\)"):
        numbers(path)


def test_what_players_show_in_another_way_is_told_in_one_line(tmp_path, caplog):
    path = save(tmp_path / "v.mkv", plain(8), options={"x264-params": "tff=1"}, sample_aspect_ratio=Fraction(16, 11))
    for _ in range(2):
        assert numbers(path) == list(range(8))
    (line,) = [r.message for r in caplog.records]
    assert line.startswith(f"{path}: interlaced, and taken as it is")
    assert "taken as it is stored, 96x64 pixels, each 16:11 wide" in line
