"""Which data and weights are there, and how many pixels they come to: from the headers of files alone."""

import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sa_sr.check.part import Part, size
from sa_sr.config import ClipSource, Config, Source
from sa_sr.data.archives import DAMAGED, Member
from sa_sr.data.assets import Asset
from sa_sr.data.degrade import SCALE
from sa_sr.data.presence import lacking, used
from sa_sr.data.scenes import scenes_of
from sa_sr.data.sources import Clip, clips, files, photos, place_of
from sa_sr.data.video import VIDEOS, File, files_below, open_video
from sa_sr.errors import UserError

ASSETS = Path("results/assets")

# Bytes of pixels for each byte of a file, measured likewise on the PNG, JPEG and video files of the demo. An archive
# counts as PNG, which is what the known ones hold.
PNG, JPEG, VIDEO = 1.4, 8.2, 160.0
FRAME_RATE = 60
"""Frames a second of a video that is not there: a rate that few exceed."""


@dataclass(frozen=True)
class Look:
    """What can be told of one source before it is prepared.

    there: whether its file or folder is; hr: bytes of its HR pixels, None where nothing tells; guess: how they were
    estimated, empty where they were counted; problem: why it can't be used although it is there.
    """

    source: Source
    there: bool
    hr: float | None
    guess: str = ""
    problem: str = ""


def look(config: Config, source: Source) -> Look:
    """Count the HR pixels of a source from the headers of its files, or estimate them where there are none."""
    place = place_of(source, ASSETS)
    if files_below(place) if source.folder else place.is_file():
        try:
            _check_size(config, source)
            return Look(source, True, hr_bytes(source))
        except UserError as e:
            return Look(source, True, None, problem=str(e))
    if told := _told(source):
        return Look(source, False, told)
    e, area = source.expect, source.reduce**2
    if source.asset and (length := config.asset(source.asset).bytes):
        hr = length * _pixels_per_byte(source.asset) * _share(config, source) / area
        return Look(source, False, hr, "from the bytes of the download")
    if e.width and e.height and e.seconds:
        hr = 3 * e.width * e.height * FRAME_RATE * _seconds(source, e.seconds) / area
        return Look(source, False, hr, f"from `expect` with {FRAME_RATE} frames a second")
    return Look(source, False, None)


def _told(source: Source) -> int | None:
    """Bytes of HR pixels where the configuration alone tells them: a crop of the listed scenes of a video."""
    if not (source.crop and isinstance(source, ClipSource) and isinstance(source.scenes, list)):
        return None
    scenes = source.scenes[slice(*source.take)] if source.take else source.scenes
    return _frames(source, scenes) * _fitted(source, 0, 0)


def _check_size(config: Config, source: Source) -> None:
    """UserError where a download has another length than is published: the workflow takes whatever lies there."""
    if source.asset and (wanted := config.asset(source.asset).bytes):
        place = ASSETS / source.asset
        if (length := place.stat().st_size) != wanted:
            raise UserError(f"{place}: has {length} bytes, expected {wanted}; delete it")


def hr_bytes(source: Source) -> int:
    """Bytes of the HR pixels that will be made of a source which is there, from headers alone.

    Scenes that are yet to be detected count as the whole video. Raises UserError where a file can't be read, and for
    whatever `prepare` would find wrong with patterns, names and scenes.
    """
    place = place_of(source, ASSETS)
    with files(source, ASSETS) as found:
        if not isinstance(source, ClipSource):
            return sum(_fitted(source, *_size(file)) for file in photos(place, found).values())
        return sum(_clip_bytes(source, clip) for clip in clips(place, found).values())


def _clip_bytes(source: ClipSource, clip: Clip) -> int:
    if isinstance(clip.content, Path):
        with open_video(clip.content) as (container, stream):
            width, height = stream.width, stream.height
            # Matroska and MPEG don't say how many frames there are, but each is one packet
            count = stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
    else:
        (width, height), count = _size(clip.content[0]), len(clip.content)
    if source.scenes == "detect":  # max_frames is of each scene: of the whole video it would be too few
        return len(range(0, count, source.stride)) * _fitted(source, width, height)
    return _frames(source, scenes_of(source, clip) or [(0, count)]) * _fitted(source, width, height)


def _frames(source: ClipSource, scenes: list[tuple[int, int]]) -> int:
    return sum(len(range(first, end, source.stride)[: source.max_frames]) for first, end in scenes)


def _size(file: File) -> tuple[int, int]:
    """Width and height of an image from its header; a member of an archive is not read beyond it."""
    try:
        opened = file.entry.open() if isinstance(file, Member) else file.open("rb")
        with opened as stream, Image.open(stream) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, *DAMAGED) as e:
        raise UserError(f"{file}: can't be read as an image ({e})") from e


def _fitted(source: Source, width: int, height: int) -> int:
    """Bytes of a frame that was reduced, cropped, and trimmed to multiples of the scale."""
    width, height = math.ceil(width / source.reduce), math.ceil(height / source.reduce)
    if source.crop:
        _, _, width, height = source.crop
    return 3 * (width - width % SCALE) * (height - height % SCALE)


def _pixels_per_byte(asset: str) -> float:
    suffix = Path(asset).suffix.lower()
    return VIDEO if suffix in VIDEOS else JPEG if suffix in {".jpg", ".jpeg"} else PNG


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


def needed(config: Config) -> dict[str, Asset]:
    """Every asset of an experiment: of its data sets, then its weights."""
    names = [source.asset for name in used(config) for source in config.datasets[name].sources]
    return {name: config.asset(name) for name in [*names, *_weights(config)] if name}


def _weights(config: Config) -> list[str]:
    models = config.chosen_models.values()
    names = [name for m in models for name in (m.init, m.features.asset)]
    return list(dict.fromkeys(name for name in [*names, config.evaluation.lpips.asset] if name))


def part(config: Config, found: dict[str, list[Look]]) -> Part:
    """What is there, what will be downloaded and what is lacking."""
    rows = []
    told: set[str] = set()
    for name, looks in found.items():
        groups: dict[tuple[bool, bool], list[Source]] = {}
        for one in looks:
            groups.setdefault((one.source.asset is not None, one.there), []).append(one.source)
        for (is_asset, there), sources in groups.items():
            places = list(dict.fromkeys(source.origin for source in sources))
            state = _state(config, places, told) if is_asset else ("there" if there else "lacking", "")
            rows.append((name, _names(places), *state))
            name = ""
    for n, asset in enumerate(_weights(config)):
        rows.append(("" if n else "weights", asset, *_state(config, [asset], told)))
    lines = lacking(config)
    wrong = [one.problem for looks in found.values() for one in looks if one.problem]
    wrong = [problem for problem in dict.fromkeys(wrong) if not any(line.startswith(problem) for line in lines)]
    short = [line.partition(" (data sets: ")[0] for line in lines]
    return Part("Data", "<<<>", rows, [*lines, *wrong], [*short, *wrong])


def _names(places: list[str]) -> str:
    return f"{places[0]} ... {places[-1]} ({len(places)})" if len(places) > 2 else ", ".join(places)


def _state(config: Config, names: list[str], told: set[str]) -> tuple[str, str]:
    """Whether some assets are there, and their bytes; those that were told of are in `told`."""
    if told.issuperset(names):
        return "as above", ""
    told.update(names)
    lengths = [config.asset(name).bytes for name in names]
    total = "size not published" if None in lengths else size(sum(filter(None, lengths)))
    return ("there" if all((ASSETS / name).is_file() for name in names) else "to download"), total
