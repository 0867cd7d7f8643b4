"""The items that a source will make, with their sizes: from the headers of files, or from the configuration alone."""

import math
from collections.abc import Iterator
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sa_sr.check.assets import ASSETS
from sa_sr.check.part import counted
from sa_sr.config import ClipSource, Source
from sa_sr.data import film
from sa_sr.data.degrade import SCALE
from sa_sr.data.images import image_size, is_image
from sa_sr.data.prepare import WINDOW
from sa_sr.data.scenes import scenes_of
from sa_sr.data.screen import Picture
from sa_sr.data.sources import Clip, clips, files, photos, place_of
from sa_sr.data.video import VIDEOS, check_expected, read_clips
from sa_sr.errors import UserError

LEAST = 32
"""Pixels a side that `prepare` wants."""
BLANK: Picture = partial(np.empty, 0)
"""Stands for a frame, so that `read_clips` picks frames as it does for `prepare`, and nothing is decoded."""


class Item(NamedTuple):
    """What will be one item of a data file."""

    name: str | None
    """As in the data file; None for a video whose scenes are yet to be detected."""
    where: str
    """The file, folder or directory of an archive that it is made of, for messages."""
    frames: int
    height: int
    """Pixels of HR; 0 where nothing tells."""
    width: int

    @property
    def bytes(self) -> int:
        """Of the HR pixels, RGB; 0 where nothing tells."""
        return 3 * self.frames * self.height * self.width

    @property
    def measures(self) -> str:
        return f"{counted(self.frames, 'frame')} of {self.width}x{self.height} pixels"


def items(source: Source) -> list[Item]:
    """The items of a source that is there. A video whose scenes are yet to be detected is one item.

    Raises UserError for what `prepare` would find wrong: files that can't be read or are not as expected, names,
    scenes, crops, and items that are too short or too small.
    """
    place = place_of(source, ASSETS)
    with files(source, ASSETS) as found:
        for file in found.values():
            check_expected(file, source.expect)
        if isinstance(source, ClipSource):
            return [item for name, clip in clips(place, found).items() for item in _of_clip(source, name, clip)]
        return [_photo(source, name, str(file), image_size(file)) for name, file in photos(place, found).items()]


def told(source: Source) -> list[Item]:
    """The items of a source that is not there, as far as the configuration tells: a photo, or listed scenes of a video.

    Raises UserError where these can't be right, whatever the file holds.
    """
    origin, size = Path(source.origin), (source.expect.width or 0, source.expect.height or 0)
    if not isinstance(source, ClipSource):
        return [_photo(source, origin.stem, source.origin, size)] if is_image(origin) else []
    if origin.suffix.lower() in VIDEOS and isinstance(source.scenes, list):
        return list(_cut(source, origin.stem, Clip(source.origin, origin), repeat(BLANK), size))
    return []


def _photo(source: Source, name: str, where: str, size: tuple[int, int]) -> Item:
    return Item(name, where, 1, *_fitted(source, where, size))


def _of_clip(source: ClipSource, name: str, clip: Clip) -> Iterator[Item]:
    """The scenes of a clip that is there."""
    if isinstance(clip.content, Path):
        height, width, _ = next(film.pictures(clip.content))().shape  # logs what is odd about it, too
        count, size = len(film.times(clip.content)) - 1, (width, height)
    else:
        count, size = len(clip.content), image_size(clip.content[0])
    return _cut(source, name, clip, repeat(BLANK, count), size)


def _cut(source: ClipSource, name: str, clip: Clip, frames: Iterator[Picture], size: tuple[int, int]) -> Iterator[Item]:
    """The scenes of a clip of so many frames, whose width and height are 0 where nothing tells."""
    detect = source.scenes == "detect" and isinstance(clip.content, Path)
    scenes = None if detect else scenes_of(source, clip)
    most = None if detect else source.max_frames  # of each scene: of the whole video it would be too few
    fitted = _fitted(source, clip.where, size)
    for part, taken in read_clips(frames, scenes, source.stride, most, clip.where):
        count, label = sum(1 for _ in taken), f"{name}_{part}" if part else name
        if count < WINDOW:
            raise UserError(
                f"{clip.where}: clip {label!r} has {counted(count, 'frame')} with `stride: {source.stride}`, and "
                f"{WINDOW} is the least; lower `stride`, take a longer scene, or leave it out"
            )
        yield Item(None if detect else label, clip.where, count, *fitted)


def _fitted(source: Source, where: str, size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of a frame of that width and height after `reduce` and `crop`, in multiples of the scale."""
    width, height = (math.ceil(side / source.reduce) for side in size)
    if source.crop:
        x, y, *cropped = source.crop
        if 0 < width < x + cropped[0] or 0 < height < y + cropped[1]:
            raise UserError(
                f"{where}: crop {list(source.crop)} does not fit in {width}x{height} pixels (reduce: {source.reduce}); "
                "mend `crop`, or `reduce`"
            )
        width, height = cropped
    if (width or height) and min(width, height) < LEAST:
        raise UserError(
            f"{where}: HR of {width}x{height} pixels (reduce: {source.reduce}) is too small, {LEAST}x{LEAST} is the "
            "least; mend `crop` or `reduce`, or leave it out"
        )
    return height - height % SCALE, width - width % SCALE
