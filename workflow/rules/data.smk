# From the network to HDF5: assets, HR and LR images, bicubic frames. Data come first, so that a file which can't be read
# is known before the GPU hours.


rule download:
    output:
        f"{ASSETS}/{{asset}}",
    log:
        f"{OUT}/logs/download/{{asset}}.log",
    priority: 1
    params:
        # what the file is; a further mirror or another word about it is no reason to fetch 34 GB again, so that the
        # rest is a function of the output, which Snakemake does not compare
        sha256=lambda wc: CFG.asset(wc.asset).sha256,
        spec=lambda wc, output: own_asset(wc.asset),
    shell:
        "sa-sr download {wildcards.asset} {params.spec} --sha256 {params.sha256} --out {output} --log {log}"


rule prepare:
    input:
        lambda wc: files_of(wc.dataset),
    output:
        f"{OUT}/data/{{dataset}}.h5",
    log:
        f"{OUT}/logs/prepare/{{dataset}}.log",
    benchmark:
        f"{OUT}/logs/prepare/{{dataset}}.tsv"
    priority: 1
    params:
        spec=lambda wc: CFG.datasets[wc.dataset].canonical(),
        assets=ASSETS,
        code=code("prepare"),
    shell:
        "sa-sr prepare --spec {params.spec:q} --assets {params.assets} --out {output} --log {log}"
