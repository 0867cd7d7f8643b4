"""Read frames of videos and folders, one after another."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from sa_sr.errors import UserError

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
EIGHT_BIT = {"1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"}
"""Pillow's modes that turn into 8-bit RGB without loss of range."""
VIDEOS = {".mp4", ".mpg", ".mpeg", ".mov", ".mkv", ".avi", ".webm", ".m4v"}


def files_below(folder: str | Path) -> list[str]:
    """Every image and video in a folder and its sub-folders, sorted; empty where there is no such folder."""
    return sorted(str(p) for p in Path(folder).rglob("*") if p.suffix.lower() in IMAGES | VIDEOS)


def read_image(path: Path) -> np.ndarray:
    """One image file as RGB, uint8 (H, W, 3); grayscale is replicated. UserError names a file that can't be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode not in EIGHT_BIT:
                raise UserError(f"{path}: has pixels of mode {image.mode}, not 8 bits a channel; convert it first")
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        raise UserError(
            f"{path}: can't be read as an image ({e}); replace the file or take it out of the data set"
        ) from e


def read_frames(path: Path) -> Iterator[np.ndarray]:
    """Frames of a video file or of a folder of images in the order of their names, RGB uint8 (H, W, 3)."""
    if path.is_dir():
        yield from (read_image(p) for p in sorted(path.iterdir()) if p.suffix.lower() in IMAGES)
        return
    import av
    import av.error

    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, IndexError) as e:
        raise UserError(
            f"{path}: can't be read as a video ({e}); replace the file or take it out of the data set"
        ) from e


def find_scenes(path: Path) -> list[tuple[int, int]]:
    """[first, end) frames of the scenes of a video file, cut where its content changes (PySceneDetect)."""
    from scenedetect import ContentDetector, VideoOpenFailure, detect

    try:
        scenes = detect(str(path), ContentDetector(), start_in_scene=True)
    except (VideoOpenFailure, OSError) as e:
        raise UserError(f"{path}: no scenes can be found in it; is it a video file? ({e})") from e
    return [(a.frame_num, b.frame_num) for a, b in scenes]


def read_clips(
    path: Path, scenes: list[tuple[int, int]] | None, stride: int, max_frames: int | None
) -> Iterator[tuple[str, Iterator[np.ndarray]]]:
    """Clips of one video: pairs of a name ("0000-0116", or "all") and its frames, which have to be consumed in order.

    scenes: [first, end) source frames in ascending order, without overlap; None is the whole video.
    """
    frames, position = read_frames(path), 0
    for first, end in scenes or [(0, None)]:
        if first < position:
            raise UserError(
                f"{path}: scene [{first}, {end}] overlaps the one before it; list scenes in ascending order"
            )
        for _ in islice(frames, first - position):
            pass
        scene = frames if end is None else _exactly(frames, end - first, f"{path}: scene [{first}, {end}]")
        kept = islice(scene, 0, None if max_frames is None else 1 + (max_frames - 1) * stride, stride)
        yield ("all" if end is None else f"{first:04d}-{end:04d}"), kept
        for _ in scene:  # what the stride or the limit left over
            pass
        position = end or position


def _exactly(frames: Iterator[np.ndarray], count: int, what: str) -> Iterator[np.ndarray]:
    for done in range(count):
        frame = next(frames, None)
        if frame is None:
            raise UserError(f"{what} ends after {done} of {count} frames: the video is shorter; mend `scenes`")
        yield frame
