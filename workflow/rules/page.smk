# All results as one page.


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
