"""How much an experiment will write, and whether there is room for it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sa_sr.check.assets import ASSETS, needed
from sa_sr.check.networks import Pair
from sa_sr.check.part import Part, counted, size
from sa_sr.check.pixels import Look
from sa_sr.check.plan import edge_files
from sa_sr.config import Config
from sa_sr.errors import UserError


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
    "images": Stored(data=0.77, images=0.67, edges={"none": 0.0039, "local_variance": 0.48, "canny": 0.033}),
    "clips": Stored(data=1.59, images=0.72, edges={"none": 0.003, "local_variance": 0.70, "canny": 0.053}),
}
DENSE = "local_variance"
"""An extractor of one's own is taken to need as much as this one."""


@dataclass(frozen=True)
class Kind:
    """Files of one kind, with the bytes that each is estimated to have; most: whether the estimate is a limit."""

    what: str
    files: dict[str, float]
    most: bool = False

    @property
    def there(self) -> int:
        """Bytes of the files that are there."""
        return sum(Path(file).stat().st_size for file in self.files if Path(file).is_file())

    @property
    def missing(self) -> dict[str, float]:
        """The other files."""
        return {file: count for file, count in self.files.items() if not Path(file).is_file()}

    @property
    def about(self) -> str:
        return "at most about" if self.most else "about"

    @property
    def row(self) -> tuple[str, str]:
        """What all files come to: those that are there have the size that they have."""
        return self.what, f"{self.about} {size(self.there + sum(self.missing.values()))}"


def part(config: Config, built: dict[str, Pair | UserError], found: dict[str, list[Look]]) -> Part:
    """What the files of an experiment take, against the room for those that are missing."""
    assets = needed(config)
    downloads = Kind("downloads", {f"{ASSETS}/{name}": asset.bytes or 0 for name, asset in assets.items()})
    kinds = [downloads, *picture_files(config, found), *training_files(config, built)]
    every = {file: count for kind in kinds for file, count in kind.files.items()}
    whole = Kind("all", every, any(kind.most for kind in kinds))
    wanted = {"results": 0.0, "state": 0.0}
    for file, count in whole.missing.items():
        wanted[file.partition("/")[0]] += count
    room = _rooms(wanted)
    rows = [*(kind.row for kind in kinds), whole.row, ("of it there already", size(whole.there))]
    rows += [(f"free for {_folders(r.folders)}", size(r.free)) for r in room]
    problems = [
        f"disk: {_folders(r.folders)} need {whole.about} {size(r.wanted)} more, {size(r.free)} are free"
        for r in room
        if r.wanted > r.free
    ]
    sizeless = sum(assets[Path(file).name].bytes is None for file in downloads.missing)
    return Part("Disk", "<>", rows, [*_how(found), *_not_counted(sizeless, found), *problems], problems)


def picture_files(config: Config, found: dict[str, list[Look]]) -> list[Kind]:
    """All that is made of the data sets' pictures."""
    hr = {name: sum(one.hr or 0 for one in looks) for name, looks in found.items()}
    limits = {name for name, looks in found.items() if any(one.most for one in looks)}
    stored, out = {name: STORED[config.datasets[name].kind] for name in found}, f"results/{config.name}"
    makers = {name: variant.extractor for name, variant in config.edges.items()}
    edges = [(d, e, stored[d].edges.get(makers[e], stored[d].edges[DENSE])) for d, e in edge_files(config)]
    files = {
        "data files": [(f"{out}/data/{d}.h5", d, stored[d].data) for d in found],
        "edge maps": [(f"{out}/edges/{d}/{e}.h5", d, factor) for d, e, factor in edges],
        "enlarged pictures": [
            (f"{out}/images/{m}/{d}.h5", d, stored[d].images) for d, methods in config.tested.items() for m in methods
        ],
    }
    return [
        Kind(what, {file: factor * hr[d] for file, d, factor in some}, any(d in limits for _, d, _ in some))
        for what, some in files.items()
    ]


def training_files(config: Config, built: dict[str, Pair | UserError]) -> tuple[Kind, Kind]:
    """The weights that all trainings give, and the states from which they resume.

    A state holds the networks with Adam's two moments, the best generator so far, and a moving average if there is one.
    A training that is under way keeps one state more, which is not counted.
    """
    out, state = f"results/{config.name}", f"state/{config.name}"
    weights, states = {}, {}
    for run in config.runs:
        pair, m = built[run.model], config.model(run.model)
        if isinstance(pair, UserError):
            continue
        pretrained, g, d = f"{run.model}-s{run.seed}", pair.generator.bytes, pair.discriminator.bytes
        weights[f"{out}/pretrain/{pretrained}/model.safetensors"] = g
        weights[f"{out}/train/{run.name}/model.safetensors"] = g
        states[f"{state}/pretrain-{pretrained}/last.pt"] = 3 * g + g + g * bool(m.pretrain.ema)
        states[f"{state}/{run.name}/last.pt"] = 3 * (g + d) + g + g * bool(m.train.ema)
    return Kind("weights", weights), Kind("training states", states)


def _how(found: dict[str, list[Look]]) -> list[str]:
    """How the pictures of which data sets were estimated."""
    guesses: dict[str, list[str]] = {}
    for name, looks in found.items():
        for guess in dict.fromkeys(one.guess for one in looks if one.guess and one.hr is not None):
            guesses.setdefault(guess, []).append(name)
    return [f"Pictures estimated {guess}: {', '.join(names)}." for guess, names in guesses.items()]


def _not_counted(sizeless: int, found: dict[str, list[Look]]) -> list[str]:
    """What the estimate leaves out."""
    unknown = [name for name, looks in found.items() if any(one.hr is None for one in looks)]
    notes = [f"Not counted, for their pictures are not known: {', '.join(unknown)}."] if unknown else []
    notes += [f"Not counted: {counted(sizeless, 'download')} whose size is not published."] if sizeless else []
    return [*notes, f"Not counted: logs, tables, figures, and archives of packages ({ASSETS}/.packages)."]


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
