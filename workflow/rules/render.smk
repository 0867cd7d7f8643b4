# What people look at: the paper's tables and figures, the training curves, and curves over parameters.


rule table:
    input:
        means=f"{OUT}/evaluation/means.csv",
        differences=f"{OUT}/evaluation/differences.csv",
    output:
        csv=f"{OUT}/tables/{{table}}.csv",
        md=f"{OUT}/tables/{{table}}.md",
        tex=f"{OUT}/tables/{{table}}.tex",
        html=report(
            f"{OUT}/tables/{{table}}.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        f"{OUT}/logs/table/{{table}}.log",
    params:
        spec=lambda wc: text(CFG.table_spec(wc.table)),
        code=code("table"),
    shell:
        "sa-sr table {input.means} {input.differences} --spec {params.spec:q} --csv {output.csv} --md {output.md}"
        " --tex {output.tex} --html {output.html} --log {log}"


rule details:
    input:
        means=f"{OUT}/evaluation/means.csv",
        differences=f"{OUT}/evaluation/differences.csv",
    output:
        md=f"{OUT}/tables/{{table}}_details.md",
        tex=f"{OUT}/tables/{{table}}_details.tex",
        html=report(
            f"{OUT}/tables/{{table}}_details.html",
            caption="../report/details.rst",
            category="Tables",
            labels={"table": "{table}, details"},
        ),
    log:
        f"{OUT}/logs/table/{{table}}_details.log",
    params:
        spec=lambda wc: text(CFG.table_spec(wc.table)),
        code=code("details"),
    shell:
        "sa-sr details {input.means} {input.differences} --spec {params.spec:q} --md {output.md} --tex {output.tex}"
        " --html {output.html} --log {log}"


rule claims:
    input:
        differences=f"{OUT}/evaluation/differences.csv",
        shares=f"{OUT}/tables/shares.csv" if CFG.calibrated else [],
    output:
        csv=f"{OUT}/claims.csv",
        md=f"{OUT}/tables/claims.md",
        html=report(
            f"{OUT}/tables/claims.html",
            caption="../report/claims.rst",
            category="Claims",
            labels={"table": "claims"},
        ),
    log:
        f"{OUT}/logs/table/claims.log",
    params:
        # in the order of print, which is that of the file and that of the tables' numbers
        claims=text(CLAIMS.model_dump(mode="json")["claims"], sort=False),
        tables=text({name: table.model_dump(mode="json") for name, table in CFG.tables.items()}, sort=False),
        extractors=BY_EXTRACTOR,
        code=code("claims"),
    shell:
        "sa-sr claims {input.differences} {input.shares} --claims {params.claims:q} --tables {params.tables:q}"
        " --extractors {params.extractors:q} --csv {output.csv} --md {output.md} --html {output.html} --log {log}"


rule shares:
    input:
        [
            f"{OUT}/train/{run.name}/{part}"
            for run in CFG.calibrated
            for part in ("calibration.json", "run.json", "history.csv")
        ],
    output:
        csv=f"{OUT}/tables/shares.csv",
        md=f"{OUT}/tables/shares.md",
        html=report(
            f"{OUT}/tables/shares.html",
            caption="../report/shares.rst",
            category="Training",
            labels={"model": "share of the loss"},
        ),
    log:
        f"{OUT}/logs/table/shares.log",
    params:
        order=BY_RUN,
        code=code("shares"),
    shell:
        "sa-sr shares {input} --csv {output.csv} --md {output.md} --html {output.html} --log {log}"


rule health:
    input:
        [f"{OUT}/pretrain/{model}-s{seed}/history.csv" for model in CFG.chosen_models for seed in CFG.seeds],
        [f"{OUT}/train/{run}/history.csv" for run in RUNS],
    output:
        csv=f"{OUT}/tables/health.csv",
        md=f"{OUT}/tables/health.md",
        html=report(
            f"{OUT}/tables/health.html",
            caption="../report/health.rst",
            category="Training",
            labels={"model": "health"},
        ),
    log:
        f"{OUT}/logs/table/health.log",
    params:
        order=BY_RUN,
        code=code("health"),
    shell:
        "sa-sr health {input} --csv {output.csv} --md {output.md} --html {output.html} --log {log}"


rule edge_maps:
    input:
        data=lambda wc: data(CFG.figures.edge_maps[wc.edge_maps].dataset),
        edges=lambda wc: [edges(CFG.figures.edge_maps[wc.edge_maps].dataset, e) for e in CFG.extractors if e != "none"],
    output:
        png=report(
            f"{OUT}/figures/{{edge_maps}}.png",
            caption="../report/figure1.rst",
            category="Figures",
            labels={"figure": "{edge_maps}"},
        ),
        pdf=f"{OUT}/figures/{{edge_maps}}.pdf",
    log:
        f"{OUT}/logs/figure/{{edge_maps}}.log",
    params:
        item=lambda wc: CFG.figures.edge_maps[wc.edge_maps].item,
        frame=lambda wc: option("frame", CFG.figures.edge_maps[wc.edge_maps].frame),
        order=BY_EXTRACTOR,
        code=code("edge_maps"),
    shell:
        "sa-sr figure edge-maps {input.data} {input.edges} --item {params.item:q} {params.frame}"
        " --out {output.png} --log {log}"


rule comparison:
    input:
        data=lambda wc: data(CFG.figures.comparisons[wc.comparison].dataset),
        images=lambda wc: compared(CFG.figures.comparisons[wc.comparison]),
        scores=f"{OUT}/evaluation/frames.csv",
    output:
        png=report(
            f"{OUT}/figures/{{comparison}}.png",
            caption="../report/comparison.rst",
            category="Figures",
            labels={"figure": "{comparison}"},
        ),
        pdf=f"{OUT}/figures/{{comparison}}.pdf",
    log:
        f"{OUT}/logs/figure/{{comparison}}.log",
    params:
        item=lambda wc: CFG.figures.comparisons[wc.comparison].item,
        frame=lambda wc: option("frame", CFG.figures.comparisons[wc.comparison].frame),
        crop=lambda wc: option("crop", crop(CFG.figures.comparisons[wc.comparison])),
        space=lambda wc: option("space", CFG.figures.comparisons[wc.comparison].space),
        border=lambda wc: option("border", CFG.figures.comparisons[wc.comparison].border),
        order=BY_EXTRACTOR,
        code=code("comparison"),
    shell:
        "sa-sr figure comparison {input.data} {input.images} --item {params.item:q} {params.frame}"
        " {params.crop} --scores {input.scores} {params.space} {params.border} --out {output.png} --log {log}"


rule curves:
    input:
        lambda wc: [f"{OUT}/train/{run}/{part}.csv" for run in first_seed(wc.model) for part in ("history", "val")],
    output:
        png=report(
            f"{OUT}/figures/curves_{{model}}.png",
            caption="../report/curves.rst",
            category="Training",
            labels={"model": "{model}"},
        ),
        pdf=f"{OUT}/figures/curves_{{model}}.pdf",
    log:
        f"{OUT}/logs/figure/curves_{{model}}.log",
    params:
        order=BY_EXTRACTOR,
        code=code("curves"),
    shell:
        "sa-sr figure curves {input} --out {output.png} --log {log}"


rule sweep:
    input:
        differences=f"{OUT}/evaluation/differences.csv",
        shares=f"{OUT}/tables/shares.csv",
    output:
        png=report(
            f"{OUT}/figures/{{sweep}}.png",
            caption="../report/sweep.rst",
            category="Sweeps",
            labels={"figure": "{sweep}"},
        ),
        pdf=f"{OUT}/figures/{{sweep}}.pdf",
    log:
        f"{OUT}/logs/figure/{{sweep}}.log",
    params:
        spec=lambda wc: text(CFG.sweep_spec(wc.sweep)),
        code=code("sweep"),
    shell:
        "sa-sr figure sweep {input.differences} --shares {input.shares} --spec {params.spec:q} --out {output.png} --log {log}"


rule plane:
    input:
        f"{OUT}/evaluation/means.csv",
    output:
        png=report(
            f"{OUT}/figures/plane.png",
            caption="../report/plane.rst",
            category="Figures",
            labels={"figure": "plane"},
        ),
        pdf=f"{OUT}/figures/plane.pdf",
    log:
        f"{OUT}/logs/figure/plane.log",
    params:
        spec=text(CFG.plane_spec()),
        code=code("plane"),
    shell:
        "sa-sr figure plane {input} --spec {params.spec:q} --out {output.png} --log {log}"
