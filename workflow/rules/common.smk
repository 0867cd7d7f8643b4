# Names of files, the checked configuration and code fingerprints; no rules.

import json
import os
import re
import signal
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError
from snakemake.io import contains_wildcard
from snakemake.logging import logger

from sa_sr import plan
from sa_sr.config import load
from sa_sr.config.claims import Claims
from sa_sr.config.reading import check, read
from sa_sr.config.section import by_number
from sa_sr.data.presence import lacking, sources, used
from sa_sr.errors import UserError
from sa_sr.plugins import module_name
from sa_sr.provenance import code
from sa_sr.srun import prefix as srun_prefix

# Slurm's warning before a time limit goes to every process of the job: to the Snakemake in it, to the shell, and to the
# training, which alone has an answer (StateFolder). Whoever dies of it takes the training along before it has saved.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

os.environ.pop(plan.VARIABLE, None)  # of the Snakemake that has started this one; set below for the stage
OWN_CLAIMS = "config/claims.yaml"
if not os.path.isfile(OWN_CLAIMS):
    OWN_CLAIMS = f"{workflow.basedir}/{OWN_CLAIMS}"

try:
    READ = {path: read(Path(path)) for path in map(str, workflow.configfiles)}
    PLAN = None if workflow.is_main_process or plan.PLANNED not in config else Path(workflow.configfiles[0])
    # a job of a planned run has the claims of its plan
    READ[OWN_CLAIMS] = plan.enter(PLAN, config) if PLAN else read(Path(OWN_CLAIMS))
    CLAIMS = check(Claims, READ[OWN_CLAIMS], OWN_CLAIMS)
    CFG = load(config, ", ".join(str(f) for f in workflow.configfiles))
    if PLAN:
        os.environ[plan.VARIABLE] = str(PLAN.absolute())  # for the stage, which refuses other code
except UserError as e:
    raise WorkflowError(str(e))

OUT = f"results/{CFG.name}"
STATE = f"state/{CFG.name}"
ASSETS = "results/assets"
RUNS = {run.name: run for run in CFG.runs}


# Snakemake compares inputs as sets; where their order makes a difference it is a param besides.
BY_EXTRACTOR, BY_RUN = json.dumps(list(CFG.extractors)), json.dumps(list(RUNS))


def one_of(names):
    """The pattern of a wildcard that has one of these values; a name may hold dots."""
    return "|".join(map(re.escape, names)) or "-"


wildcard_constraints:
    dataset=one_of(CFG.datasets),
    variant=one_of(CFG.edges),
    model=one_of(CFG.chosen_models),
    seed="[0-9]+",
    run=one_of(RUNS),
    method=one_of(["bicubic", *RUNS]),
    table=one_of(CFG.tables),
    edge_maps=one_of(CFG.figures.edge_maps),
    comparison=one_of(CFG.figures.comparisons),
    sweep=one_of(CFG.sweeps),


def text(value, sort=True):
    """JSON: as a param, equal exactly when the settings are equal. A brace in a text is written by its number, for
    Snakemake takes {F1} for a wildcard; those around mappings stay."""
    return re.sub(r'\{(?!["}])', r"\\u007b", json.dumps(value, sort_keys=sort))


def data(dataset):
    return f"{OUT}/data/{dataset}.h5"


def edges(dataset, variant):
    return f"{OUT}/edges/{dataset}/{variant}.h5"


def asset(name):
    return f"{ASSETS}/{name}" if name else []


def missing_before(output):
    """The data that are not there yet, where a training has made nothing yet: it waits for them, so that a file which
    can't be read is known before the GPU hours. Another training would run again for new data."""
    if workflow.storage_settings.default_storage_provider or os.path.isfile(output):
        return []
    return [path for path in map(data, used(CFG)) if not os.path.isfile(path)]


def files_of(dataset):
    """Every file that a data set is made from."""
    found = sources(CFG.datasets[dataset], ASSETS)
    for path in filter(contains_wildcard, found):
        raise WorkflowError(f"{path}: Snakemake takes {{...}} in a path for a wildcard; rename the file or folder")
    return found


def missing_data():
    """What whoever lacks files of their own is told; empty where all are there."""
    lines = lacking(CFG)
    return "\n  ".join(["Not all data are there:", *lines]) if lines else ""


def enlarged(dataset, method):
    return f"{OUT}/images/{method}/{dataset}.h5"


def first_seed(model):
    """The runs of a model which stand side by side in a figure."""
    return [f"{model}-{extractor}-s{CFG.seeds[0]}" for extractor in CFG.extractors]


def compared(figure):
    """The pictures that a comparison shows: bicubic, then the model's runs in the order of the extractors."""
    return [enlarged(figure.dataset, method) for method in ["bicubic", *first_seed(figure.model)]]


def outputs(rule, **names):
    """The files that a rule makes for some values of its wildcards, in a storage too."""
    return [path.apply_wildcards(names) for path in rule.output]


def page_inputs():
    """All that the page shows or links, in its order, but for frames.csv."""
    pictures = {name: outputs(rules.edge_maps, edge_maps=name) for name in CFG.figures.edge_maps}
    pictures |= {name: outputs(rules.comparison, comparison=name) for name in CFG.figures.comparisons}
    shown = ["bicubic", *(run for model in CFG.chosen_models for run in first_seed(model))]
    groups = [
        outputs(rules.claims),
        *(outputs(rules.table, table=name) for name in CFG.tables),
        *(outputs(rules.details, table=name) for name in CFG.tables),
        outputs(rules.shares) if CFG.calibrated else [],
        outputs(rules.health),
        *(pictures[name] for name in by_number(pictures)),
        outputs(rules.plane) if CFG.plane_spec()["panels"] else [],
        *(outputs(rules.sweep, sweep=name) for name in CFG.sweeps),
        *(outputs(rules.curves, model=name) for name in CFG.chosen_models),
        map(data, CFG.tested),
        [enlarged(name, method) for name, methods in CFG.tested.items() for method in methods if method in shown],
        [f"{OUT}/train/{run}/run.json" for run in RUNS],
        [f"{OUT}/evaluation/{name}" for name in ("frames.parquet", "clips.csv", "means.csv", "differences.csv")],
    ]
    return [path for group in groups for path in group]


def maps_of(run, dataset):
    """The edge maps that a run learns from; none where it makes them from its patches."""
    crops = CFG.train_spec(RUNS[run]).terms.edge_scope == "crop"
    return [] if crops else edges(dataset, CFG.variant(RUNS[run]).edges)


def learns_from(run):
    """The named inputs of a run's first step."""
    model, seed = RUNS[run].model, RUNS[run].seed
    section = CFG.model(model)
    return {
        "data": data(section.train_set),
        "weights": maps_of(run, section.train_set),
        "init": f"{OUT}/pretrain/{model}-s{seed}/model.safetensors",
        "features": asset(section.features.asset),
    }


def validated_on(run):
    """The named inputs of its validation."""
    name = CFG.model(RUNS[run].model).val_set
    return {"val_data": data(name), "val_weights": maps_of(run, name)}


def calibration(run):
    return f"{OUT}/train/{run}/calibration.json"


def option(name, value):
    """An option of the command line, nothing where it has no value."""
    return f"--{name} {value}" if value is not None and str(value) else ""


def launch(resources, batch):
    """What starts the processes of a training on several machines. A function of the resources, so that Snakemake, which
    does not compare these, never trains again for it."""
    names = ("nodes", "mpi", "tasks", "tasks_per_gpu", "cpus_per_task")
    asked = {name: resources.get(name) for name in names if resources.get(name) is not None}
    try:
        return srun_prefix(resources.gpu, batch, **asked)
    except UserError as e:
        raise WorkflowError(str(e))


def own_asset(name):
    """The option that describes an asset of the configuration's own; the built-in ones are known by their name."""
    return option("spec", quote(text(CFG.assets[name].model_dump(mode="json")))) if name in CFG.assets else ""


def crop(figure):
    """The window of a comparison; none leaves the choice to the figure."""
    return ",".join(str(side) for side in figure.crop or ())
