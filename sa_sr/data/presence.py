"""Which files of one's own a configuration needs and does not find: told before the first job, not after days."""

import os
from pathlib import Path

from sa_sr.config import Clips, Config, Images, Source
from sa_sr.data.sources import chosen
from sa_sr.data.video import check_expected
from sa_sr.errors import UserError


def used(config: Config) -> list[str]:
    """The data sets that the chosen models learn from and are tested on, and those of figures, each once."""
    models = config.chosen_models.values()
    names = [name for m in models for name in (m.train_set, m.val_set, *m.test_sets)]
    return list(dict.fromkeys([*names, *(figure.dataset for figure in config.figures.edge_maps.values())]))


def sources(dataset: Images | Clips, assets: str | Path) -> list[str]:
    """Every file that `prepare` reads for a data set; of one's own files those which are there, for a plan needs none.

    assets: folder of the downloaded files.
    """
    found = []
    for source in dataset.sources:
        if source.asset:
            found.append(f"{assets}/{source.asset}")
        elif source.folder:
            found += [str(file) for file in chosen(source).values() if file.is_file()]
        elif source.file and os.path.isfile(source.file):
            found.append(source.file)
    return found


def lacking(config: Config) -> list[str]:
    """A line for each folder and file of one's own that is not there, is empty, or is not what its `expect` says.

    Each names the path as it is configured, the data sets that need it, and where it is to be had.
    """
    wanted: dict[str, list[tuple[str, Source]]] = {}
    for name in used(config):
        for source in config.datasets[name].sources:
            if not source.asset:
                wanted.setdefault(source.origin, []).append((name, source))
    lines = []
    for path, uses in wanted.items():
        if what := _what_is_wrong(path, [source for _, source in uses]):
            names = ", ".join(dict.fromkeys(name for name, _ in uses))
            notes = dict.fromkeys(source.note for _, source in uses if source.note)
            lines.append(" ".join([f"{what} (data sets: {names}).", *notes]))
    return lines


def _what_is_wrong(path: str, sources: list[Source]) -> str:
    """What keeps a path from being used, beginning with the path; empty where it is as it should be."""
    if sources[0].folder:
        return "" if all(map(chosen, sources)) else f"{path}: no folder with images or videos"
    if not Path(path).is_file():
        return f"{path}: no such file"
    try:
        for expect in dict.fromkeys(source.expect for source in sources):
            check_expected(Path(path), expect)
    except UserError as e:
        return str(e)
    return ""
