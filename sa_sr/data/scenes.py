"""Where the scenes of a video begin and end."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from sa_sr.config import ClipSource
from sa_sr.data.film import pictures, times
from sa_sr.data.sources import Clip
from sa_sr.errors import UserError

RATE = 25.0
"""Frames a second, which PySceneDetect wants to be told. It counts frames here, so that the number does not matter."""
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
    import cv2
    from scenedetect import ContentDetector, FrameTimecode
    from scenedetect.scene_manager import compute_downscale_factor

    detector, cuts, count = ContentDetector(), [0], 0
    for count, picture in enumerate(pictures(path), 1):
        frame = picture()
        size = [round(side / compute_downscale_factor(max(frame.shape))) for side in frame.shape[1::-1]]
        small = cv2.cvtColor(cv2.resize(frame, size), cv2.COLOR_RGB2BGR)
        cuts += [cut.frame_num for cut in detector.process_frame(FrameTimecode(count - 1, RATE), small)]
    return list(pairwise([*cuts, count]))


def scenes_until(path: Path, ends: list[float]) -> list[tuple[int, int]]:
    """[first, end) frames of the scenes of a video file that end at so many seconds, the first beginning at its start.

    ends: ascending, each turned into the frame whose time is next to it; the last may lie up to BEYOND seconds after
    the end of the video, and is then cut there. Raises UserError where it is further off.
    """
    shown = times(path)
    if ends[-1] > shown[-1] + BEYOND:
        raise UserError(
            f"{path}: the last scene ends at {ends[-1]:g} s, but the video at {shown[-1]:.2f} s; "
            "mend `ends`, or put the right video there"
        )
    return list(pairwise([0, *(int(np.abs(np.subtract(shown, end)).argmin()) for end in ends)]))
