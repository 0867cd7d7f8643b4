"""Read the frames of videos, or of clips in single images, one after another."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from sa_sr.config import Expect
from sa_sr.data.archives import is_archive
from sa_sr.data.images import File, image_size, is_image, read_image
from sa_sr.errors import UserError

VIDEOS = {".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mj2", ".f4v", ".ismv", ".mkv", ".mk3d", ".webm", ".avi"}
VIDEOS |= {".mpg", ".mpeg", ".mpe", ".mpv", ".m1v", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".m2t", ".flv", ".wmv"}
VIDEOS |= {".asf", ".ogv", ".ogm", ".y4m", ".h264", ".264", ".avc", ".h265", ".265", ".hevc"}
"""The suffixes of videos in these containers, apart from those that name sound or still pictures more often."""

CONTAINERS = "mov,matroska,avi,mpeg,mpegvideo,mpegts,m4v,h264,hevc,flv,asf,ogg,yuv4mpegpipe"
"""What a video may be, by libav's names. It knows playlists too, which make it read other files."""
TELLING = ("mov", "matroska", "avi")
"""Those that say how long a video is."""
SLACK = 0.75
"""Frames by which time stamps may be late: repeated fields are half a frame, and a lost frame is a whole one."""

END = 1 << 62
"""A frame that no video has."""

Picture = Callable[[], np.ndarray]
"""A frame that becomes RGB uint8 (H, W, 3) when it is called, which for those that nobody wants is never."""


def pictures(clip: Path | list[File]) -> Iterator[Picture]:
    """The frames of a video file, or those whose images are listed. UserError names a file that can't be read."""
    return _decoded(clip) if isinstance(clip, Path) else (partial(read_image, file) for file in clip)


def read_clips(
    frames: Iterator[Picture], scenes: list[tuple[int, int]] | None, stride: int, max_frames: int | None, where: str
) -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    """Clips of one video: pairs of a name ("0000-0116", or "" for the whole) and its frames, to be consumed in order.

    frames      those of the video; read to the last one that is wanted, and not beyond
    scenes      [first, end) of the source frames, ascending, without overlap; None is the whole video
    stride      take every n-th frame of a scene
    max_frames  of each clip, after the stride; None: all
    where       the video, for messages: UserError says which scene is empty, overlaps or is missing frames
    """
    if scenes is None:
        yield "", _pick(enumerate(frames), range(0, END, stride)[:max_frames], None, where)
        return
    numbered, position = enumerate(frames), 0
    for first, end in scenes:
        what = f"{where}: scene [{first}, {end}]"
        if first >= end:
            raise UserError(f"{what} has no frames; give its first frame and the one after its last")
        if first < position:
            raise UserError(f"{what} overlaps the one before it; list scenes in ascending order")
        yield f"{first:04d}-{end:04d}", _pick(numbered, range(first, end, stride)[:max_frames], end - first, what)
        position = end


def check_expected(file: File, expect: Expect) -> None:
    """Compare the header of an image or a video with what the configuration expects; nothing is decoded.

    Of a folder or an archive nothing is checked: `prepare` hands over every single file that it takes out of it.
    Raises UserError saying what was expected, what is there, and in which file.
    """
    wanted = expect.model_dump(exclude_none=True)
    if not wanted or _is_collection(file):
        return
    header = _header(file)
    found = {key: header.get(key) for key in wanted}
    if not all(_meets(found[key], wanted[key]) for key in wanted):
        raise UserError(
            f"{file}: expected {_told(wanted)}, but found {_told(found)}; put the right file there, or mend `expect` "
            "in the configuration"
        )


def _meets(found: float | None, wanted: float | tuple[float, float]) -> bool:
    shortest, longest = wanted if isinstance(wanted, tuple) else (wanted, wanted)
    return found is not None and shortest <= found <= longest


def _told(header: Mapping[str, float | tuple[float, float] | None]) -> str:
    def text(value: float | tuple[float, float] | None) -> str:
        if isinstance(value, tuple):
            return f"{value[0]:g} to {value[1]:g}"
        return "unknown" if value is None else f"{round(value, 2):g}"

    return ", ".join(f"{key} {text(value)}" for key, value in header.items())


def _is_collection(file: File) -> bool:
    return isinstance(file, Path) and (file.is_dir() or (not is_image(file) and is_archive(file)))


def _header(file: File) -> dict[str, float | None]:
    """Width and height in pixels, and seconds where it is a video that says so."""
    if is_image(str(file)):
        return dict(zip(("width", "height"), image_size(file), strict=True))
    with open_video(Path(str(file))) as (container, stream):
        seconds = stream.duration and float(stream.duration * stream.time_base)
        seconds = seconds or (container.duration and container.duration / 1_000_000)
        return {"width": stream.width, "height": stream.height, "seconds": seconds}


@contextmanager
def open_video(path: Path) -> Iterator[tuple[Any, Any]]:
    """PyAV's container and its first video stream. UserError names a file that can't be read."""
    import av
    import av.error

    trusted = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        with av.open(str(path), options=trusted, metadata_errors="replace") as container:
            streams = [stream for stream in container.streams.video if stream.codec_context]
            if not streams:
                raise UserError(
                    f"{path}: has no video in it, or of no known codec; replace the file or take it out of the data set"
                )
            yield container, streams[0]
    except av.error.FFmpegError as e:
        why = f"none of {CONTAINERS}" if isinstance(e, av.error.ArgumentError) else e.strerror
        raise UserError(
            f"{path}: can't be read as a video ({why}); replace the file or take it out of the data set"
        ) from e


def _decoded(path: Path) -> Iterator[Picture]:
    # From the beginning and without seeking: what a scene holds must not depend on how well a container is indexed.
    with open_video(path) as (container, stream):
        stream.codec_context.options = {"err_detect": "explode"}  # damage is an error, and not to be painted over
        for frame in _gapless(container.decode(stream), container, stream, path):
            yield partial(frame.to_ndarray, format="rgb24")


def _gapless(frames: Iterator[Any], container: Any, stream: Any, path: Path) -> Iterator[Any]:
    """The frames of a video as long as none before them is missing, which would shift all later scenes."""
    end, number = (
        None if container.format.name == "avi" else stream.start_time,
        0,
    )  # AVI's begins with a decoder's delay
    for number, frame in enumerate(frames, 1):
        timed = end is not None and frame.pts is not None and frame.duration and _is_timed(container, stream)
        late = timed and frame.pts > end + SLACK * frame.duration
        if late or frame.is_corrupt:
            raise UserError(
                f"{path}: damaged, or of a varying frame rate: frames are missing before or in frame {number - 1}; "
                "replace the file, or encode it anew with a constant frame rate"
            )
        end = frame.pts + frame.duration if frame.pts is not None and frame.duration else None
        yield frame
    told = _seconds_told(container, stream)
    if told and end is not None and stream.average_rate:
        start = stream.start_time or 0
        if told - float((end - start) * stream.time_base) > SLACK / stream.average_rate:
            raise UserError(f"{path}: breaks off after {number} frames, before the end that it tells; replace the file")


def _is_timed(container: Any, stream: Any) -> bool:
    """Whether a gap in the time stamps of a video means that a frame was lost.

    MP4 and MOV list all frames with the time of each, so a gap is meant. AVI has no time stamps, and those that libav
    makes up are out of order where frames are stored out of order.
    """
    reordered = container.format.name == "avi" and stream.codec_context.has_b_frames
    return not container.format.name.startswith("mov") and not reordered


def _seconds_told(container: Any, stream: Any) -> float | None:
    """The duration of a video by its container, None where that would be libav's estimate."""
    if not container.format.name.startswith(TELLING):
        return None
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration and len(container.streams) == 1 else None


def _pick(numbered: Iterator[tuple[int, Picture]], wanted: range, count: int | None, what: str) -> Iterator[np.ndarray]:
    """The wanted ones of what is left; `count`: frames of a scene that has to be complete, None: take what there is."""
    number = wanted[0] - 1
    for number, picture in numbered:
        if number in wanted:
            yield picture()
        if number >= wanted[-1]:
            return
    done = max(0, number + 1 - wanted[0])
    if count:
        raise UserError(f"{what} ends after {done} of {count} frames: the video is shorter; mend its scenes")
    if not done:
        raise UserError(f"{what}: has no frames; replace the file or take it out of the data set")
