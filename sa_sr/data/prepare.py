"""Stage `prepare`: HR items, their LR counterparts and, for clips, the bicubic frames, in one HDF5 file."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sa_sr.config import Box, Clips, ClipSource, Images, Source
from sa_sr.data.resize import imresize
from sa_sr.data.video import IMAGES, VIDEOS, find_scenes, read_clips, read_image
from sa_sr.errors import UserError
from sa_sr.progress import progress
from sa_sr.storage import h5_writer, put

SCALE = 4
WINDOW = 5
"""Frames that the video model sees at once: no clip may be shorter."""


def prepare(dataset: Images | Clips, assets: Path, out: Path) -> None:
    """Write the data file of one data set.

    dataset: its section of the configuration; assets: folder of the downloaded files; out: HDF5 with hr/<item>
    (T, H, W, 3), lr/<item> (T, H/4, W/4, 3) by MATLAB's bicubic imresize, and for clips bicubic/<item> (T, H, W, 3),
    the LR frames enlarged to HR size; all uint8 RGB. Raises UserError naming a file that is unreadable, too small or
    too short.
    """
    with h5_writer(out, kind=dataset.kind, dataset=dataset.canonical()) as f:
        found = ((source, *item) for source in dataset.sources for item in _items(dataset, source, assets))
        for source, path, item, frames in progress(found, f"prepare {out.stem}", unit="item"):
            if f"hr/{item}" in f:
                raise UserError(f"{path}: a second item is named {item!r}; rename one of the files")
            hr = put(f, f"hr/{item}", (_fit(frame, source.reduce, source.crop, path) for frame in frames))
            if dataset.kind == "clips" and len(hr) < WINDOW:
                raise UserError(f"{path}: clip {item!r} has {len(hr)} frames, but the video model needs {WINDOW}")
            origin = {"file": path.name, **source.model_dump(mode="json", exclude_none=True)}
            hr.attrs["source"] = json.dumps(origin, sort_keys=True)
            lr = put(f, f"lr/{item}", (imresize(frame, 1 / SCALE) for frame in hr))
            if dataset.kind == "clips":
                put(f, f"bicubic/{item}", (imresize(frame, SCALE) for frame in lr))


def _items(dataset: Images | Clips, source: Source, assets: Path) -> Iterator[tuple[Path, str, Iterator[np.ndarray]]]:
    """The file, the name and the frames of each item of one source."""
    path = assets / source.asset if source.asset else Path(source.folder or "")
    if not path.exists():
        kind = "asset" if source.asset else "folder"
        raise UserError(f"{path}: no such {kind}; mend `datasets` in the configuration")
    if isinstance(dataset, Images):
        files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGES)
        if not files:
            raise UserError(f"{path}: no images in this folder ({', '.join(sorted(IMAGES))})")
        yield from ((file, file.stem, iter([read_image(file)])) for file in files)
        return
    videos = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_dir() or p.suffix.lower() in VIDEOS)
    if not videos:
        raise UserError(f"{path}: no videos and no folders of frames in this folder")
    assert isinstance(source, ClipSource)
    for video in videos:
        scenes = find_scenes(video) if source.scenes == "detect" else source.scenes
        for name, frames in read_clips(video, scenes, source.stride, source.max_frames):
            yield video, (video.stem if name == "all" else f"{video.stem}_{name}"), _not_empty(frames, video, name)


def _not_empty(frames: Iterator[np.ndarray], video: Path, scene: str) -> Iterator[np.ndarray]:
    first = next(frames, None)
    if first is None:
        raise UserError(f"{video}: scene {scene} has no frames; the video is shorter, or its frames are not images")
    yield first
    yield from frames


def _fit(frame: np.ndarray, reduce: int, crop: Box | None, path: Path) -> np.ndarray:
    """Reduce, crop, and trim to multiples of the scale at the right and bottom."""
    if reduce > 1:
        frame = imresize(frame, 1 / reduce)
    if crop:
        x, y, w, h = crop
        if x + w > frame.shape[1] or y + h > frame.shape[0]:
            raise UserError(f"{path}: crop {crop} does not fit in its {frame.shape[1]}x{frame.shape[0]} pixels")
        frame = frame[y : y + h, x : x + w]
    h, w = (side - side % SCALE for side in frame.shape[:2])
    if min(h, w) < 32:
        raise UserError(f"{path}: {frame.shape[1]}x{frame.shape[0]} pixels are too small; 32x32 is the least")
    return frame[:h, :w]
