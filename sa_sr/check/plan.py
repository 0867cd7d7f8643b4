"""The jobs that Snakemake will plan, from the configuration alone."""

from sa_sr.check.assets import needed
from sa_sr.check.part import Part
from sa_sr.config import Config
from sa_sr.data.presence import used


def edge_files(config: Config) -> set[tuple[str, str]]:
    """Data set and variant of every file of edge maps."""
    pairs = set()
    for model, m in config.chosen_models.items():
        # pretraining always reads those of `none`; a run with `edge_scope: crop` makes its maps from its patches
        own = [variant.edges for variant in config.variants[model].values()]
        read = ["none", *(own if m.loss.edge_scope == "image" else [])]
        pairs |= {(name, extractor) for name in (m.train_set, m.val_set) for extractor in read}
    shown = {figure.dataset for figure in config.figures.edge_maps.values()}
    return pairs | {(name, extractor) for name in shown for extractor in config.extractors if extractor != "none"}


def jobs(config: Config) -> dict[str, int]:
    """Jobs of each rule that Snakemake plans where nothing is done yet, from the configuration alone."""
    pretrainings = len(config.chosen_models) * len(config.seeds)
    tested, images = len(config.tested), sum(map(len, config.tested.values()))
    planned = {
        "download": len(needed(config)),
        "prepare": len(used(config)),
        "extract_edges": len(edge_files(config)),
        "resolve_pretrain": pretrainings,
        "pretrain": pretrainings,
        "calibrate": len(config.calibrated),
        "resolve": len(config.runs),
        "train": len(config.runs),
        "bicubic": tested,
        "super_resolve": images - tested,
        "evaluate": images,
        "aggregate": 1,
        "statistics": 1,
        "table": len(config.tables),
        "details": len(config.tables),
        "claims": 1,
        "shares": int(bool(config.calibrated)),
        "health": 1,
        "edge_maps": len(config.figures.edge_maps),
        "comparison": len(config.figures.comparisons),
        "curves": len(config.chosen_models),
        "sweep": len(config.sweeps),
        "plane": int(bool(config.plane_spec()["panels"])),
        "results_page": 1,
        "all": 1,
    }
    return {rule: count for rule, count in planned.items() if count}


def part(config: Config) -> Part:
    """The jobs of each rule and of all."""
    planned = jobs(config)
    rows = [(rule, str(count)) for rule, count in planned.items()]
    return Part("Plan, from nothing: jobs of each rule", "<>", [*rows, ("total", str(sum(planned.values())))], [], [])
