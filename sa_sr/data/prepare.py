"""Stage `prepare`: HR items, their LR counterparts and, for clips, the bicubic frames, in one HDF5 file."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sa_sr.config import Box, Clips, ClipSource, Images, Source
from sa_sr.data.degrade import SCALE, degrade
from sa_sr.data.images import read_image
from sa_sr.data.resize import imresize
from sa_sr.data.scenes import scenes_of
from sa_sr.data.sources import clips, files, photos, place_of
from sa_sr.data.video import check_expected, pictures, read_clips
from sa_sr.errors import UserError
from sa_sr.progress import progress
from sa_sr.storage import describe, h5_writer, put

PLACE = {"file", "folder", "expect"}
"""Keys of a source that say where it lies and what it should be. The pictures are the same wherever that is, and what
is made of them must not change when a video is moved."""
WINDOW = 5
"""Frames that the video model sees at once: no clip may be shorter."""


def prepare(dataset: Images | Clips, assets: Path, out: Path) -> None:
    """Write the data file of one data set.

    dataset: its section of the configuration; assets: folder of the downloaded files; out: HDF5 with hr/<item>
    (T, H, W, 3), lr/<item> (T, H/4, W/4, 3) by the degradation of the data set, and for clips bicubic/<item>
    (T, H, W, 3), the LR frames enlarged to HR size by MATLAB's imresize; all uint8 RGB. Its root attributes are `kind`,
    `dataset` (the section as JSON), `degradation` and `border`; each hr/<item> tells its `file` and `source`.
    Raises UserError naming a file that is missing, unreadable, not what was expected, too small or too short.
    """
    border = dataset.border
    attrs = {"kind": dataset.kind, "degradation": dataset.degradation, "border": border}
    with h5_writer(out, dataset=dataset.canonical(exclude={"sources": {"__all__": PLACE}}), **attrs) as f:
        found = ((source, *item) for source in dataset.sources for item in _items(source, assets))
        for source, where, item, frames in progress(found, f"prepare {out.stem}", unit="items"):
            if f"hr/{item}" in f:
                raise UserError(f"{where}: a second item is named {item!r}; rename one of the files")
            fitted = (_fit(frame, source.reduce, source.crop, where) for frame in _alike(frames, where))
            hr = put(f, f"hr/{item}", fitted)
            if dataset.kind == "clips" and len(hr) < WINDOW:
                raise UserError(f"{where}: clip {item!r} has {len(hr)} frames, but the video model needs {WINDOW}")
            place = place_of(source, assets)
            file = place.name if where == str(place) else Path(where).relative_to(place).as_posix()
            describe(hr, file=file, source=source.canonical(exclude=PLACE))
            lr = put(f, f"lr/{item}", (degrade(frame, dataset.degradation, border) for frame in hr))
            if dataset.kind == "clips":
                put(f, f"bicubic/{item}", (imresize(frame, SCALE, border) for frame in lr))


def _items(source: Source, assets: Path) -> Iterator[tuple[str, str, Iterator[np.ndarray]]]:
    """The place, the name and the frames of each item of one source."""
    place = place_of(source, assets)
    with files(source, assets) as found:
        for file in found.values():
            check_expected(file, source.expect)
        if not isinstance(source, ClipSource):
            for name, file in photos(place, found).items():
                yield str(file), name, iter([read_image(file)])
            return
        for name, clip in clips(place, found).items():
            frames, scenes = pictures(clip.content), scenes_of(source, clip)
            for part, taken in read_clips(frames, scenes, source.stride, source.max_frames, clip.where):
                yield clip.where, f"{name}_{part}" if part else name, taken


def _alike(frames: Iterator[np.ndarray], where: str) -> Iterator[np.ndarray]:
    """The frames, all of one size; else UserError."""
    size = None
    for t, frame in enumerate(frames):
        size = size or frame.shape
        if frame.shape != size:
            (h, w, _), (h0, w0, _) = frame.shape, size
            raise UserError(f"{where}: its first frame has {w0}x{h0} pixels, frame {t} {w}x{h}; make them one size")
        yield frame


def _fit(frame: np.ndarray, reduce: int, crop: Box | None, where: str) -> np.ndarray:
    """Reduce, crop, and trim to multiples of the scale at the right and bottom."""
    if reduce > 1:
        frame = imresize(frame, 1 / reduce)
    if crop:
        x, y, w, h = crop
        if x + w > frame.shape[1] or y + h > frame.shape[0]:
            raise UserError(f"{where}: crop {crop} does not fit in its {frame.shape[1]}x{frame.shape[0]} pixels")
        frame = frame[y : y + h, x : x + w]
    h, w = (side - side % SCALE for side in frame.shape[:2])
    if min(h, w) < 32:
        raise UserError(f"{where}: {frame.shape[1]}x{frame.shape[0]} pixels are too small; 32x32 is the least")
    return frame[:h, :w]
