# The paper as a graph of files. `snakemake` alone is the paper, `--configfile config/demo.yaml` the demo.

import os

from snakemake.utils import min_version

min_version("9.20")

PAPER = "config/paper.yaml"  # in this folder, or where there is none that of the checkout

if not workflow.configfiles:

    configfile: PAPER if os.path.isfile(PAPER) else f"{workflow.basedir}/{PAPER}"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/records.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/edges.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/render.smk"
include: "workflow/rules/page.smk"


if workflow.output_settings.dryrun and (missing := missing_data()):
    logger.warning(missing)


onstart:
    if missing := missing_data():
        logger.error(f"{missing}\nNo job was started.")
        sys.exit(1)
    freeze_plan()


onsuccess:
    check_end()


localrules:
    all,
    download,
    resolve,
    resolve_pretrain,
    aggregate,
    statistics,
    table,
    details,
    claims,
    shares,
    health,


rule all:
    input:
        f"{OUT}/index.html",
        expand(f"{OUT}/tables/{{table}}.{{kind}}", table=CFG.tables, kind=["csv", "md", "tex"]),
        expand(f"{OUT}/tables/{{table}}_details.{{kind}}", table=CFG.tables, kind=["md", "tex"]),
        f"{OUT}/claims.csv",
        [f"{OUT}/tables/shares.{kind}" for kind in ("csv", "md") if CFG.calibrated],
        [f"{OUT}/tables/health.{kind}" for kind in ("csv", "md")],
        expand(f"{OUT}/figures/{{figure}}.png", figure=[*CFG.figures.edge_maps, *CFG.figures.comparisons, *CFG.sweeps]),
        [f"{OUT}/figures/plane.png"] if CFG.plane_spec()["panels"] else [],
        expand(f"{OUT}/figures/curves_{{model}}.png", model=CFG.chosen_models),
        expand(f"{OUT}/evaluation/{{part}}.csv", part=["frames", "clips", "means", "differences"]),
        f"{OUT}/evaluation/frames.parquet",
        expand(f"{OUT}/train/{{run}}/model.safetensors", run=[run.name for run in CFG.runs]),
