# All results as one page.

SHOWN = page_inputs()


rule results_page:
    input:
        files=SHOWN,
        frames=f"{OUT}/evaluation/frames.csv",
    output:
        f"{OUT}/index.html",
    log:
        f"{OUT}/logs/results_page.log",
    benchmark:
        f"{OUT}/logs/results_page.tsv"
    params:
        spec=text(CFG.page_spec()),
        order=text(SHOWN),
        code=code("results_page", *(module_name("edges", name) for name in CFG.page_spec()["extractors"])),
    shell:
        "sa-sr results-page {input.files} --frames {input.frames} --spec {params.spec:q} --out {output} --log {log}"
