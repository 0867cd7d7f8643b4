# Two stages for each model: PSNR-oriented pretraining, then one GAN training per extractor. The training state is no
# declared output, for Snakemake deletes those of a failed job.


rule resolve_pretrain:
    output:
        f"{OUT}/pretrain/{{model}}-s{{seed}}/run.json",
    log:
        f"{OUT}/logs/resolve/{{model}}-s{{seed}}.log",
    params:
        spec=lambda wc: CFG.pretrain_spec(wc.model, int(wc.seed)).canonical(),
    shell:
        "sa-sr resolve --spec {params.spec:q} --out {output} --log {log}"


rule resolve:
    output:
        f"{OUT}/train/{{run}}/run.json",
    log:
        f"{OUT}/logs/resolve/{{run}}.log",
    params:
        spec=lambda wc: CFG.train_spec(RUNS[wc.run]).canonical(),
    shell:
        "sa-sr resolve --spec {params.spec:q} --out {output} --log {log}"


rule pretrain:
    input:
        run=f"{OUT}/pretrain/{{model}}-s{{seed}}/run.json",
        data=lambda wc: data(CFG.model(wc.model).train_set),
        weights=lambda wc: edges(CFG.model(wc.model).train_set, "none"),
        val_data=lambda wc: data(CFG.model(wc.model).val_set),
        val_weights=lambda wc: edges(CFG.model(wc.model).val_set, "none"),
        init=lambda wc: asset(CFG.model(wc.model).init),
        all_data=ancient(f"{OUT}/data/.complete"),
    output:
        model=f"{OUT}/pretrain/{{model}}-s{{seed}}/model.safetensors",
        history=f"{OUT}/pretrain/{{model}}-s{{seed}}/history.csv",
        val=f"{OUT}/pretrain/{{model}}-s{{seed}}/val.csv",
    log:
        f"{OUT}/logs/pretrain/{{model}}-s{{seed}}.log",
    benchmark:
        f"{OUT}/logs/pretrain/{{model}}-s{{seed}}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        state=f"{STATE}/pretrain-{{model}}-s{{seed}}",
        code=lambda wc: code("sa_sr.training.trainer", module_name("models", wc.model)),
    shell:
        "sa-sr pretrain {input.run} --data {input.data} --weights {input.weights} --val-data {input.val_data}"
        " --val-weights {input.val_weights} --init '{input.init}' --state {params.state}"
        " --out {output.model} --history {output.history} --val {output.val} --threads {threads} --log {log}"


rule train:
    input:
        run=f"{OUT}/train/{{run}}/run.json",
        data=lambda wc: data(CFG.model(RUNS[wc.run].model).train_set),
        weights=lambda wc: edges(CFG.model(RUNS[wc.run].model).train_set, RUNS[wc.run].extractor),
        val_data=lambda wc: data(CFG.model(RUNS[wc.run].model).val_set),
        val_weights=lambda wc: edges(CFG.model(RUNS[wc.run].model).val_set, RUNS[wc.run].extractor),
        init=lambda wc: f"{OUT}/pretrain/{RUNS[wc.run].model}-s{RUNS[wc.run].seed}/model.safetensors",
        features=lambda wc: asset(CFG.model(RUNS[wc.run].model).features.asset),
        all_data=ancient(f"{OUT}/data/.complete"),
    output:
        model=f"{OUT}/train/{{run}}/model.safetensors",
        history=f"{OUT}/train/{{run}}/history.csv",
        val=f"{OUT}/train/{{run}}/val.csv",
    log:
        f"{OUT}/logs/train/{{run}}.log",
    benchmark:
        f"{OUT}/logs/train/{{run}}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        state=f"{STATE}/{{run}}",
        code=lambda wc: code("sa_sr.training.trainer", module_name("models", RUNS[wc.run].model)),
    shell:
        "sa-sr train {input.run} --data {input.data} --weights {input.weights} --val-data {input.val_data}"
        " --val-weights {input.val_weights} --init {input.init} --features {input.features} --state {params.state}"
        " --out {output.model} --history {output.history} --val {output.val} --threads {threads} --log {log}"
