"""Which data and weights are there."""

from sa_sr.check.assets import ASSETS, weights
from sa_sr.check.part import Part, size
from sa_sr.check.pixels import Look
from sa_sr.config import Config, Source
from sa_sr.data.presence import lacking


def part(config: Config, found: dict[str, list[Look]], misfits: list[str]) -> Part:
    """What is there, what will be downloaded and what is missing.

    found: the sources of each data set; misfits: what is wrong with data and weights beyond single sources.
    """
    rows = []
    told: set[str] = set()
    for name, looks in found.items():
        groups: dict[tuple[bool, bool], list[Source]] = {}
        for one in looks:
            groups.setdefault((one.source.asset is not None, one.there), []).append(one.source)
        for (is_asset, there), sources in groups.items():
            places = list(dict.fromkeys(source.origin for source in sources))
            state = _state(config, places, told) if is_asset else ("there" if there else "missing", "")
            rows.append((name, _names(places), *state))
            name = ""
    for n, asset in enumerate(weights(config)):
        rows.append(("" if n else "weights", asset, *_state(config, [asset], told)))
    lines = lacking(config)
    wrong = [one.problem for looks in found.values() for one in looks if one.problem]
    wrong = [problem for problem in dict.fromkeys(wrong) if not any(line.startswith(problem) for line in lines)]
    short = [line.partition(" (data sets: ")[0] for line in lines]
    return Part("Data", "<<<>", rows, [*lines, *wrong, *misfits], [*short, *wrong, *misfits])


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
