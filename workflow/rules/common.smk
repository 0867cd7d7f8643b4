# Names of files, the checked configuration and code fingerprints; no rules.

import json

from snakemake.exceptions import WorkflowError

from sa_sr.config import load
from sa_sr.errors import UserError
from sa_sr.data.video import files_below
from sa_sr.plugins import module_name
from sa_sr.provenance import code

try:
    CFG = load(config, ", ".join(str(f) for f in workflow.configfiles))
except UserError as e:
    raise WorkflowError(str(e))

OUT = f"results/{CFG.name}"
STATE = f"state/{CFG.name}"
ASSETS = "results/assets"
RUNS = {run.name: run for run in CFG.runs}


wildcard_constraints:
    dataset="|".join(CFG.datasets),
    extractor="|".join(CFG.extractors),
    model="|".join(CFG.chosen_models),
    seed="[0-9]+",
    run="|".join(RUNS),
    method="|".join(["bicubic", *RUNS]),
    table="|".join(CFG.tables) or "-",
    edge_maps="|".join(CFG.figures.edge_maps) or "-",
    comparison="|".join(CFG.figures.comparisons) or "-",


def text(value):
    """Sorted JSON: as a param, equal exactly when the settings are equal."""
    return json.dumps(value, sort_keys=True)


def data(dataset):
    return f"{OUT}/data/{dataset}.h5"


def edges(dataset, extractor):
    return f"{OUT}/edges/{dataset}/{extractor}.h5"


def asset(name):
    return f"{ASSETS}/{name}" if name else []


def sources(dataset):
    """Every file that a data set is made from."""
    return [
        file
        for source in CFG.datasets[dataset].sources
        for file in ([asset(source.asset)] if source.asset else files_below(source.folder))
    ]


def used_datasets():
    """The data sets that the chosen models learn from and are tested on."""
    models = CFG.chosen_models.values()
    return dict.fromkeys(name for m in models for name in (m.train_set, m.val_set, *m.test_sets))


def methods(dataset):
    """Bicubic and every run that is tested on a data set."""
    return ["bicubic", *(run.name for run in CFG.runs if dataset in CFG.model(run.model).test_sets)]


def evaluations():
    """The evaluation of every method on every data set that it is tested on."""
    tested = dict.fromkeys(name for model in CFG.chosen_models for name in CFG.model(model).test_sets)
    return [f"{OUT}/evaluation/{method}/{name}.csv" for name in tested for method in methods(name)]


def first_seed(model):
    """The runs of a model which stand side by side in a figure."""
    return [run.name for run in CFG.runs if run.model == model and run.seed == CFG.seeds[0]]


def compared(figure):
    """The pictures that a comparison shows: bicubic, then the model's runs in the order of the extractors."""
    return [f"{OUT}/images/{method}/{figure.dataset}.h5" for method in ["bicubic", *first_seed(figure.model)]]


def crop(figure):
    """The option that names the window of a comparison; none leaves the choice to the figure."""
    return f"--crop {','.join(str(side) for side in figure.crop)}" if figure.crop else ""
