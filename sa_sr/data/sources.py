"""The images and videos of a source, wherever they lie, and the items that they make up."""

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from sa_sr.config import ClipSource, Source
from sa_sr.data.archives import ARCHIVES, Member, entries, is_archive
from sa_sr.data.images import IMAGES, File, is_image
from sa_sr.data.video import VIDEOS
from sa_sr.errors import Refused, UserError

T = TypeVar("T")

log = logging.getLogger(__name__)

JUNK = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information"}
"""What systems leave beside pictures, in small letters; other such names begin with a dot."""
LONGEST = 18
"""Digits of the longest number that can count frames."""


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
    What is of no kind that is read is named in one warning. Raises UserError where the source is missing, damaged or
    not safe to read, where an archive has two members of one name, and where nothing is left.
    """
    place = place_of(source, assets)
    if not (place.is_dir() if source.folder else place.is_file()):
        hint = f" ({source.note})" if source.note else ""
        kind = "asset" if source.asset else "folder" if source.folder else "file"
        raise UserError(f"{place}: no such {kind}; put it there{hint}, or mend `datasets` in the configuration")
    if place.is_dir():
        below, others = _below(source, place)
        taken = _taken(source, place, below, others)
        for path in taken:
            if not path.endswith("/") and not below[path].is_file():
                raise UserError(
                    f"{below[path]}: a pipe, a device or a link that leads nowhere; put a file there, or leave it out "
                    "by `omit`"
                )
        yield {path: below[path] for path in taken}
    elif not is_image(place) and is_archive(place):
        try:
            with entries(place) as there:
                own = [(str(PurePosixPath(e.name)), e) for e in there if _is_own(e.name)]
                inside = {path: e for path, e in own if is_image(path)}
                others = [path for path, e in own if e.plain and path not in inside]
                taken = _taken(source, place, inside, others)
                count = Counter(path for path, _ in own)
                if twice := [path for path in taken if count[path] > 1]:
                    raise Refused(f"has {count[twice[0]]} members of the name {twice[0]!r}")
                yield {path: Member(place, inside[path]) for path in taken}
        except Refused as e:
            raise UserError(f"{place}: {e}; replace the archive, or leave the member out by `omit`") from e
    else:
        yield dict.fromkeys(_taken(source, place, [place.name]), place)


def chosen(source: Source) -> dict[str, Path]:
    """What `only` and `omit` leave of the folder of a source, by the path in it; nothing where there is no folder."""
    place = Path(source.origin)
    below = _below(source, place)[0] if place.is_dir() else {}
    return {path: file for path, file in below.items() if _wanted(source, path)}


def place_of(source: Source, assets: Path) -> Path:
    """The file or folder of a source."""
    return assets / source.asset if source.asset else Path(source.origin)


def photos(place: Path, found: dict[str, File]) -> dict[str, File]:
    """Images by the name of their item, which is the stem of the file. UserError names two that share one."""
    return _named(place, ((PurePosixPath(path).stem, path, file) for path, file in found.items()))


def clips(place: Path, found: dict[str, File]) -> dict[str, Clip]:
    """Clips by the name of their item: videos by their stem, the images of one directory by its last component.

    Images at the top of an archive are one clip of the archive's name. A warning tells where numbers are missing among
    its frames. UserError names two clips that share a name, and a folder without images.
    """
    frames: dict[str, list[File]] = {}
    whole = []
    ordered = sorted(found, key=lambda path: (_by_number(path), path))
    _tell_gaps(place, [path for path in ordered if is_image(path)])
    for path in ordered:
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


def _below(source: Source, folder: Path) -> tuple[dict[str, Path], list[str]]:
    """What lies in a folder by its path there: what a source of its kind reads, and the names of all else.

    That is images, or for clips videos and the images of sub-folders; a sub-folder without images stands for itself.
    """
    read: dict[str, Path] = {}
    others = []
    for p in _own(folder):
        if p.is_dir() and isinstance(source, ClipSource):
            images = {f"{p.name}/{frame.name}": frame for frame in _own(p)}
            others += [path for path in images if not is_image(path)]
            read |= {path: frame for path, frame in images.items() if is_image(path)} or {f"{p.name}/": p}
        elif not p.is_dir() and (p.suffix.lower() in VIDEOS if isinstance(source, ClipSource) else is_image(p)):
            read[p.name] = p
        else:
            others.append(f"{p.name}/" if p.is_dir() else p.name)
    return read, others


def _own(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if _is_own(p.name)]


def _is_own(path: str) -> bool:
    """Whether somebody put a file there, and no system did; hidden is what a user wants no program to take."""
    parts = PurePosixPath(path).parts
    return not any((part[:1] == "." and part[:2] != "..") or part.lower() in JUNK for part in parts)


def _taken(source: Source, place: Path, paths: Collection[str], others: Collection[str] = ()) -> list[str]:
    """Those of the paths that are wanted. others: what lies beside them, of which what is wanted is told to be no use.

    Raises UserError where nothing is left.
    """
    if left := [path for path in others if _wanted(source, path)]:
        kinds = "videos and folders of images" if place.is_dir() and isinstance(source, ClipSource) else "images"
        log.warning("%s: left out, for only %s of known suffixes are taken: %s", place, kinds, _few(left))
    if not paths:
        what = "videos and no folders of frames" if place.is_dir() and isinstance(source, ClipSource) else "images"
        raise UserError(f"{place}: no {what} in it ({', '.join(sorted(IMAGES))}); mend `datasets` in the configuration")
    taken = [path for path in paths if _wanted(source, path)]
    if not taken:
        shown = _few(sorted(paths))
        raise UserError(f"{place}: only {source.only}, omit {source.omit} leave nothing of {shown}; mend the patterns")
    return taken


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _wanted(source: Source, path: str) -> bool:
    """Whether a path fits one of `only`, if there are any, and none of `omit`."""
    return _fits(path, source.only or ["*"]) and not _fits(path, source.omit)


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
        if name.strip(".") == "":
            raise UserError(f"{place}: {path!r} has no name before its suffix; rename it")
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
    parts = ((part.lstrip("0") if part.isdecimal() else "", part) for part in re.split(r"(\d+)", path))
    return [(len(digits), digits) if part.isdecimal() else (-1, part) for digits, part in parts]


def _tell_gaps(place: Path, paths: list[str]) -> None:
    """Warn, for each directory of frames in their order, where numbers are missing that its other frames lead to."""
    numbers: dict[tuple[str, ...], list[tuple[int, str]]] = {}
    for path in paths:
        if count := re.fullmatch(rf"(.*?)(\d{{1,{LONGEST}}})(\D*)", path):
            numbers.setdefault((count[1], count[3]), []).append((int(count[2]), path))
    for counted in numbers.values():
        steps = [(b - a, earlier, later) for (a, earlier), (b, later) in pairwise(counted)]
        usual = min((step for step, *_ in steps if step), default=0)
        if gaps := [f"{earlier} and {later}" for step, earlier, later in steps if step >= 2 * usual > 0]:
            log.warning(
                "%s: numbers are missing between %s, which are taken as neighbours; if they are not, put what follows "
                "a gap into a folder of its own",
                place,
                _few(gaps),
            )


def _stem(archive: Path) -> str:
    """The name of an archive without .zip, .tar.gz and the like."""
    while archive.suffix.lower() in ARCHIVES:
        archive = archive.with_suffix("")
    return archive.name
