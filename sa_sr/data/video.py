"""Read the frames of videos, or of clips in single images, one after another."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from sa_sr.config import Expect
from sa_sr.data import film
from sa_sr.data.archives import is_archive
from sa_sr.data.images import File, image_size, is_image, read_image
from sa_sr.data.screen import Picture
from sa_sr.errors import UserError

VIDEOS = {".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".mj2", ".f4v", ".ismv", ".mkv", ".mk3d", ".webm", ".avi"}
VIDEOS |= {".mpg", ".mpeg", ".mpe", ".mpv", ".m1v", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".m2t", ".flv", ".wmv"}
VIDEOS |= {".asf", ".ogv", ".ogm", ".y4m", ".h264", ".264", ".avc", ".h265", ".265", ".hevc"}
"""The suffixes of videos in these containers, apart from those that name sound or still pictures more often."""

END = 1 << 62
"""A frame that no video has."""


def pictures(clip: Path | list[File]) -> Iterator[Picture]:
    """The frames of a video file, or those whose images are listed. UserError names a file that can't be read."""
    return film.pictures(clip) if isinstance(clip, Path) else (partial(read_image, file) for file in clip)


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
    """Compare the header of an image or a video with what the configuration expects.

    No more is decoded than the first frame of a video, which tells how it is turned.
    Of a folder or an archive nothing is checked: `prepare` hands over every single file that it takes out of it.
    Raises UserError saying what was expected, what is there, and in which file.
    """
    wanted = expect.model_dump(exclude_none=True)
    if not wanted or _is_collection(file):
        return
    header = _header(file, wanted)
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


def _header(file: File, wanted: Iterable[str]) -> dict[str, float | None]:
    """Width and height in pixels, and seconds where they are wanted of a video that tells them."""
    if is_image(str(file)):
        return dict(zip(("width", "height"), image_size(file), strict=True))
    path = Path(str(file))
    return dict(zip(("width", "height"), film.frame_size(path), strict=True)) | (
        {"seconds": film.seconds(path)} if "seconds" in wanted else {}
    )


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
