"""What Snakemake would do, and what it says about mistakes, before anything runs."""

import json
import re
import shlex
from itertools import pairwise

import pytest
import yaml
from PIL import Image

from tests.workflow.conftest import ROOT


def test_the_demo_is_exactly_these_jobs(demo):
    models, extractors, swept = 2, 3, 2
    runs = models * extractors + swept
    tested = 3 * 3 + 3 * 2 + swept  # ESRGAN's three test sets and VSRResFeatGAN's two; a sweep has one
    assert demo.planned() == {
        "download": len(used_assets(demo.config)),
        "prepare": 7,
        "extract_edges": 4 * 3 + 2,  # training and validation sets; the photo of Figure 1 without `none`
        "resolve_pretrain": models,
        "resolve": runs,
        "pretrain": models,
        "calibrate": runs - models,  # none has no spatially adaptive part
        "train": runs,
        "bicubic": 3,
        "super_resolve": tested,
        "evaluate": tested + 3,
        "aggregate": 1,
        "statistics": 1,
        "table": 5,
        "details": 5,
        "claims": 1,
        "shares": 1,
        "health": 1,
        "edge_maps": 1,
        "comparison": 3,
        "curves": models,
        "plane": 1,
        "sweep": 1,
        "results_page": 1,
        "all": 1,
    }


def test_the_results_page_links_only_what_it_waits_for(demo):
    shown = demo.snakemake("--dry-run", "--printshellcmds", "--nocolor").stdout
    (command,) = re.findall(r"sa-sr results-page (.*) --spec", shown)
    made = {"tables/table1.tex", "tables/shares.md", "figures/plane.pdf", "figures/sweep_beta2.pdf", "claims.csv"}
    assert {f"results/demo/{name}" for name in (*made, "evaluation/frames.parquet")} <= set(command.split())


def test_claims_are_judged_by_the_tables_in_the_order_of_their_numbers(demo):
    demo.config["tables"]["table10"] = demo.config["tables"]["table2"]
    shown = demo.snakemake("--dry-run", "--printshellcmds", "--nocolor", "results/demo/claims.csv").stdout
    (command,) = re.findall(r"sa-sr claims .*", shown)
    words = shlex.split(command)
    numbers = [name.removeprefix("table") for name in json.loads(words[words.index("--tables") + 1])]
    assert numbers.index("2") < numbers.index("10")


def test_braces_in_texts_are_no_wildcards(demo):
    """Of a label in the tables, on the page and in the judgement of claims, and of a claim."""
    label = "Vid$_{4}$ {F1} {} {table} {"
    demo.config["tables"]["table1"]["label"] = label
    statement = "better in {F1} {\\"
    claims = yaml.safe_load((ROOT / "config/claims.yaml").read_text())
    next(iter(claims["claims"].values()))["statement"] = statement
    (demo.folder / "config").mkdir()
    (demo.folder / "config/claims.yaml").write_text(yaml.safe_dump(claims))
    shown = demo.snakemake("--dry-run", "--printshellcmds", "--nocolor")
    assert shown.returncode == 0, shown.stderr
    said = []
    for line in re.findall(r"sa-sr (?:claims|results-page|table|details) .*", shown.stdout):
        words = shlex.split(line)
        said += [json.loads(after) for word, after in pairwise(words) if word in ("--spec", "--tables", "--claims")]
    assert str(said).count(repr(label)[1:-1]) == 4
    assert str(said).count(repr(statement)[1:-1]) == 1


def used_assets(config):
    used = {source["asset"] for d in config["datasets"].values() for source in d["sources"]}
    used |= {model["features"]["asset"] for model in config["models"].values()}
    return used | {config["models"]["esrgan"]["init"], "alexnet.ckpt"}


def test_a_seed_more_trains_both_models_and_all_variants_again(demo):
    demo.config["seeds"] = [1, 2]
    planned = demo.planned()
    assert (planned["pretrain"], planned["train"]) == (4, 16)


def test_one_model_alone_can_be_run(demo):
    del demo.config["models"]["vsrresfeatgan"]
    for name in ("table3", "table4"):
        del demo.config["tables"][name]
    del demo.config["figures"]["comparisons"]["figure10"]
    planned = demo.planned()
    assert (planned["train"], planned["table"]) == (3 + 2, 3)


def test_a_misspelt_key_stops_the_start_and_is_named(demo):
    demo.config["models"]["esrgan"]["train"]["bacth"] = 4
    done = demo.snakemake()
    assert done.returncode != 0
    assert "models.esrgan.train: unknown key 'bacth'; did you mean 'batch'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (demo.folder / "results").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("photos_test", "broken.png: can't be read as an image"),
        ("clips_train", "clip 'short' has 4 frames, but the video model needs 5"),
    ],
)
def test_bad_data_stop_before_any_training(tiny, tmp_path, name, message):
    """Even where the bad data set is one that only the tests need."""
    work = tiny.copy(tmp_path)
    if name == "photos_test":
        (tmp_path / "photos/test/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    else:
        (tmp_path / "clips/train/short").mkdir()
        for t in range(4):
            Image.new("RGB", (96, 96)).save(tmp_path / f"clips/train/short/{t}.png")
    done = work.snakemake()
    assert done.returncode != 0
    assert message in done.stderr
    assert not (tmp_path / f"results/tiny/data/{name}.h5").exists()
    assert not (tmp_path / "state").exists()
