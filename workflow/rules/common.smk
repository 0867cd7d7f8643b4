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

from sa_sr.config import load
from sa_sr.config.claims import load_claims
from sa_sr.config.reading import read
from sa_sr.config.section import by_number
from sa_sr.data.presence import lacking, sources, used
from sa_sr.errors import UserError
from sa_sr.plugins import module_name
from sa_sr.provenance import code

# Slurm's warning before a time limit goes to every process of the job: to the Snakemake in it, to the shell, and to the
# training, which alone has an answer (StateFolder). Whoever dies of it takes the training along before it has saved.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)

try:
    for file in workflow.configfiles:
        read(Path(file))  # Snakemake takes the last of two equal keys
    CFG = load(config, ", ".join(str(f) for f in workflow.configfiles))
    CLAIMS = load_claims(
        Path(next(filter(os.path.isfile, ["config/claims.yaml"]), f"{workflow.basedir}/config/claims.yaml"))
    )
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


def text(value):
    """Sorted JSON: as a param, equal exactly when the settings are equal."""
    return json.dumps(value, sort_keys=True)


def data(dataset):
    return f"{OUT}/data/{dataset}.h5"


def edges(dataset, variant):
    return f"{OUT}/edges/{dataset}/{variant}.h5"


def asset(name):
    return f"{ASSETS}/{name}" if name else []


def files_of(dataset):
    """Every file that a data set is made from."""
    found = sources(CFG.datasets[dataset], ASSETS)
    for path in filter(contains_wildcard, found):
        raise WorkflowError(f"{path}: Snakemake takes {{...}} in a path for a wildcard; rename the file or folder")
    return found


def sizes(dataset):
    """Bytes of each of one's own files: Snakemake looks only into inputs that are newer than the output, and a photo
    that takes the place of another may be older."""
    return text([os.path.getsize(path) for path in files_of(dataset) if not path.startswith(f"{ASSETS}/")])


def missing_data():
    """What whoever lacks files of their own is told; empty where all are there."""
    lines = lacking(CFG)
    return "\n  ".join(["Not all data are there:", *lines]) if lines else ""


def methods(dataset):
    """Bicubic and every run that is tested on a data set."""
    return ["bicubic", *(run.name for run in CFG.runs if dataset in CFG.test_sets(run))]


def evaluations():
    """The evaluation of every method on every data set that it is tested on."""
    tested = dict.fromkeys(name for model in CFG.chosen_models for name in CFG.model(model).test_sets)
    return [f"{OUT}/evaluation/{method}/{name}.csv" for name in tested for method in methods(name)]


def first_seed(model):
    """The runs of a model which stand side by side in a figure."""
    return [f"{model}-{extractor}-s{CFG.seeds[0]}" for extractor in CFG.extractors]


def compared(figure):
    """The pictures that a comparison shows: bicubic, then the model's runs in the order of the extractors."""
    return [f"{OUT}/images/{method}/{figure.dataset}.h5" for method in ["bicubic", *first_seed(figure.model)]]


def outputs(rule, **names):
    """The files that a rule makes for some values of its wildcards, in a storage too."""
    return [path.apply_wildcards(names) for path in rule.output]


def page_inputs():
    """All that the page shows or links, in its order, but for frames.csv."""
    pictures = {name: outputs(rules.edge_maps, edge_maps=name) for name in CFG.figures.edge_maps}
    pictures |= {name: outputs(rules.comparison, comparison=name) for name in CFG.figures.comparisons}
    tested = dict.fromkeys(name for model in CFG.chosen_models for name in CFG.model(model).test_sets)
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
        map(data, tested),
        [f"{OUT}/images/{method}/{name}.h5" for name in tested for method in methods(name) if method in shown],
        [f"{OUT}/train/{run}/run.json" for run in RUNS],
        [f"{OUT}/evaluation/{name}" for name in ("frames.parquet", "clips.csv", "means.csv", "differences.csv")],
    ]
    return [path for group in groups for path in group]


def run_edges(run, dataset):
    """The edge maps that a run learns from; none where it makes them from its patches."""
    crops = CFG.train_spec(RUNS[run]).terms.edge_scope == "crop"
    return [] if crops else edges(dataset, CFG.variant(RUNS[run]).edges)


def calibration(run):
    return f"{OUT}/train/{run}/calibration.json"


def option(name, value):
    """An option of the command line, nothing where it has no value."""
    return f"--{name} {value}" if value is not None and str(value) else ""


def launch(resources, batch):
    """What starts the processes of a training on several machines; on one it starts them itself. A function of the
    resources, so that Snakemake, which does not compare these, never trains again for it."""
    nodes, gpus = resources.get("nodes", 1), resources.gpu
    mpi, *asked = (resources.get(name) for name in ("mpi", "tasks", "tasks_per_gpu", "cpus_per_task"))
    if gpus and batch % gpus:
        raise WorkflowError(f"gpu={gpus}: a batch of {batch} patches can't be shared equally by {gpus} devices.")
    if nodes == 1 and mpi:
        raise WorkflowError("mpi is for a training on several nodes; take it out, or set nodes.")
    if nodes == 1:
        return ""
    if gpus % nodes or not mpi or asked[:2] != [gpus, 1] or not asked[2]:
        raise WorkflowError(
            f"One training on nodes={nodes} takes equally many GPUs on each (gpu={gpus}), and beside them mpi: srun, "
            f"tasks: {gpus}, tasks_per_gpu: 1, and in cpus_per_task the CPUs for each GPU."
        )
    return (
        f"{mpi} --nodes={nodes} --ntasks={gpus} --ntasks-per-node={gpus // nodes} --cpus-per-task={asked[2]}"
        " --kill-on-bad-exit=1 "
    )


def cpus(resources, threads):
    """The CPUs of a training: on several machines Snakemake knows those of its own one only."""
    return resources.tasks * resources.cpus_per_task if resources.get("mpi") else threads


def own_asset(name):
    """The option that describes an asset of the configuration's own; the built-in ones are known by their name."""
    return option("spec", quote(text(CFG.assets[name].model_dump(mode="json")))) if name in CFG.assets else ""


def crop(figure):
    """The window of a comparison; none leaves the choice to the figure."""
    return ",".join(str(side) for side in figure.crop or ())
