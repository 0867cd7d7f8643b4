# All results as one page.


def page_inputs():
    """All that the page shows, in its order, but for frames.csv."""
    tables = sorted(by_number(CFG.tables), key=lambda name: CFG.tables[name].published is None)  # the paper's first
    tables = [
        "claims",
        *tables,
        *(f"{name}_details" for name in tables),
        *(["shares"] if CFG.calibrated else []),
        "health",
    ]
    figures = [
        *by_number([*CFG.figures.edge_maps, *CFG.figures.comparisons]),
        *(["plane"] if CFG.plane_spec()["panels"] else []),
        *CFG.sweeps,
        *(f"curves_{m}" for m in CFG.chosen_models),
    ]
    tested = dict.fromkeys(name for model in CFG.chosen_models for name in CFG.model(model).test_sets)
    shown = ["bicubic", *(run for model in CFG.chosen_models for run in first_seed(model))]
    return [
        *(f"{OUT}/tables/{name}.html" for name in tables),
        *(f"{OUT}/figures/{name}.png" for name in figures),
        *map(data, tested),
        *(f"{OUT}/images/{method}/{name}.h5" for name in tested for method in methods(name) if method in shown),
        *(f"{OUT}/train/{run}/run.json" for run in RUNS),
        *(f"{OUT}/evaluation/{part}.csv" for part in ("clips", "means", "differences")),
        f"{OUT}/claims.csv",
    ]


def by_number(names):
    """Names in the order of the numbers in them: figure9 before figure10."""
    return sorted(names, key=lambda name: [int(p) if p.isdigit() else p for p in re.split("([0-9]+)", name)])


rule results_page:
    input:
        files=page_inputs(),
        frames=f"{OUT}/evaluation/frames.csv",
    output:
        f"{OUT}/index.html",
    log:
        f"{OUT}/logs/results_page.log",
    benchmark:
        f"{OUT}/logs/results_page.tsv"
    params:
        spec=text(CFG.page_spec()),
        order=text(page_inputs()),
        code=code("results_page", *(module_name("edges", name) for name in CFG.page_spec()["extractors"])),
    shell:
        "sa-sr results-page {input.files} --frames {input.frames} --spec {params.spec:q} --out {output} --log {log}"
