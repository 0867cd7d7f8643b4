# Two stages for each model: PSNR-oriented pretraining, then one GAN training per extractor. The training state is no
# declared output, for Snakemake deletes those of a failed job. `gpu` is the number of devices that share one training.


rule resolve_pretrain:
    output:
        f"{OUT}/pretrain/{{model}}-s{{seed}}/run.json",
    log:
        f"{OUT}/logs/resolve/{{model}}-s{{seed}}.log",
    params:
        spec=lambda wc: CFG.pretrain_spec(wc.model, int(wc.seed)).canonical(),
        code=code("resolve"),
    shell:
        "sa-sr resolve --spec {params.spec:q} --out {output} --log {log}"


rule resolve:
    input:
        lambda wc: calibration(wc.run) if CFG.is_auto(RUNS[wc.run]) else [],
    output:
        f"{OUT}/train/{{run}}/run.json",
    log:
        f"{OUT}/logs/resolve/{{run}}.log",
    params:
        spec=lambda wc: CFG.train_spec(RUNS[wc.run]).canonical(),
        calibration=lambda wc, input: option("calibration", input),
        code=code("resolve"),
    shell:
        "sa-sr resolve --spec {params.spec:q} {params.calibration} --out {output} --log {log}"


rule calibrate:
    input:
        unpack(lambda wc: learns_from(wc.run)),
    output:
        f"{OUT}/train/{{run}}/calibration.json",
    log:
        f"{OUT}/logs/calibrate/{{run}}.log",
    benchmark:
        f"{OUT}/logs/calibrate/{{run}}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=lambda wc: CFG.calibrate_spec(RUNS[wc.run]).canonical(),
        weights=lambda wc, input: option("weights", input.get("weights")),
        code=lambda wc: code("calibrate", *CFG.train_spec(RUNS[wc.run]).modules),
    shell:
        "sa-sr calibrate --spec {params.spec:q} --data {input.data} {params.weights} --init {input.init}"
        " --features {input.features} --out {output} --threads {threads} --log {log}"


rule pretrain:
    input:
        run=f"{OUT}/pretrain/{{model}}-s{{seed}}/run.json",
        data=lambda wc: data(CFG.model(wc.model).train_set),
        weights=lambda wc: edges(CFG.model(wc.model).train_set, "none"),
        val_data=lambda wc: data(CFG.model(wc.model).val_set),
        val_weights=lambda wc: edges(CFG.model(wc.model).val_set, "none"),
        init=lambda wc: asset(CFG.model(wc.model).init),
        others=lambda wc: missing_before(f"{OUT}/pretrain/{wc.model}-s{wc.seed}/model.safetensors"),
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
        init=lambda wc, input: option("init", input.get("init")),
        launch=lambda wc, resources: launch(resources, CFG.model(wc.model).pretrain.batch),
        code=lambda wc: code("pretrain", module_name("models", wc.model)),
    shell:
        "{params.launch}sa-sr pretrain {input.run} --data {input.data} --weights {input.weights}"
        " --val-data {input.val_data} --val-weights {input.val_weights} {params.init} --state {params.state}"
        " --out {output.model} --history {output.history} --val {output.val}"
        " --devices {resources.gpu} --threads {threads} --log {log}"


rule train:
    input:
        unpack(lambda wc: learns_from(wc.run)),
        unpack(lambda wc: validated_on(wc.run)),
        run=f"{OUT}/train/{{run}}/run.json",
        others=lambda wc: missing_before(f"{OUT}/train/{wc.run}/model.safetensors"),
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
        weights=lambda wc, input: option("weights", input.get("weights")),
        val_weights=lambda wc, input: option("val-weights", input.get("val_weights")),
        launch=lambda wc, resources: launch(resources, CFG.model(RUNS[wc.run].model).train.batch),
        code=lambda wc: code("train", *CFG.train_spec(RUNS[wc.run]).modules),
    shell:
        "{params.launch}sa-sr train {input.run} --data {input.data} {params.weights} --val-data {input.val_data}"
        " {params.val_weights} --init {input.init} --features {input.features} --state {params.state}"
        " --out {output.model} --history {output.history} --val {output.val}"
        " --devices {resources.gpu} --threads {threads} --log {log}"
