"""Images and videos that are odd, mislabelled, damaged or made to harm: the right pixels, or one clear error."""

import io
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from sa_sr.config import Source
from sa_sr.data.images import FORMATS, IMAGES, image_size, read_image
from sa_sr.data.prepare import prepare
from sa_sr.data.scenes import find_scenes
from sa_sr.data.sources import files
from sa_sr.data.video import pictures, read_clips
from sa_sr.errors import UserError
from tests.unit.test_prepare import PHOTOS, clip_file, photo, photo_file, prepared, tarred, video, zipped

CAT = Image.fromarray(photo("chelsea.png")[40:168, 100:260])
SAVED = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".bmp": "BMP", ".ppm": "PPM"}


def saved(image: Image.Image, suffix: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, SAVED.get(suffix, suffix), **options)
    return buffer.getvalue()


def refusal(dataset, tmp_path: Path) -> str:
    """The one error of `prepare`, which leaves neither its result nor a temporary file."""
    with pytest.raises(UserError) as e:
        prepare(dataset, tmp_path, tmp_path / "out" / "out.h5")
    assert not list((tmp_path / "out").iterdir())
    return str(e.value)


def tried(read: Callable[[], Any], file: Path) -> Any:
    """What is read, or None where a UserError names the file in few words; anything else fails the test."""
    try:
        return read()
    except UserError as e:
        message = str(e)
    assert str(file) in message
    assert len(message) < 1000
    return None


# ------------------------------------------------------------------------------------------------- kinds of pixels


@settings(max_examples=60, deadline=None)
@given(
    mode=st.sampled_from(["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"]),
    suffix=st.sampled_from(list(SAVED)),
    box=st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 60), st.integers(1, 60)),
    orientation=st.integers(0, 9),
)
def test_every_kind_of_8_bit_picture_is_as_pillow_converts_it(tmp_path_factory, mode, suffix, box, orientation):
    x, y, w, h = box
    exif = Image.Exif()
    exif[0x0112] = orientation
    try:
        data = saved(CAT.crop((x, y, x + w, y + h)).convert(mode), suffix, exif=exif)
    except OSError:  # this format has no such mode
        return
    file = tmp_path_factory.getbasetemp() / f"a{suffix}"
    file.write_bytes(data)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    found = read_image(file)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    assert image_size(file) == (found.shape[1], found.shape[0])


def test_an_odd_note_in_a_photo_is_no_reason_to_refuse_it(tmp_path):
    """Of EXIF only the orientation is looked at; here the resolution is a text."""
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    data = exif.tobytes()
    for number, text in ((b"\x01\x1a\0\5", b"\x01\x1a\0\2"), (b"\x1a\1\5\0", b"\x1a\1\2\0")):
        data = data.replace(number, text)
    (tmp_path / "a.jpg").write_bytes(saved(CAT.transpose(Image.Transpose.ROTATE_90), ".jpg", exif=data))
    with pytest.raises(TypeError):
        ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg"))
    assert read_image(tmp_path / "a.jpg").shape == np.asarray(CAT).shape
    assert image_size(tmp_path / "a.jpg") == CAT.size


def xmp(orientation: int) -> bytes:
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def behind_the_pixels(kind: bytes, data: bytes) -> bytes:
    """A PNG with a chunk just before its end."""
    whole, end = saved(SIDEWAYS, ".png"), png_chunk(b"IEND", b"")
    return whole.removesuffix(end) + png_chunk(kind, data) + end


def texted(key: str, text: str) -> PngInfo:
    info = PngInfo()
    info.add_itxt(key, text)
    return info


SIDEWAYS = CAT.transpose(Image.Transpose.ROTATE_90)
EXIF = Image.Exif()
EXIF[0x0112] = 6
XMP = "XML:com.adobe.xmp"
XMP_CHUNK = XMP.encode() + bytes(5) + xmp(6)


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        *((s, partial(saved, SIDEWAYS, s, exif=EXIF)) for s in (".png", ".jpg", ".webp", ".tif")),
        (".tif", lambda: saved(SIDEWAYS, ".tif", compression="tiff_lzw", exif=EXIF)),
        (".jpg", lambda: saved(SIDEWAYS, ".jpg", xmp=xmp(6))),
        (".webp", lambda: saved(SIDEWAYS, ".webp", lossless=True, xmp=xmp(6))),
        (".tif", lambda: saved(SIDEWAYS, ".tif", tiffinfo={700: xmp(6)})),
        (".png", lambda: saved(SIDEWAYS, ".png", pnginfo=texted(XMP, xmp(6).decode()))),
        (".png", lambda: behind_the_pixels(b"eXIf", EXIF.tobytes().removeprefix(b"Exif\0\0"))),
        (".png", lambda: behind_the_pixels(b"iTXt", XMP_CHUNK)),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_how_a_picture_was_taken_is_known_wherever_that_is_told(tmp_path, suffix, data, packed):
    """By EXIF or XMP, in every format; the size that is told before anything is decoded agrees."""
    if packed:
        zipped(tmp_path / "a.zip", {f"a{suffix}": data()})
        with files(Source(file=str(tmp_path / "a.zip")), tmp_path) as found:
            (file,) = found.values()
            size, pixels = image_size(file), read_image(file)
    else:
        file = tmp_path / f"a{suffix}"
        file.write_bytes(data())
        size, pixels = image_size(file), read_image(file)
    assert size == CAT.size
    assert np.abs(pixels.astype(int) - np.asarray(CAT)).mean() < 8


def test_what_stands_behind_the_pixels_of_a_png_is_no_reason_to_decode_it(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(behind_the_pixels(b"tEXt", b"date:create\0today"))
    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", None)
    assert image_size(tmp_path / "a.png") == SIDEWAYS.size


def deep(channels: int, suffix: str) -> bytes:
    """A picture of 16 bits a channel."""
    pixels = np.asarray(CAT).astype(np.uint16)[..., :1].repeat(channels, 2) * 257
    return cv2.imencode(suffix, pixels)[1].tobytes()


def see_through(mode: str) -> bytes:
    """A picture with a hole: by alpha, or by one gray level or colour of the palette that means nothing."""
    image = CAT.convert(mode)
    if not mode.endswith("A"):
        return saved(image, ".png", transparency=image.getpixel((0, 0)))
    alpha = Image.new("L", CAT.size, 255)
    alpha.paste(254, (10, 10, 11, 11))
    image.putalpha(alpha)
    return saved(image, ".png")


def animated(suffix: str) -> bytes:
    rest = [CAT.rotate(90 * k) for k in (1, 2)]
    return saved(CAT, suffix, save_all=True, append_images=rest)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: deep(1, ".png"), "has pixels of mode I;16B, not 8 bits a channel"),
        (lambda: deep(3, ".png"), "has pixels of mode RGB;16B, not 8 bits a channel"),
        (lambda: deep(4, ".png"), "has pixels of mode RGBA;16B, not 8 bits a channel"),
        (lambda: deep(3, ".tiff"), "has pixels of mode RGB;16N, not 8 bits a channel"),
        (lambda: deep(1, ".pgm"), "has pixels of mode I;16B, not 8 bits a channel"),
        (lambda: deep(3, ".ppm"), "has pixels of mode RGB;16B, not 8 bits a channel"),
        (lambda: b"P3 32 32 1023 " + b"9 " * 3 * 32 * 32, "has pixels of mode RGB;16B, not 8 bits a channel"),
        (lambda: saved(CAT.convert("F"), ".tif"), "has pixels of mode F;32F, not 8 bits a channel"),
        *((partial(see_through, mode), "has transparent pixels") for mode in ("RGBA", "LA", "RGB", "L", "P")),
        (lambda: animated(".png"), "holds several pictures"),
        (lambda: animated(".webp"), "holds several pictures"),
        (lambda: animated(".tif"), "holds several pictures"),
    ],
)
def test_what_is_not_one_8_bit_picture_is_refused(tmp_path, data, message):
    (tmp_path / "a.png").write_bytes(data())
    assert f"a.png: {message}" in refusal(photo_file(tmp_path / "a.png"), tmp_path)


def test_the_previews_behind_a_phones_photo_are_not_meant(tmp_path):
    data = saved(CAT, "MPO", save_all=True, append_images=[CAT.reduce(4)])
    (tmp_path / "a.jpg").write_bytes(data)
    assert read_image(tmp_path / "a.jpg").shape == (128, 160, 3)


def test_an_image_is_known_by_every_suffix_of_the_formats_that_are_read():
    formats = {*FORMATS, "MPO"}
    assert {suffix for suffix, kind in Image.registered_extensions().items() if kind in formats} == IMAGES


# ------------------------------------------------------------------------------------------- mislabelled, damaged


def test_a_jpeg_that_is_named_png_is_read(tmp_path):
    (tmp_path / "a.png").write_bytes(saved(CAT, ".jpg", quality=95))
    assert np.abs(read_image(tmp_path / "a.png").astype(int) - np.asarray(CAT)).mean() < 3


@pytest.mark.parametrize(
    "data",
    [
        lambda: b"",
        lambda: b"hello",
        lambda: saved(CAT, "GIF"),  # known to Pillow, and none of the formats that are read
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n%%EndComments\n",  # would start Ghostscript
    ],
    ids=["empty", "text", "gif", "eps"],
)
def test_other_files_that_are_named_png_are_refused(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data())
    message = refusal(photo_file(tmp_path / "a.png"), tmp_path)
    assert "a.png: can't be read as an image (not PNG, JPEG, BMP, TIFF, WEBP, PPM, or" in message


@pytest.mark.parametrize("suffix", SAVED)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_picture_that_is_cut_off_is_refused(tmp_path, suffix, share):
    data = saved(CAT, suffix)
    (tmp_path / f"a{suffix}").write_bytes(data[: int(share * len(data))])
    assert f"a{suffix}: can't be read as an image" in refusal(photo_file(tmp_path / f"a{suffix}"), tmp_path)


@pytest.mark.parametrize("fill", [bytes, lambda n: b"", lambda n: b"\xa5" * n], ids=["zeros", "cut", "bytes"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 8}], ids=str)
@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_jpeg_with_a_hole_is_refused(tmp_path, fill, options, place):
    """Its end is there, so that a decoder fills the rest with gray or with what lies elsewhere in the picture."""
    data = saved(CAT.resize((480, 384)), ".jpg", quality=92, **options)
    start = int(place * len(data))
    (tmp_path / "a.jpg").write_bytes(data[:start] + fill(2000) + data[start + 2000 :])
    message = refusal(photo_file(tmp_path / "a.jpg"), tmp_path)
    assert "a.jpg: parts of its data are damaged or missing" in message or "can't be read as an image" in message


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (7, 17), (160, 128)])
@pytest.mark.parametrize("options", [{}, {"progressive": True, "restart_marker_blocks": 1}], ids=str)
def test_no_whole_jpeg_is_taken_for_one_with_a_hole(tmp_path, mode, size, options):
    data = saved(CAT.resize(size).convert(mode), ".jpg", **options)
    for tail in (b"", b"what a camera writes behind the picture"):
        (tmp_path / "a.jpg").write_bytes(data + tail)
        assert read_image(tmp_path / "a.jpg").shape == (size[1], size[0], 3)


def test_a_tiff_of_very_many_pages_is_refused_at_once(tmp_path):
    """Each page is 18 bytes that lead to the next; to count the pages is to read them all."""
    page, entries = saved(CAT, ".tif"), []
    start = len(page) + len(page) % 2
    for n in range(200_000):
        after = start + 18 * (n + 1)
        entries.append(struct.pack("<HHHIII", 1, 254, 4, 1, 0, after)[:18])
    first = struct.unpack("<I", page[4:8])[0]
    count = struct.unpack("<H", page[first : first + 2])[0]
    link = first + 2 + 12 * count
    data = page[:link] + struct.pack("<I", start) + page[link + 4 :] + b"\0" * (len(page) % 2) + b"".join(entries)
    (tmp_path / "a.tif").write_bytes(data)
    begin = time.monotonic()
    assert "a.tif: holds several pictures" in refusal(photo_file(tmp_path / "a.tif"), tmp_path)
    assert time.monotonic() - begin < 2


@settings(max_examples=100, deadline=None)
@given(
    suffix=st.sampled_from(list(SAVED)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=20),
    head=st.booleans(),
)
def test_a_picture_with_changed_bytes_is_a_picture_or_a_clear_error(tmp_path_factory, suffix, changes, head):
    data = bytearray(saved(CAT, suffix))
    for place, value in changes:
        data[int(place * (200 if head else len(data)))] = value
    file = tmp_path_factory.getbasetemp() / f"changed{suffix}"
    file.write_bytes(data)
    found = tried(lambda: [read_image(file)], file)
    if found and (size := tried(lambda: image_size(file), file)):
        assert (found[0].dtype, found[0].shape) == (np.uint8, (*size[::-1], 3))


# ------------------------------------------------------------------------------------------------------------ bombs


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_zeros(width: int, height: int) -> bytes:
    """A PNG that claims so many pixels, and holds a few."""
    head = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + png_chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + png_chunk(b"IEND", b"")


def test_a_picture_of_too_many_pixels_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png_of_zeros(60_000, 60_000))
    assert "a.png: can't be read as an image (Image size (3600000000 pixels) exceeds limit" in refusal(
        photo_file(tmp_path / "a.png"), tmp_path
    )
    with pytest.raises(UserError, match="exceeds limit"):
        image_size(tmp_path / "a.png")


def test_a_photo_of_100_megapixels_is_no_bomb_and_no_news(tmp_path):
    photo = Image.open(PHOTOS / "chelsea.png").convert("L").resize((12_000, 8_400))
    photo.save(tmp_path / "a.png", compress_level=1)
    code = "import sys; from pathlib import Path; from sa_sr.data.images import read_image\n"
    code += "print(read_image(Path(sys.argv[1])).shape)"
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("(8400, 12000, 3)\n", "")


def test_text_in_a_picture_is_not_inflated_without_end(tmp_path):
    data = saved(CAT, ".png")
    text = png_chunk(b"zTXt", b"comment\0\0" + zlib.compress(bytes(100_000_000)))
    (tmp_path / "a.png").write_bytes(data[:33] + text + data[33:])
    assert "a.png: can't be read as an image (Decompressed data too large" in refusal(
        photo_file(tmp_path / "a.png"), tmp_path
    )


# ------------------------------------------------------------------------------------------------------------ videos

CODECS = [
    ("v.mp4", "mpeg4", "yuv420p"),
    ("v.mpg", "mpeg1video", "yuv420p"),
    ("v.avi", "mjpeg", "yuvj420p"),
    ("v.mkv", "libx264", "yuv420p"),
    ("v.webm", "libvpx-vp9", "yuv420p"),
]


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """A video of 40 frames in each of several codecs, by its name."""
    place = tmp_path_factory.mktemp("footage")
    for name, codec, pixels in CODECS:
        video(place / name, {"chelsea.png": 20, "coffee.png": 20}, codec, pixels)
    return place


def frames_of(path: Path) -> int:
    """How many frames a video has, all of them decoded."""
    clips = [[f.shape[2] for f in clip] for _, clip in read_clips(pictures(path), None, 1, None, str(path))]
    assert set(clips[0]) == {3}
    return len(clips[0])


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_an_ordinary_video_is_taken(tmp_path, suffix, codec, b_frames):
    """With frames that are stored in another order than shown, too, which AVI has no words for."""
    file = video(tmp_path / f"v{suffix}", {"chelsea.png": 20, "coffee.png": 10}, codec, "yuv420p", b_frames)
    assert frames_of(file) == 30


@pytest.mark.parametrize("name", [name for name, *_ in CODECS])
def test_a_damaged_video_never_loses_frames_without_a_word(footage, tmp_path, name):
    """Scenes are counted in frames, so one that is missing would shift all that follow."""
    data = (footage / name).read_bytes()
    random, refused = np.random.default_rng(0), 0
    for size in [16, 64, 256, 1024] * 4:
        start = int(random.uniform(0.2, 0.75) * len(data))
        broken = bytearray(data)
        broken[start : start + size] = random.bytes(size)
        (tmp_path / name).write_bytes(broken[: len(data)])
        count = tried(lambda: frames_of(tmp_path / name), tmp_path / name)
        assert count in (None, 40)
        refused += count is None
    assert refused
    assert frames_of(footage / name) == 40


@pytest.mark.parametrize("name", [name for name, *_ in CODECS])
def test_a_video_that_breaks_off_is_refused_where_its_end_is_wanted(footage, tmp_path, name):
    data = (footage / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    assert str(tmp_path / name) in refusal(clip_file(tmp_path / name), tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from([name for name, *_ in CODECS]),
    changes=st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), min_size=1, max_size=20),
)
def test_a_video_with_a_changed_header_has_frames_or_a_clear_error(footage, name, changes):
    data = bytearray((footage / name).read_bytes())
    for place, value in changes:
        data[place] = value
    file = footage / f"changed-{name}"
    file.write_bytes(data)
    tried(lambda: frames_of(file), file)


def test_a_video_whose_size_changes_is_refused_even_where_a_crop_fits_in_both(tmp_path):
    parts = []
    for width, height in ((160, 128), (96, 64)):
        with av.open(str(tmp_path / "part.ts"), "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for t in range(10):
                frame = photo("coffee.png")[:height, t : t + width]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        parts.append((tmp_path / "part.ts").read_bytes())
    (tmp_path / "v.ts").write_bytes(b"".join(parts))
    message = refusal(clip_file(tmp_path / "v.ts", crop=[0, 0, 64, 64]), tmp_path)
    assert "v.ts: its first frame has 160x128 pixels, frame 10 96x64" in message


def test_sound_without_a_picture_is_no_video(tmp_path):
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate = 44_100
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    assert "v.mp4: has no video in it" in refusal(clip_file(tmp_path / "v.mp4"), tmp_path)


def test_a_video_without_frames_is_refused(tmp_path):
    with av.open(str(tmp_path / "v.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        container.start_encoding()
    assert "v.mkv: can't be read as a video" in refusal(clip_file(tmp_path / "v.mkv"), tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        lambda: b"",
        lambda: (PHOTOS / "chelsea.png").read_bytes(),
        lambda: b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.mkv\n#EXT-X-ENDLIST\n",
        lambda: b"ffconcat version 1.0\nfile secret.mkv\n",
    ],
    ids=["empty", "photo", "playlist", "concat"],
)
def test_what_is_no_video_is_refused_and_names_no_other_file(tmp_path, data):
    video(tmp_path / "secret.mkv", {"chelsea.png": 10})
    (tmp_path / "v.mp4").write_bytes(data())
    assert "v.mp4: can't be read as a video" in refusal(clip_file(tmp_path / "v.mp4"), tmp_path)
    with pytest.raises(UserError, match=r"v\.mp4: can't be read as a video"):
        find_scenes(tmp_path / "v.mp4")


# ---------------------------------------------------------------------------------------------------------- archives


def test_a_page_that_is_named_zip_is_refused_in_one_line(tmp_path):
    (tmp_path / "box.zip").write_text("<html><body>Please sign in.</body></html>")
    message = refusal(photo_file(tmp_path / "box.zip"), tmp_path)
    assert message.startswith(f"{tmp_path}/box.zip: not a readable archive (neither zip nor tar")
    assert "\n" not in message


def test_an_archive_that_is_named_mp4_is_known_by_its_content(tmp_path):
    members = {f"walk/{t}.png": saved(CAT.crop((t, 0, t + 64, 64)), ".png") for t in range(6)}
    assert prepared(clip_file(zipped(tmp_path / "v.mp4", members)), tmp_path) == ["walk"]


def test_a_picture_in_an_archive_is_held_to_the_same_terms(tmp_path):
    box = tarred(tmp_path / "box.tar.gz", {"a.png": see_through("RGBA")})
    assert "box.tar.gz/a.png: has transparent pixels" in refusal(photo_file(box), tmp_path)
