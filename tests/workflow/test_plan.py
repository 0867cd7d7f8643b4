"""What Snakemake would do, and what it says about mistakes, before anything runs."""

import pytest
from PIL import Image


def test_the_demo_is_exactly_these_jobs(demo):
    models, extractors = 2, 3
    runs = models * extractors
    tested = 3 * 3 + 3 * 2  # ESRGAN's three test sets and VSRResFeatGAN's two
    assert demo.planned() == {
        "download": len(used_assets(demo.config)),
        "prepare": 7,
        "extract_edges": 4 * 3 + 2,  # training and validation sets; the photo of Figure 1 without `none`
        "resolve_pretrain": models,
        "resolve": runs,
        "pretrain": models,
        "train": runs,
        "bicubic": 3,
        "super_resolve": tested,
        "evaluate": tested + 3,
        "aggregate": 1,
        "table": 4,
        "edge_maps": 1,
        "comparison": 3,
        "curves": models,
        "all": 1,
    }


def used_assets(config):
    used = {source["asset"] for d in config["datasets"].values() for source in d["sources"]}
    used |= {model["features"]["asset"] for model in config["models"].values()}
    return used | {config["models"]["esrgan"]["init"], config["evaluation"]["lpips"]}


def test_a_seed_more_trains_both_models_and_all_variants_again(demo):
    demo.config["seeds"] = [1, 2]
    planned = demo.planned()
    assert (planned["pretrain"], planned["train"]) == (4, 12)


def test_one_model_alone_can_be_run(demo):
    del demo.config["models"]["vsrresfeatgan"]
    for name in ("table3", "table4"):
        del demo.config["tables"][name]
    del demo.config["figures"]["comparisons"]["figure10"]
    planned = demo.planned()
    assert (planned["train"], planned["table"]) == (3, 2)


def test_a_misspelt_key_stops_the_start_and_is_named(demo):
    demo.config["models"]["esrgan"]["train"]["bacth"] = 4
    done = demo.snakemake()
    assert done.returncode != 0
    assert "models.esrgan.train: unknown key 'bacth'; did you mean 'batch'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (demo.folder / "results").exists()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("image", "broken.png: can't be read as an image"),
        ("clip", "clip 'short' has 4 frames, but the video model needs 5"),
    ],
)
def test_bad_data_stop_before_any_training(tiny, tmp_path, kind, message):
    """Everything that a training needs is behind `prepare`, whose message is shown."""
    if kind == "image":
        place = tmp_path / "data"
        place.mkdir()
        (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
        edit = ("photos_train", {"kind": "images", "sources": [{"folder": str(place)}]})
    else:
        place = tmp_path / "data" / "short"
        place.mkdir(parents=True)
        for t in range(4):
            Image.new("RGB", (96, 96)).save(place / f"{t}.png")
        edit = ("clips_train", {"kind": "clips", "sources": [{"folder": str(place.parent)}]})
    name, section = edit
    tiny = type(tiny)(tmp_path, {**tiny.config, "datasets": {**tiny.config["datasets"], name: section}})
    done = tiny.snakemake(f"results/tiny/edges/{name}/canny.h5")
    assert done.returncode != 0
    assert message in done.stderr
    assert not list(tmp_path.glob("results/tiny/train/*/model.safetensors"))
    assert not (tmp_path / f"results/tiny/data/{name}.h5").exists()
