"""Whether a picture to learn from is one to test on, under whatever names."""

import zipfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from sa_sr.check.assets import ASSETS
from sa_sr.config import ClipSource, Config, Source
from sa_sr.data.archives import Member, is_archive
from sa_sr.data.images import File
from sa_sr.data.sources import chosen, files, place_of
from sa_sr.errors import UserError

BLOCK = 1 << 20
"""Bytes that are compared at once."""


def problems(config: Config) -> Iterator[str]:
    """A line for each data set to test on that has files of a model's data set to train on, equal byte by byte.

    Sources that take a part of their pictures or videos are passed over, for two of them may take different parts, and
    so are tar archives, of which each picture costs a reading from the start. Only files of equal length are read.
    """
    pairs = {(m.train_set, test): None for m in config.chosen_models.values() for test in m.test_sets}
    for train, test in pairs:
        twice = sorted(set(_equal(config, train, test)))
        if twice:
            more = f", and {len(twice) - 1} more pairs are equal" if len(twice) > 1 else ""
            yield (
                f"datasets.{test}: {twice[0][1]} is the same file as {twice[0][0]} of {train}{more}; what was learnt "
                "can't be tested, so leave it out of one of them by `omit`"
            )


def _equal(config: Config, train: str, test: str) -> Iterator[tuple[str, str]]:
    """Names of files of equal content, the first to train on and the second to test on."""
    for a in config.datasets[train].sources:
        for b in config.datasets[test].sources:
            if _whole(a) and _whole(b):
                yield from _between(a, b)


def _whole(source: Source) -> bool:
    """Whether all of every picture is taken."""
    return source.crop is None and not (isinstance(source, ClipSource) and (source.scenes or source.ends))


def _between(a: Source, b: Source) -> Iterator[tuple[str, str]]:
    try:
        with _files(a) as ours, _files(b) as theirs:
            lengths: dict[int, list[File]] = defaultdict(list)
            for file in ours:
                lengths[_length(file)].append(file)
            for file in theirs:
                yield from ((str(one), str(file)) for one in lengths.get(_length(file), ()) if _same(one, file))
    except (UserError, OSError):
        return  # told elsewhere


@contextmanager
def _files(source: Source) -> Iterator[list[File]]:
    place = place_of(source, ASSETS)
    if source.folder:
        yield [file for file in chosen(source).values() if file.is_file()]
    elif place.is_file() and (zipfile.is_zipfile(place) or not is_archive(place)):
        with files(source, ASSETS) as found:
            yield list(found.values())
    else:
        yield []


def _length(file: File) -> int:
    return file.entry.size if isinstance(file, Member) else file.stat().st_size


def _same(a: File, b: File) -> bool:
    if str(a) == str(b):
        return True
    with a.open("rb") as one, b.open("rb") as other:
        while (block := one.read(BLOCK)) == other.read(BLOCK):
            if not block:
                return True
    return False
