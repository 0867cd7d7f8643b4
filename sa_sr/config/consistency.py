"""What no single key of a configuration can tell: names that refer to nothing, and tests on what was learnt from."""

import difflib
from collections import Counter
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path, PurePath
from shlex import quote
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from sa_sr.config.section import Name
from sa_sr.config.sweeps import BETA2, value_of, variant_name
from sa_sr.data.archives import ARCHIVES
from sa_sr.data.assets import known
from sa_sr.errors import UserError
from sa_sr.render.published import PUBLISHED

if TYPE_CHECKING:
    from sa_sr.config import Config, Source, Sweep


LONGEST = 100_000
"""Letters of what a job is told: a shell takes all as one argument, for which Linux has 131,072 bytes."""
RESERVED = {"assets": "the downloads", "reference": "the results that come along", "readme.md": "a page"}
"""What lies in results/ beside the results of configurations, by the name in small letters."""


def problems(config: "Config") -> Iterator[str]:
    """A line for each mistake, led by the path of its key."""
    found = False
    for part in (_name, _assets, _extractors, _models, _evaluation, _rendering, _sweeps, _leaks):
        for problem in part(config):
            found = True
            yield problem
    if not found:  # what is asked of a mistake may have no answer
        yield from _commands(config)


def _name(config: "Config") -> Iterator[str]:
    if config.name.lower() in RESERVED:
        yield f"name: results/{config.name} is the place of {RESERVED[config.name.lower()]}; give another name"


def _commands(config: "Config") -> Iterator[str]:
    """What would be too long for the command line of a job."""
    for name, dataset in config.datasets.items():
        if (length := len(quote(dataset.canonical()))) > LONGEST:
            yield (
                f"datasets.{name}: {length} letters, and {LONGEST} is the most; give fewer or shorter patterns in "
                "`only` and `omit`, or move what is meant into a folder of its own"
            )
    place = f"results/{config.name}"
    measured = [f"{place}/evaluation/{m}/{name}.csv" for name, methods in config.tested.items() for m in methods]
    parts = ("calibration.json", "run.json", "history.csv")
    trained = [f"{place}/train/{run.name}/{part}" for run in config.calibrated for part in parts]
    if max(len(" ".join(files)) for files in (measured, trained)) > LONGEST:
        yield (
            f"seeds: {len(config.runs)} trainings make more files than a command line can name for a table; divide "
            "them among several configurations"
        )


def _missing(path: str, name: str, names: Collection[str], what: str) -> Iterator[str]:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        yield f"{path}: no {what} {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _assets(config: "Config") -> Iterator[str]:
    assets = {*config.assets, *known()}
    wanted = {"evaluation.lpips": config.evaluation.lpips.asset}
    for name, dataset in config.datasets.items():
        wanted |= {f"datasets.{name}.sources.{i}.asset": source.asset for i, source in enumerate(dataset.sources)}
    for name, model in config.chosen_models.items():
        wanted |= {f"models.{name}.features.asset": model.features.asset, f"models.{name}.init": model.init}
    for path, asset in wanted.items():
        if asset is not None and ("/" in asset or "\\" in asset):
            yield f"{path}: {asset!r} is a path; name a file of your own under `assets`, with `path` as its source"
        elif asset is not None:
            yield from _missing(path, asset, assets, "asset")


def _extractors(config: "Config") -> Iterator[str]:
    if "none" not in config.extractors:
        yield "extractors: 'none' is missing; it is the baseline that every comparison refers to"


def _models(config: "Config") -> Iterator[str]:
    if len(set(config.seeds)) < len(config.seeds):
        yield f"seeds: {config.seeds} names one twice"
    if not config.chosen_models:
        yield "models: give at least one of esrgan and vsrresfeatgan"
    for name, model in config.chosen_models.items():
        roles = {"train_set": [model.train_set], "val_set": [model.val_set], "test_sets": model.test_sets}
        for path, dataset in ((f"models.{name}.{role}", d) for role, sets in roles.items() for d in sets):
            yield from _missing(path, dataset, config.datasets, "data set")
            if name == "vsrresfeatgan" and dataset in config.datasets and config.datasets[dataset].kind != "clips":
                yield f"{path}: {dataset!r} holds images, and this model takes clips"
        for extractor in sorted(set(config.extractors) ^ set(model.loss.beta2)):
            where = "extractors" if extractor in model.loss.beta2 else f"models.{name}.loss.beta2"
            yield f"{where}: {extractor!r} is missing; extractors and beta2 must name the same ones"
        if model.loss.beta2.get("none"):
            yield f"models.{name}.loss.beta2.none: is {model.loss.beta2['none']}, but the baseline has no edges; give 0"
        if name == "esrgan" and model.patch % 32:
            yield f"models.{name}.patch: {model.patch} is not a multiple of 32, which the discriminator needs"
        if name == "esrgan" and model.patch == 32 and model.train.batch == 1:
            yield (
                f"models.{name}.train.batch: one patch of 32 pixels leaves the discriminator's last batch norm one "
                "value for each channel, and it needs two; take a batch of 2, or patches of 64"
            )
        if "auto" in model.loss.beta2.values() and not (model.loss.gan or model.loss.percep or model.loss.beta1):
            yield f"models.{name}.loss.beta2: auto is a share of the loss, of which gan, percep and beta1 are 0"


def _evaluation(config: "Config") -> Iterator[str]:
    regions, edges = config.evaluation.regions, config.evaluation.edges
    for key in ("spaces", "borders"):
        values = getattr(config.evaluation, key)
        if len(set(values)) < len(values):
            yield f"evaluation.{key}: {values} names one twice"
    if regions.window % 2 == 0:
        yield f"evaluation.regions.window: {regions.window} is even; a window has its pixel in the middle"
    if regions.texture >= regions.edge:
        yield f"evaluation.regions: texture {regions.texture} is not below edge {regions.edge}"
    if edges.low > edges.high:
        yield f"evaluation.edges: low {edges.low} is above high {edges.high}"


def _rendering(config: "Config") -> Iterator[str]:
    shown = {f"tables.{name}": table for name, table in config.tables.items()}
    shown |= {f"figures.comparisons.{name}": figure for name, figure in config.figures.comparisons.items()}
    shown |= {f"sweeps.{name}": sweep for name, sweep in config.sweeps.items()}
    for path, one in shown.items():
        if one.model not in config.chosen_models:
            yield f"{path}.model: {one.model!r} is not in models"
        elif one.dataset not in config.model(one.model).test_sets:
            yield f"{path}.dataset: {one.dataset!r} is not in models.{one.model}.test_sets"
        if one.space not in config.evaluation.spaces or one.border not in config.evaluation.borders:
            yield f"{path}: space {one.space}, border {one.border} is not measured; see evaluation"
    for name, table in config.tables.items():
        if table.published and PUBLISHED[table.published].model != table.model:
            yield f"tables.{name}.published: {table.published} of the paper is not about {table.model}"
    for name in config.tables.keys() & {"shares", "health", "claims", *(f"{name}_details" for name in config.tables)}:
        yield f"tables.{name}: that name is taken by another table; give it another"
    figures = config.figures.edge_maps | config.figures.comparisons
    own = ["plane", *(f"curves_{name}" for name in config.chosen_models)]
    names = Counter([*config.figures.edge_maps, *config.figures.comparisons, *config.sweeps, *own])
    for name in (name for name, count in names.items() if count > 1):
        yield f"figures: two figures are named {name!r}"
    for name, figure in figures.items():
        yield from _missing(f"figures: {name}: dataset", figure.dataset, config.datasets, "data set")
        if (items := _items(config, figure.dataset)) is not None:
            yield from _missing(f"figures: {name}: item", figure.item, items, f"item of {figure.dataset}")


def _sweeps(config: "Config") -> Iterator[str]:
    for name, sweep in config.sweeps.items():
        if sweep.extractor == "none":
            yield f"sweeps.{name}.extractor: 'none' is the baseline, which has no parameters; name another"
        elif found := list(_missing(f"sweeps.{name}.extractor", sweep.extractor, config.extractors, "extractor")):
            yield from found
        else:
            keys = [BETA2, *config.extractors[sweep.extractor]]
            what = f"parameter of {sweep.extractor}, nor {BETA2!r},"
            unknown = list(_missing(f"sweeps.{name}.key", sweep.key, keys, what))
            if not unknown and config.extractors[sweep.extractor].get(sweep.key, "beta2") is None:
                yield f"sweeps.{name}.key: extractors.{sweep.extractor}.{sweep.key} has no value; give it one"
            else:
                yield from unknown or _values(config, name, sweep)


def _values(config: "Config", name: str, sweep: "Sweep") -> Iterator[str]:
    names: dict[str, int] = {}
    for i, value in enumerate(sweep.values):
        path = f"sweeps.{name}.values.{i}"
        try:
            variant = variant_name(sweep.extractor, sweep.key, value_of(config, sweep, value))
            TypeAdapter(Name).validate_python(variant)
        except ValidationError as e:
            yield f"{path}: {e.errors()[0]['msg']}"
        except UserError as e:
            yield f"{path}: {e}"
        else:
            if variant in names:
                yield f"{path}: {value!r} is the same as {sweep.values[names[variant]]!r}; give each value once"
            names[variant] = i


def _items(config: "Config", dataset: str) -> set[str] | None:
    """Names of the items of a data set, where the configuration alone tells them."""
    items = set()
    for source in config.datasets[dataset].sources if dataset in config.datasets else []:
        scenes = getattr(source, "scenes", None)
        known = source.asset is not None and PurePath(source.asset).suffix.lower() not in ARCHIVES
        if not known or scenes == "detect" or getattr(source, "ends", []):
            return None
        stem = PurePath(source.origin).stem
        taken = scenes[slice(*getattr(source, "take", None) or (None,))] if scenes else []
        items |= {f"{stem}_{first:04d}-{end:04d}" for first, end in taken} if scenes else {stem}
    return items or None


def _leaks(config: "Config") -> Iterator[str]:
    """Photos or scenes that a model both learns from and is tested on."""
    for name, model in config.chosen_models.items():
        for test in model.test_sets:
            for role in dict.fromkeys([model.train_set, model.val_set]):
                for origin in _shared(config, test, role):
                    yield f"models.{name}: {origin} is in test set {test!r} and in {role!r}, which it learns from"
        if model.val_split == "patch":
            if model.train_set != model.val_set:
                yield f"models.{name}.val_split: `patch` splits one data set, so val_set must be {model.train_set!r}"
        else:
            for origin in _shared(config, model.train_set, model.val_set):
                yield f"models.{name}: {origin} is in train_set and val_set; keep them apart, or set val_split: patch"


def _shared(config: "Config", first: str, second: str) -> Iterator[str]:
    """The assets, folders and files of which two data sets hold the same picture, or may, as far as their keys tell."""
    a_sources, b_sources = (
        config.datasets[name].sources if name in config.datasets else [] for name in (first, second)
    )
    found = ((a, b) for a in a_sources for b in b_sources if _overlap(a, b))
    hint = " (to keep patterns apart, list one's `only` in the other's `omit`)"
    yield from dict.fromkeys(a.origin + (hint if a.only or b.only else "") for a, b in found)


def _overlap(a: "Source", b: "Source") -> bool:
    """Whether two sources share a photo or a frame, as far as their keys tell."""
    ours, theirs = a.folder or a.file, b.folder or b.file
    if not (_reads(a, theirs) or _reads(b, ours) if ours and theirs else a.asset and a.asset == b.asset):
        return False
    if _left_out(a, b) or _left_out(b, a):
        return False
    parts, others = _intervals(a), _intervals(b)
    if parts is None or others is None or parts[0] != others[0]:
        return True
    return any(start < end2 and start2 < end for start, end in parts[1] for start2, end2 in others[1])


def _left_out(a: "Source", b: "Source") -> bool:
    """Whether `a` leaves out by name whatever `b` takes."""
    if b.file:
        return any(fnmatchcase(PurePath(b.file).name, pattern) for pattern in a.omit)
    return bool(b.only) and set(b.only) <= set(a.omit)


def _intervals(source: "Source") -> tuple[str, list[tuple[float, float]]] | None:
    """The unit and the [start, end) parts that a source takes of its video; None where only the video tells."""
    scenes, ends = getattr(source, "scenes", None), getattr(source, "ends", [])
    first, end = getattr(source, "take", None) or (0, None)
    if isinstance(scenes, list):
        return "frames", scenes[first:end]
    return ("seconds", list(pairwise([0.0, *ends]))[first:end]) if ends else None


def _reads(source: "Source", path: str) -> bool:
    """Whether a folder or file takes what lies at a path, or may; an archive in a folder is none of its pictures."""
    own, other = Path(source.origin).resolve(), Path(path).resolve()
    inside = source.folder and other.suffix.lower() not in ARCHIVES and other.is_relative_to(own)
    return bool(inside) or other == own
