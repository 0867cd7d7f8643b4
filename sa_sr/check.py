"""Check an experiment before its first GPU hour: what can be built, what is lacking, what it will take.

Nothing is downloaded, written or trained. Paths are those of the workflow, relative to the folder that it runs in.
"""

import math
import os
import shutil
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import skimage
import torch
import yaml
from lightning_fabric import Fabric
from PIL import Image
from torch import Tensor, nn

from sa_sr.config import ClipSource, Config, PretrainSpec, Source, load
from sa_sr.data.archives import DAMAGED, Member
from sa_sr.data.assets import Asset
from sa_sr.data.degrade import SCALE
from sa_sr.data.presence import lacking, used
from sa_sr.data.scenes import scenes_of
from sa_sr.data.sources import Clip, clips, files, photos, place_of
from sa_sr.data.video import VIDEOS, File, files_below, open_video, read_image
from sa_sr.edges import extract
from sa_sr.errors import UserError
from sa_sr.models.vgg import CONVS, WIDTHS, VGG19Features
from sa_sr.plugins import find
from sa_sr.training.step import Batch, GanStage, PixelStage
from sa_sr.training.trainer import initial_generator, launch

ASSETS = Path("results/assets")
PHOTO = Path(skimage.__path__[0]) / "data/astronaut.png"
CORNER = (slice(0, 64), slice(180, 244))
"""Rows and columns of the photo that extractors are tried on: a face, a flag and what lies between them."""
FLOAT = 4
"""Bytes of a weight."""
WIDTH = 110
"""Columns of the text."""


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

# Bytes of pixels for each byte of a file, likewise: over the demo's four PNG, its JPEG, and its two videos. Archives
# count as PNG, which is what the known ones hold.
PNG, JPEG, VIDEO = 1.4, 8.2, 160.0
FRAME_RATE = 60
"""Frames a second of a video that is not there: a rate that few exceed."""


@dataclass(frozen=True)
class Part:
    """One part of the check, as it is printed.

    rows: cells of a table, aligned as `align` says ("<" or ">" for each column); notes: sentences below it; problems:
    what keeps the experiment from running, each in a few words.
    """

    title: str
    align: str
    rows: list[tuple[str, ...]]
    notes: list[str]
    problems: list[str]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        lines = [
            "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, self.align, widths, strict=True))
            for row in self.rows
        ]
        wrap = partial(textwrap.wrap, width=WIDTH, initial_indent="  ", subsequent_indent="    ")
        told = [line for note in self.notes for line in wrap(note, break_long_words=False, break_on_hyphens=False)]
        return "\n".join([self.title, *(f"  {line.rstrip()}" for line in lines), *told])


def check(values: dict[str, Any], where: str, measure: bool = False) -> Iterator[Part]:
    """Everything that can be told of an experiment in a few seconds, part by part.

    values: the parsed YAML; where: its file, for messages; measure: time the training steps on a CPU too. Raises
    UserError where the configuration is not valid; all else that is wrong is a problem of its part.
    """
    config = load(values, where)
    yield Part("Configuration", "<", [(f"{config.name}: {where} is valid",)], [], [])
    built = {name: build(config, name) for name in config.chosen_models}
    yield networks(built)
    yield extractors(config)
    found = {name: [look(config, source) for source in config.datasets[name].sources] for name in used(config)}
    yield data(config, found)
    yield disk(config, built, found)
    yield plan(config)
    yield hours(config, where, measure)


def parse(file: Path) -> dict[str, Any]:
    """The content of a YAML file. UserError where it is no YAML."""
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as e:
        raise UserError(f"{file}: not a readable YAML file ({e})") from e


def verdict(parts: list[Part]) -> str:
    """The last line: "ready", or what keeps the experiment from running."""
    problems = [problem for part in parts for problem in part.problems]
    return f"not ready: {'; '.join(problems)}" if problems else "ready"


def size(count: float) -> str:
    """Bytes, in the unit that fits, with one decimal."""
    units = ["B", "kB", "MB", "GB", "TB"]
    power = min(int(math.log(max(count, 1), 1000)), len(units) - 1)
    return f"{count / 1000**power:.1f} {units[power]}" if power else f"{count:.0f} B"


# ---- networks


@dataclass(frozen=True)
class Network:
    """A network of the configured size: its class, its number of parameters, and the shapes it takes and gives."""

    name: str
    parameters: int
    takes: tuple[int, ...]
    gives: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """The generator and the discriminator of a model."""

    generator: Network
    discriminator: Network


def build(config: Config, model: str) -> Pair | UserError:
    """Both networks of a model, built and run on a batch without memory or time (torch's meta device), or what is wrong.

    A batch is that of the GAN stage: the generator has to give the HR patches' shape, the discriminator (N, 1).
    """
    m, recipe = config.model(model), find("models", model)
    lq, hr = shapes(recipe.window, m.train.batch, m.patch)
    try:
        with torch.device("meta"):
            generator = _tried(recipe.generator(**m.generator.model_dump(mode="json")), lq, hr)
            discriminator = recipe.discriminator(**m.discriminator.model_dump(mode="json"), patch=m.patch)
            return Pair(generator, _tried(discriminator, hr, (m.train.batch, 1)))
    except (UserError, ValueError, TypeError, RuntimeError) as e:  # what a network that can't be built or run raises
        return UserError(f"{model}: {e}")


def shapes(window: int, batch: int, patch: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What a generator takes, LR patches or `window` bicubic frames, and the HR patches that it gives."""
    hr = (batch, 3, patch, patch)
    return ((batch, 3, patch // SCALE, patch // SCALE) if window == 1 else (batch, window, *hr[1:])), hr


def _tried(network: nn.Module, takes: tuple[int, ...], wanted: tuple[int, ...]) -> Network:
    gives = tuple(network(torch.empty(takes)).shape)
    name = type(network).__name__
    if gives != wanted:
        raise UserError(f"{name} gives {_times(gives)}, expected {_times(wanted)}")
    return Network(name, sum(parameter.numel() for parameter in network.parameters()), takes, gives)


def networks(built: dict[str, Pair | UserError]) -> Part:
    """Sizes and shapes of all networks."""
    rows, problems = [("", "", "parameters", "takes", "gives")], []
    for model, pair in built.items():
        if isinstance(pair, UserError):
            problems.append(str(pair))
            continue
        for label, n in ((model, pair.generator), ("", pair.discriminator)):
            rows.append((label, n.name, f"{n.parameters:,}", _times(n.takes), _times(n.gives)))
    return Part("Networks", "<<><<", rows, problems, problems)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


# ---- extractors


def extractors(config: Config) -> Part:
    """Each extractor on a piece of a photo."""
    image = np.ascontiguousarray(read_image(PHOTO)[CORNER])
    rows, problems = [("", "mean of W", "channels")], []
    for name, parameters in config.extractors.items():
        try:
            weight = extract(image, name, **parameters)
        except Exception as e:  # an extractor is anybody's code, and may raise anything
            problems.append(f"{name}: {e or type(e).__name__}")
        else:
            rows.append((name, f"{weight.mean():.4f}", str(weight.shape[2])))
    return Part(f"Extractors, on {image.shape[1]} x {image.shape[0]} pixels of a photo", "<>>", rows, problems, problems)


# ---- data


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
    area = source.reduce**2
    if source.asset:
        length = config.asset(source.asset).bytes
        pixels = length and length * _pixels_per_byte(source.asset) * _share(config, source) / area
        return Look(source, False, pixels, "from the bytes of the download")
    e = source.expect
    if e.width and e.height and e.seconds:
        pixels = 3 * e.width * e.height * FRAME_RATE * _seconds(source, e.seconds) / area
        return Look(source, False, pixels, f"from `expect` with {FRAME_RATE} frames a second")
    return Look(source, False, None)


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
    detect = source.scenes == "detect"
    scenes = None if detect else scenes_of(source, clip)
    most = None if detect else source.max_frames  # of each scene: of a whole video it would be too few
    taken = sum(len(range(first, end, source.stride)[:most]) for first, end in scenes or [(0, count)])
    return taken * _fitted(source, width, height)


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


def data(config: Config, found: dict[str, list[Look]]) -> Part:
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
    for label, asset in zip(["weights"] + [""] * len(rows), _weights(config), strict=False):
        rows.append((label, asset, *_state(config, [asset], told)))
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


# ---- disk


def edge_files(config: Config) -> set[tuple[str, str]]:
    """Data set and extractor of every file of edge maps."""
    pairs = set()
    for m in config.chosen_models.values():
        # pretraining always reads those of `none`; a run with `edge_scope: crop` makes its maps from its patches
        read = ["none", *(config.extractors if m.loss.edge_scope == "image" else [])]
        pairs |= {(name, extractor) for name in (m.train_set, m.val_set) for extractor in read}
    shown = {figure.dataset for figure in config.figures.edge_maps.values()}
    return pairs | {(name, extractor) for name in shown for extractor in config.extractors if extractor != "none"}


def image_files(config: Config) -> set[tuple[str, str]]:
    """Method and data set of every file of enlarged pictures: bicubic and all runs on their test sets."""
    tested = {(run.name, name) for run in config.runs for name in config.model(run.model).test_sets}
    return tested | {("bicubic", name) for _, name in tested}


def disk(config: Config, built: dict[str, Pair | UserError], found: dict[str, list[Look]]) -> Part:
    """An estimate of what will be written, against the room that there is."""
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


# ---- plan


def jobs(config: Config) -> dict[str, int]:
    """Jobs of each rule that Snakemake plans where nothing is done yet, from the configuration alone."""
    pretrainings, images = len(config.chosen_models) * len(config.seeds), image_files(config)
    tested = sum(method == "bicubic" for method, _ in images)
    planned = {
        "download": len(needed(config)),
        "prepare": len(used(config)),
        "all_data": 1,
        "extract_edges": len(edge_files(config)),
        "resolve_pretrain": pretrainings,
        "pretrain": pretrainings,
        "calibrate": len(config.calibrated),
        "resolve": len(config.runs),
        "train": len(config.runs),
        "bicubic": tested,
        "super_resolve": len(images) - tested,
        "evaluate": len(images),
        "aggregate": 1,
        "table": len(config.tables),
        "shares": int(bool(config.calibrated)),
        "edge_maps": len(config.figures.edge_maps),
        "comparison": len(config.figures.comparisons),
        "curves": len(config.chosen_models),
        "all": 1,
    }
    return {rule: count for rule, count in planned.items() if count}


def plan(config: Config) -> Part:
    """The jobs of each rule and of all."""
    planned = jobs(config)
    rows = [(rule, str(count)) for rule, count in planned.items()]
    return Part("Plan, jobs", "<>", [*rows, ("total", str(sum(planned.values())))], [], [])


# ---- hours


@dataclass(frozen=True)
class Effort:
    """How many steps are timed, after how many that are not."""

    warm_up: int
    steps: int


ON_GPU, ON_CPU = Effort(3, 10), Effort(1, 1)


@dataclass(frozen=True)
class Rate:
    """A stage of a model: steps of each of its trainings, how many trainings there are, and seconds of a step."""

    model: str
    stage: str
    steps: int
    trainings: int
    seconds: float

    @property
    def hours(self) -> float:
        return self.steps * self.trainings * self.seconds / 3600


def rates(config: Config, model: str, effort: Effort) -> list[Rate]:
    """Time the stages of one model that have steps, at full batch on random patches and with random feature weights.

    Everything runs on one thread, as the workflow does it where there is no GPU. Raises RuntimeError where a batch does
    not fit into memory.
    """
    run = next(run for run in config.runs if run.model == model)
    runs, before, spec = len(config.extractors) * len(config.seeds), config.pretrain_spec(model, run.seed), None
    spec = config.train_spec(run).model_copy(update={"beta2": 1.0})  # `auto` has no value yet
    recipe, timed = find("models", model), []
    if before.optimise.steps:
        fabric = launch(before, threads=1)
        stage = PixelStage(fabric, initial_generator(recipe, before, None), before.optimise, recipe.pretrain)
        seconds = _seconds_per_step(stage, _batch(fabric, recipe.window, before), effort)
        timed.append(Rate(model, "pretrain", before.optimise.steps, len(config.seeds), seconds))
    if spec.optimise.steps:
        fabric = launch(spec, threads=1)
        discriminator = recipe.discriminator(**spec.discriminator, patch=spec.patch)
        features = fabric.setup_module(VGG19Features(random_vgg19(), spec.layer, spec.feature_scale))
        stage = GanStage(fabric, spec, initial_generator(recipe, spec, None), discriminator, features)
        seconds = _seconds_per_step(stage, _batch(fabric, recipe.window, spec), effort)
        timed.append(Rate(model, "train", spec.optimise.steps, runs, seconds))
    return timed


def random_vgg19() -> dict[str, Tensor]:
    """VGG19's convolutions with random weights that keep the size of what passes through them."""
    state, width = {}, 3
    for conv, index in CONVS.items():
        wider = WIDTHS[int(conv[4]) - 1]
        state[f"{index}.weight"] = nn.init.kaiming_normal_(torch.empty(wider, width, 3, 3))
        state[f"{index}.bias"] = torch.zeros(wider)
        width = wider
    return state


def _batch(fabric: Fabric, window: int, spec: PretrainSpec) -> Batch:
    lq, hr = shapes(window, spec.optimise.batch, spec.patch)
    return tuple(torch.rand(shape, device=fabric.device) for shape in (lq, hr, hr))  # type: ignore[return-value]


def _seconds_per_step(stage: PixelStage | GanStage, batch: Batch, effort: Effort) -> float:
    for _ in range(effort.warm_up):
        stage.step(batch)
    start = _now()
    for _ in range(effort.steps):
        stage.step(batch)
    return (_now() - start) / effort.steps


def _now() -> float:
    """Seconds, when all that a GPU was told to do is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def hours(config: Config, where: str, measure: bool) -> Part:
    """What all trainings take, at the rate that is measured here."""
    device = "GPU" if torch.cuda.is_available() else "CPU"
    if device == "CPU" and not measure:
        hint = (
            f"Not measured, for there is no GPU here. Run `sa-sr check {where}` on the machine that will train, or add "
            "--measure for the hours of this CPU."
        )
        return Part("GPU hours", "", [], [hint], [])
    rows, total, problems = [("", "stage", "steps", "trainings", "s/step", "hours")], 0.0, []
    for model in config.chosen_models:
        try:
            timed = rates(config, model, ON_GPU if device == "GPU" else ON_CPU)
        except (UserError, ValueError, TypeError, RuntimeError) as e:  # as in `build`, and memory that runs out
            problems.append(f"{model} can't be trained here: {str(e).partition(chr(10))[0]}")
            continue
        for r in timed:
            rows.append((r.model, r.stage, f"{r.steps:,}", str(r.trainings), f"{r.seconds:.3g}", _about(r.hours)))
        whole = sum(r.hours for r in timed)
        rows.append((model, "both", "", "", "", _about(whole)))
        total += whole
    rows.append(("total", "", "", "", "", _about(total)))
    note = "Steps of the networks alone: reading patches, validating and super-resolving come on top."
    return Part(f"{device} hours", "<<>>>>", rows, [note, *problems], problems)


def _about(hours: float) -> str:
    return f"about {hours:.1f}" if hours >= 0.05 else "under 0.1"
