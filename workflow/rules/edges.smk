# One HDF5 of edge maps W for each data set and extractor.


rule extract_edges:
    input:
        f"{OUT}/data/{{dataset}}.h5",
    output:
        f"{OUT}/edges/{{dataset}}/{{extractor}}.h5",
    log:
        f"{OUT}/logs/edges/{{dataset}}-{{extractor}}.log",
    benchmark:
        f"{OUT}/logs/edges/{{dataset}}-{{extractor}}.tsv"
    params:
        settings=lambda wc: text(CFG.extractors[wc.extractor]),
        code=lambda wc: code("extract_edges", module_name("edges", wc.extractor)),
    shell:
        "sa-sr extract-edges {input} --extractor {wildcards.extractor} --params {params.settings:q} --out {output} --log {log}"
