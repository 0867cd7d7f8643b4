"""How much an experiment will write, and whether there is room for it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sa_sr.check.data import ASSETS, Look, needed
from sa_sr.check.networks import Pair
from sa_sr.check.part import Part, size
from sa_sr.check.plan import edge_files, image_files
from sa_sr.config import Config
from sa_sr.data.assets import Asset
from sa_sr.errors import UserError

FLOAT = 4
"""Bytes of a weight."""


@dataclass(frozen=True)
class Stored:
    """What the files of a kind of data set take on disk, in bytes for each byte of HR pixels.

    data: HR, LR and for clips the bicubic frames; images: those of one method; edges: maps by extractor.
    """

    data: float
    images: float
    edges: dict[str, float]


# Measured on the files in results/demo/: the sizes of all data/*.h5, edges/*/*.h5 and images/*/*.h5 of a kind, divided
# by the bytes of the arrays hr/* that they belong to. tests/unit/test_check.py measures again where the demo has run.
STORED = {
    "images": Stored(data=0.77, images=0.67, edges={"none": 0.007, "local_variance": 0.48, "canny": 0.033}),
    "clips": Stored(data=1.59, images=0.72, edges={"none": 0.003, "local_variance": 0.70, "canny": 0.053}),
}
DENSE = "local_variance"
"""An extractor of one's own is taken to need as much as this one."""


def part(config: Config, built: dict[str, Pair | UserError], found: dict[str, list[Look]]) -> Part:
    """An estimate of what will be written, against the room that there is.

    Left out as small or unknown: logs, tables and figures, and the archives in results/assets/.packages which some of
    the downloads come out of.
    """
    hr = {name: sum(one.hr or 0 for one in looks) for name, looks in found.items()}
    stored = {name: STORED[config.datasets[name].kind] for name in found}
    missing = [asset for name, asset in needed(config).items() if not (ASSETS / name).is_file()]
    weights, states = _training_bytes(config, built)
    sizes = {
        "downloads": sum(asset.bytes or 0 for asset in missing),
        "data files": sum(stored[name].data * hr[name] for name in found),
        "edge maps": sum(stored[d].edges.get(e, stored[d].edges[DENSE]) * hr[d] for d, e in edge_files(config)),
        "enlarged pictures": sum(stored[name].images * hr[name] for _, name in image_files(config)),
        "weights": weights,
        "training states": states,
    }
    results, state = _bytes_below(f"results/{config.name}"), _bytes_below(f"state/{config.name}")
    written = sum(sizes.values()) - sizes["downloads"] - states
    room = _rooms({"results": sizes["downloads"] + max(0, written - results), "state": max(0, states - state)})
    rows = [(what, f"about {size(count)}") for what, count in sizes.items()]
    rows += [("all", f"about {size(sum(sizes.values()))}"), ("of it there already", size(results + state))]
    rows += [(f"free for {_folders(r.folders)}", size(r.free)) for r in room]
    problems = [
        f"disk: {_folders(r.folders)} need about {size(r.wanted)} more, {size(r.free)} are free"
        for r in room
        if r.wanted > r.free
    ]
    return Part("Disk", "<>", rows, [*_how(found), *_not_counted(missing, found), *problems], problems)


def _training_bytes(config: Config, built: dict[str, Pair | UserError]) -> tuple[float, float]:
    """Bytes of the weights that all trainings give, and of the states from which they resume.

    A state holds the networks with Adam's two moments, the best generator so far, and a moving average if there is one.
    """
    weights = states = 0
    for model, pair in built.items():
        if isinstance(pair, UserError):
            continue
        m, g, d = config.model(model), FLOAT * pair.generator.parameters, FLOAT * pair.discriminator.parameters
        pretrained, trained = len(config.seeds), len(config.extractors) * len(config.seeds)
        weights += g * (pretrained + trained)
        states += (3 * g + g + g * bool(m.pretrain.ema)) * pretrained
        states += (3 * (g + d) + g + g * bool(m.train.ema)) * trained
    return weights, states


def _how(found: dict[str, list[Look]]) -> list[str]:
    """How the pictures of which data sets were estimated."""
    guesses: dict[str, list[str]] = {}
    for name, looks in found.items():
        for guess in dict.fromkeys(one.guess for one in looks if one.guess and one.hr is not None):
            guesses.setdefault(guess, []).append(name)
    return [f"Pictures estimated {guess}: {', '.join(names)}." for guess, names in guesses.items()]


def _not_counted(missing: list[Asset], found: dict[str, list[Look]]) -> list[str]:
    """What the estimate leaves out."""
    unknown = [name for name, looks in found.items() if any(one.hr is None for one in looks)]
    sizeless = sum(asset.bytes is None for asset in missing)
    notes = [f"Not counted, for their pictures are not known: {', '.join(unknown)}."] if unknown else []
    return notes + ([f"Not counted: {sizeless} downloads whose size is not published."] if sizeless else [])


@dataclass(frozen=True)
class Room:
    """A file system: the folders that lie on it, the bytes that they will grow by, and those that are free."""

    folders: tuple[str, ...]
    wanted: float
    free: float


def _rooms(wanted: dict[str, float]) -> list[Room]:
    """The file systems of some folders, or of the current one for a folder that is yet to be made."""
    rooms: dict[int, Room] = {}
    for folder, count in wanted.items():
        place = folder if Path(folder).exists() else "."
        device = os.stat(place).st_dev
        other = rooms.get(device, Room((), 0, 0))
        rooms[device] = Room((*other.folders, folder), other.wanted + count, shutil.disk_usage(place).free)
    return list(rooms.values())


def _folders(names: tuple[str, ...]) -> str:
    return " and ".join(f"{name}/" for name in names)


def _bytes_below(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
