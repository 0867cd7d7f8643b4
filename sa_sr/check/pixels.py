"""How many pixels the sources come to: counted where they are there, else estimated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sa_sr.check.assets import ASSETS, check_length
from sa_sr.check.items import Item, items, told
from sa_sr.config import ClipSource, Config, Source
from sa_sr.data.presence import used
from sa_sr.data.sources import chosen, place_of
from sa_sr.data.video import VIDEOS
from sa_sr.errors import UserError

PNG, JPEG, VIDEO = 1.94, 8.2, 160.0
"""Bytes of pixels for each byte of a file. PNG, as which an archive counts: of REDS, 24,000 frames of 1280 x 720 in a
zip file of known length. The other two: of the files of the demo; few videos are packed as densely, so that is much."""
FRAME_RATE = 60
"""Frames a second of a video that is not there: a rate that few exceed."""


@dataclass(frozen=True)
class Look:
    """What can be told of one source before it is prepared.

    there: whether its file or folder is; items: those that it will make, empty where nothing tells; hr: bytes of its HR
    pixels, None where nothing tells; guess: how they were estimated, empty where they were counted; most: whether the
    estimate is a limit; problem: what keeps it from being used.
    """

    source: Source
    there: bool
    items: Sequence[Item] = ()
    hr: float | None = None
    guess: str = ""
    most: bool = False
    problem: str = ""

    @property
    def named(self) -> bool:
        """Whether the names of all its items are known."""
        return bool(self.items) and all(item.name for item in self.items)


def look(config: Config, source: Source) -> Look:
    """Count the HR pixels of a source, or estimate them."""
    place = place_of(source, ASSETS)
    there = bool(chosen(source)) if source.folder else place.is_file()
    try:
        if there and source.asset:
            check_length(config, source.asset)
        found = items(source) if there else told(source)
    except UserError as e:
        return Look(source, there, problem=str(e))
    if counted := sum(item.bytes for item in found):
        return Look(source, there, found, counted)
    e, area = source.expect, source.reduce**2
    if source.asset and (length := config.asset(source.asset).bytes):
        hr, most = length * _pixels_per_byte(source.asset) * _share(config, source) / area, _is_video(source.asset)
        return Look(source, there, found, hr, "from the bytes of the download", most)
    if e.width and e.height and e.seconds:
        hr = 3 * e.width * e.height * FRAME_RATE * _seconds(source, max(e.seconds)) / area
        return Look(source, there, found, hr, f"from `expect` with {FRAME_RATE} frames a second")
    return Look(source, there, found)


def _pixels_per_byte(asset: str) -> float:
    return VIDEO if _is_video(asset) else JPEG if Path(asset).suffix.lower() in {".jpg", ".jpeg"} else PNG


def _is_video(asset: str) -> bool:
    return Path(asset).suffix.lower() in VIDEOS


def _share(config: Config, source: Source) -> float:
    """The part of a download that one of the data sets which are made of it is taken to have.

    What `only` picks out beside a data set that takes the rest is little, as four clips for testing are; else all have
    equal parts.
    """
    every = [s for name in used(config) for s in config.datasets[name].sources if s.asset == source.asset]
    large = [s for s in every if not s.only] or every
    return (source in large) / len(large)


def _seconds(source: Source, whole: float) -> float:
    """How much of a video of `whole` seconds becomes frames, as its `ends`, `take` and `stride` say."""
    if not isinstance(source, ClipSource):
        return whole
    cuts = [0.0, *source.ends] if source.ends else [0.0, whole]
    first, end = source.take if source.take and source.ends else (0, len(cuts) - 1)
    return (cuts[end] - cuts[first]) / source.stride
