"""Where the scenes of a video begin and end."""

from itertools import pairwise
from pathlib import Path

from sa_sr.config import ClipSource
from sa_sr.data.sources import Clip
from sa_sr.data.video import open_video
from sa_sr.errors import UserError

BEYOND = 1
"""Seconds by which the last scene may end after the video does: whoever lists scenes rounds, and so do containers."""


def scenes_of(source: ClipSource, clip: Clip) -> list[tuple[int, int]] | None:
    """[first, end) frames of the scenes that a source takes of one of its clips; None is the whole clip.

    Raises UserError where scenes are to be found in single images, and where `take` goes beyond those that were found.
    """
    scenes = source.scenes
    if scenes == "detect" or source.ends:
        if not isinstance(clip.content, Path):
            raise UserError(f"{clip.where}: `detect` and `ends` are for videos; list `scenes` in frames for images")
        scenes = scenes_until(clip.content, source.ends) if source.ends else find_scenes(clip.content)
    if scenes is None or source.take is None:
        return scenes
    first, end = source.take
    if end > len(scenes):
        raise UserError(f"{clip.where}: take is [{first}, {end}], but {len(scenes)} scenes were found, counted from 0")
    return scenes[first:end]


def find_scenes(path: Path) -> list[tuple[int, int]]:
    """[first, end) frames of the scenes of a video file, cut where its content changes (PySceneDetect)."""
    from scenedetect import ContentDetector, VideoOpenFailure, detect

    with open_video(path):  # OpenCV would open whatever libav knows
        pass
    try:
        scenes = detect(str(path), ContentDetector(), start_in_scene=True)
    except (VideoOpenFailure, OSError) as e:
        raise UserError(f"{path}: no scenes can be found in it; is it a video file? ({e})") from e
    return [(a.frame_num, b.frame_num) for a, b in scenes]


def scenes_until(path: Path, ends: list[float]) -> list[tuple[int, int]]:
    """[first, end) frames of the scenes of a video file that end at so many seconds, the first beginning at 0.

    ends: ascending, turned into frames by the average frame rate; the last may lie up to BEYOND seconds after the end
    of the video, and is then cut there. Raises UserError where it is further off.
    """
    with open_video(path) as (container, stream):
        rate = stream.average_rate
        if not rate:
            raise UserError(f"{path}: has no frame rate, which `ends` needs; list `scenes` in frames")
        # Matroska and MPEG don't say how many frames there are, but each is one packet
        count = stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
    cuts = [0, *(round(seconds * rate) for seconds in ends)]
    if ends[-1] > count / rate + BEYOND:
        raise UserError(
            f"{path}: the last scene ends at {ends[-1]:g} s, but the video at {float(count / rate):.2f} s; "
            "mend `ends`, or put the right video there"
        )
    cuts[-1] = min(cuts[-1], count)
    return list(pairwise(cuts))
