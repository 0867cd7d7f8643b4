"""The images and videos of a source, wherever they lie, and the items that they make up."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from sa_sr.config import ClipSource, Source
from sa_sr.data.archives import ARCHIVES, Member, entries, is_archive
from sa_sr.data.images import IMAGES, File, is_image
from sa_sr.data.video import VIDEOS
from sa_sr.errors import Refused, UserError

T = TypeVar("T")


class Clip(NamedTuple):
    """A video, or the images of its frames in their order."""

    where: str
    """The video, folder or directory of an archive, for messages."""
    content: Path | list[File]


@contextmanager
def files(source: Source, assets: Path) -> Iterator[dict[str, File]]:
    """What `only` and `omit` leave of a source, by the path below its folder or inside its archive.

    assets: folder of the downloaded files. A folder's files are sorted; an archive's come as they lie in it, because a
    compressed tar is read from its beginning again for every step back. They can be read as long as the context lasts.
    Raises UserError where the source is missing, damaged or not safe to read, and where nothing is left.
    """
    place = place_of(source, assets)
    if not (place.is_dir() if source.folder else place.is_file()):
        hint = f" ({source.note})" if source.note else ""
        kind = "asset" if source.asset else "folder" if source.folder else "file"
        raise UserError(f"{place}: no such {kind}; put it there{hint}, or mend `datasets` in the configuration")
    if place.is_dir():
        below = _frames_and_videos(place) if isinstance(source, ClipSource) else _images(place)
        yield {path: below[path] for path in _taken(source, place, below)}
    elif not is_image(place) and is_archive(place):
        try:
            with entries(place) as there:
                inside = {str(PurePosixPath(e.name)): e for e in there if is_image(e.name)}
                yield {path: Member(place, inside[path]) for path in _taken(source, place, inside)}
        except Refused as e:
            raise UserError(f"{place}: {e}; replace the archive, or leave the member out by `omit`") from e
    else:
        yield dict.fromkeys(_taken(source, place, [place.name]), place)


def place_of(source: Source, assets: Path) -> Path:
    """The file or folder of a source."""
    return assets / source.asset if source.asset else Path(source.origin)


def photos(place: Path, found: dict[str, File]) -> dict[str, File]:
    """Images by the name of their item, which is the stem of the file. UserError names two that share one."""
    return _named(place, ((PurePosixPath(path).stem, path, file) for path, file in found.items()))


def clips(place: Path, found: dict[str, File]) -> dict[str, Clip]:
    """Clips by the name of their item: videos by their stem, the images of one directory by its last component.

    Images at the top of an archive are one clip of the archive's name. UserError names two clips that share a name,
    and a folder without images.
    """
    frames: dict[str, list[File]] = {}
    whole = []
    for path in sorted(found, key=_by_number):
        file, (directory, _, name) = found[path], path.rpartition("/")
        if not name:
            raise UserError(f"{file}: no images in this folder; leave it out by `omit: [{path!r}]`, or fill it")
        if is_image(path):
            frames.setdefault(directory, []).append(file)
        else:
            assert isinstance(file, Path)
            whole.append((PurePosixPath(path).stem, path, Clip(str(file), file)))
    apart = [
        (PurePosixPath(directory).name or _stem(place), directory, Clip(str(place / directory), images))
        for directory, images in frames.items()
    ]
    return _named(place, sorted(whole + apart, key=lambda clip: clip[1]))


def _images(folder: Path) -> dict[str, Path]:
    return {p.name: p for p in sorted(folder.iterdir()) if is_image(p)}


def _frames_and_videos(folder: Path) -> dict[str, Path]:
    """Images of the folders in a folder, and videos beside these; a folder that is empty stands for itself."""
    found = {}
    for p in sorted(folder.iterdir()):
        if p.is_dir():
            found |= {f"{p.name}/{name}": image for name, image in _images(p).items()} or {f"{p.name}/": p}
        elif p.suffix.lower() in VIDEOS:
            found[p.name] = p
    return found


def _taken(source: Source, place: Path, paths: Collection[str]) -> list[str]:
    """Those of the paths that fit one of `only`, if there are any, and none of `omit`."""
    if not paths:
        what = "videos and no folders of frames" if place.is_dir() and isinstance(source, ClipSource) else "images"
        raise UserError(f"{place}: no {what} in it ({', '.join(sorted(IMAGES))}); mend `datasets` in the configuration")
    taken = [path for path in paths if _fits(path, source.only or ["*"]) and not _fits(path, source.omit)]
    if not taken:
        shown = ", ".join(sorted(paths)[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
        raise UserError(f"{place}: only {source.only}, omit {source.omit} leave nothing of {shown}; mend the patterns")
    return taken


def _fits(path: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(normal(path), normal(pattern)) for pattern in patterns)


def _named(place: Path, items: Iterable[tuple[str, str, T]]) -> dict[str, T]:
    """Name, path and content of items, by name. UserError names two that share one, and a name that is no text."""
    paths: dict[str, str] = {}
    named = {}
    for name, path, content in items:
        name = normal(name)
        if name != name.encode(errors="replace").decode():
            raise UserError(f"{place}: {path!a} is not a name in UTF-8; rename it")
        if name in named:
            raise UserError(
                f"{place}: {paths[name]} and {path} would both be {name!r}; leave one out by `omit`, or rename it"
            )
        paths[name], named[name] = path, content
    return named


def normal(name: str) -> str:
    """The form of a name (NFC) in which a letter with its accent is one character. macOS writes files in the other."""
    return unicodedata.normalize("NFC", name)


def _by_number(path: str) -> list[tuple[int, str]]:
    """A key that sorts frame 2 before frame 10, however they are padded."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]


def _stem(archive: Path) -> str:
    """The name of an archive without .zip, .tar.gz and the like."""
    while archive.suffix.lower() in ARCHIVES:
        archive = archive.with_suffix("")
    return archive.name
