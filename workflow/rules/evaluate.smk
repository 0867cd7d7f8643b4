# Every method on every test set: pictures, then numbers.


rule bicubic:
    input:
        f"{OUT}/data/{{dataset}}.h5",
    output:
        f"{OUT}/images/bicubic/{{dataset}}.h5",
    log:
        f"{OUT}/logs/bicubic/{{dataset}}.log",
    params:
        code=code("bicubic"),
    shell:
        "sa-sr bicubic {input} --out {output} --log {log}"


rule super_resolve:
    input:
        data=f"{OUT}/data/{{dataset}}.h5",
        model=f"{OUT}/train/{{run}}/model.safetensors",
    output:
        f"{OUT}/images/{{run}}/{{dataset}}.h5",
    log:
        f"{OUT}/logs/super_resolve/{{run}}-{{dataset}}.log",
    benchmark:
        f"{OUT}/logs/super_resolve/{{run}}-{{dataset}}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        model=lambda wc: RUNS[wc.run].model,
        code=lambda wc: code("super_resolve", module_name("models", RUNS[wc.run].model)),
    shell:
        "sa-sr super-resolve {input.data} --model {input.model} --recipe {params.model} --out {output}"
        " --threads {threads} --log {log}"


rule evaluate:
    input:
        sr=f"{OUT}/images/{{method}}/{{dataset}}.h5",
        data=f"{OUT}/data/{{dataset}}.h5",
        lpips=asset(CFG.evaluation.lpips.asset),
    output:
        f"{OUT}/evaluation/{{method}}/{{dataset}}.csv",
    log:
        f"{OUT}/logs/evaluate/{{method}}-{{dataset}}.log",
    benchmark:
        f"{OUT}/logs/evaluate/{{method}}-{{dataset}}.tsv"
    params:
        protocol=CFG.evaluation.canonical(),
        code=code("evaluate"),
    shell:
        "sa-sr evaluate {input.sr} {input.data} --method {wildcards.method} --protocol {params.protocol:q}"
        " --lpips {input.lpips} --out {output} --threads {threads} --log {log}"


rule aggregate:
    input:
        [f"{OUT}/evaluation/{method}/{name}.csv" for name, methods in CFG.tested.items() for method in methods],
    output:
        frames=f"{OUT}/evaluation/frames.csv",
        clips=f"{OUT}/evaluation/clips.csv",
        means=f"{OUT}/evaluation/means.csv",
        parquet=f"{OUT}/evaluation/frames.parquet",
    log:
        f"{OUT}/logs/aggregate.log",
    params:
        order=BY_RUN,
        code=code("aggregate"),
    shell:
        "sa-sr aggregate {input} --frames {output.frames} --clips {output.clips} --means {output.means}"
        " --parquet {output.parquet} --log {log}"


rule statistics:
    input:
        f"{OUT}/evaluation/frames.csv",
    output:
        f"{OUT}/evaluation/differences.csv",
    log:
        f"{OUT}/logs/statistics.log",
    params:
        code=code("statistics"),
    shell:
        "sa-sr statistics {input} --out {output} --log {log}"
