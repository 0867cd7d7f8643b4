"""Whether the items of the data sets suffice for what is asked of them."""

from collections import Counter
from collections.abc import Iterator

from sa_sr.check.items import Item
from sa_sr.check.part import counted
from sa_sr.check.pixels import Look
from sa_sr.config import Comparison, Config, EdgeMaps
from sa_sr.evaluation.metrics import WINDOWS
from sa_sr.plugins import find


def problems(config: Config, found: dict[str, list[Look]]) -> Iterator[str]:
    """A line for each key that asks for what its data set does not have; found: the sources of each data set."""
    sets = {name: [item for one in looks for item in one.items] for name, looks in found.items()}
    complete = {name for name, looks in found.items() if all(one.named for one in looks)}
    yield from _names(sets)
    yield from _patches(config, sets)
    yield from _borders(config, sets)
    yield from _figures(config, sets, complete)


def _names(sets: dict[str, list[Item]]) -> Iterator[str]:
    """Two sources of one data set whose items have the same name."""
    for dataset, items in sets.items():
        for name, count in Counter(item.name for item in items if item.name).items():
            if count > 1:
                places = ", ".join(item.where for item in items if item.name == name)
                yield f"datasets.{dataset}: {places} would all be {name!r}; rename them, or leave all but one out"


def _patches(config: Config, sets: dict[str, list[Item]]) -> Iterator[str]:
    """Items to learn from that are smaller than a patch, or shorter than the generator's window."""
    for model, m in config.chosen_models.items():
        window = find("models", model).window
        for role, dataset in (("train_set", m.train_set), ("val_set", m.val_set)):
            needs = f"a patch has {counted(window, 'frame')} of {m.patch}x{m.patch}; leave it out, or lower `patch`"
            yield from _too_small(f"models.{model}.{role}", sets[dataset], window, m.patch, needs)


def _borders(config: Config, sets: dict[str, list[Item]]) -> Iterator[str]:
    """Items to test on that are too small for the window of the regions, or for the borders and a window of SSIM."""
    window, border = len(WINDOWS[config.evaluation.ssim].weights), max(config.evaluation.borders, default=0)
    around = config.evaluation.regions.window
    for key, what, least in (
        ("borders", f"border {border}", window + 2 * border),
        ("regions.window", f"window {around}", around // 2 + 1),
    ):
        needs = f"{what} needs {least}x{least}; leave it out, or lower the {what.split()[0]}"
        for dataset in dict.fromkeys(name for m in config.chosen_models.values() for name in m.test_sets):
            yield from _too_small(f"evaluation.{key}: {dataset}", sets[dataset], 1, least, needs)


def _too_small(path: str, items: list[Item], frames: int, side: int, needs: str) -> Iterator[str]:
    """A line for the first of the items that are too short, or too small where their size is known."""
    small = [item for item in items if item.frames < frames or 0 < min(item.height, item.width) < side]
    if small:
        more = f" (and {len(small) - 1} more)" if len(small) > 1 else ""
        yield f"{path}: {small[0].where} has {small[0].measures}{more}, but {needs}"


def _figures(config: Config, sets: dict[str, list[Item]], complete: set[str]) -> Iterator[str]:
    """Figures of items, frames or windows that there are not; complete: data sets whose items are all known."""
    for kind, figures in (("edge_maps", config.figures.edge_maps), ("comparisons", config.figures.comparisons)):
        for name, figure in figures.items():
            items = {item.name: item for item in sets[figure.dataset] if item.name}
            if item := items.get(figure.item):
                yield from (f"figures.{kind}.{name}.{problem}" for problem in _shown(item, figure))
            elif figure.dataset in complete:
                there = ", ".join(sorted(items)[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")
                yield f"figures.{kind}.{name}.item: {figure.dataset} has no item {figure.item!r}; there is: {there}"


def _shown(item: Item, figure: EdgeMaps) -> Iterator[str]:
    """What a figure wants to show of an item, and can't."""
    if figure.frame >= item.frames:
        yield f"frame: {item.name} has no frame {figure.frame}; it has {counted(item.frames, 'frame')}, counted from 0"
    if isinstance(figure, Comparison) and figure.crop and item.width:
        x, y, width, height = figure.crop
        if x + width > item.width or y + height > item.height:
            yield f"crop: {list(figure.crop)} does not fit in the {item.width}x{item.height} pixels of {item.name}"
