# One HDF5 of edge maps W for each data set and extractor, and for the parameters of sweeps.


rule extract_edges:
    input:
        f"{OUT}/data/{{dataset}}.h5",
    output:
        f"{OUT}/edges/{{dataset}}/{{variant}}.h5",
    log:
        f"{OUT}/logs/edges/{{dataset}}-{{variant}}.log",
    benchmark:
        f"{OUT}/logs/edges/{{dataset}}-{{variant}}.tsv"
    params:
        extractor=lambda wc: CFG.edges[wc.variant].extractor,
        settings=lambda wc: text(CFG.edges[wc.variant].parameters),
        code=lambda wc: code("extract_edges", module_name("edges", CFG.edges[wc.variant].extractor)),
    shell:
        "sa-sr extract-edges {input} --extractor {params.extractor} --params {params.settings:q}"
        " --out {output} --log {log}"
