"""What `sa-sr check` tells of an experiment before it is run."""

import copy
import shutil
import socket
import zipfile
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import skimage
import torch
import yaml
from PIL import Image
from pydantic import TypeAdapter
from typer.testing import CliRunner

from sa_sr.check import check, disk
from sa_sr.check.data import ASSETS, FRAME_RATE, JPEG, PNG, VIDEO, hr_bytes, look, needed
from sa_sr.check.disk import STORED, _training_bytes
from sa_sr.check.hours import ON_CPU, Rate, rates
from sa_sr.check.networks import Network, Pair, build
from sa_sr.check.part import Part, size
from sa_sr.cli import app
from sa_sr.config import ClipSource, Dataset, Source, load
from sa_sr.data.prepare import prepare
from sa_sr.data.presence import used

ROOT = Path(__file__).parents[2]
PHOTO = Image.open(Path(skimage.__path__[0]) / "data/coffee.png")
STAGE = {"steps": 7, "batch": 2, "val_every": 2}
TINY = {
    "name": "tiny",
    "datasets": {
        **{f"photos_{r}": {"kind": "images", "sources": [{"folder": f"photos/{r}"}]} for r in ("train", "val")},
        **{f"clips_{r}": {"kind": "clips", "sources": [{"folder": f"clips/{r}"}]} for r in ("train", "val", "test")},
    },
    "extractors": {"none": {}, "local_variance": {}},
    "models": {
        "esrgan": {
            "train_set": "photos_train",
            "val_set": "photos_val",
            "test_sets": ["clips_test"],
            "patch": 32,
            "generator": {"num_feat": 8, "num_block": 1, "num_grow_ch": 4},
            "discriminator": {"num_feat": 4},
            "features": {"asset": "vgg19_oxford_q8.bin", "layer": "conv2_2"},
            "loss": {"gan": 0.005, "percep": 1, "beta1": 0.01, "beta2": {"none": 0, "local_variance": "auto"}},
            "pretrain": {"steps": 0, "batch": 2, "val_every": 1},
            "train": STAGE,
        },
        "vsrresfeatgan": {
            "train_set": "clips_train",
            "val_set": "clips_val",
            "test_sets": ["clips_test"],
            "patch": 36,
            "generator": {"num_feat": 8, "num_block": 1},
            "discriminator": {"channels": [4, 8, 8]},
            "features": {"asset": "vgg19_oxford_q8.bin", "layer": "conv2_2"},
            "loss": {"gan": 0.005, "percep": 1, "beta1": 0.01, "beta2": {"none": 0, "local_variance": 5}},
            "pretrain": {**STAGE, "steps": 9},
            "train": STAGE,
        },
    },
}


def tiny(**edits):
    """The tiny experiment with values set by dotted paths."""
    values = copy.deepcopy(TINY)
    for path, value in edits.items():
        *parents, last = path.split("__")
        section = values
        for key in parents:
            section = section[key]
        section[last] = value
    return values


def frames(folder: Path, count: int) -> None:
    """A clip of so many small pictures."""
    folder.mkdir(parents=True)
    for t in range(count):
        PHOTO.crop((t, 0, t + 70, 50)).save(folder / f"{t:03d}.png")


def video(path: Path, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 96, 64
        for t in range(count):
            container.mux(stream.encode(av.VideoFrame.from_image(PHOTO.crop((t, 0, t + 96, 64)))))
        container.mux(stream.encode())


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder to run in, without a network, with all data of the tiny experiment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("the network was used"))
    for role in ("train", "val"):
        (tmp_path / "photos" / role).mkdir(parents=True)
        PHOTO.crop((0, 0, 101, 90)).save(tmp_path / f"photos/{role}/coffee.png")
    for role in ("train", "val", "test"):
        frames(tmp_path / f"clips/{role}/pan", 5)
    return tmp_path


def checked(values, measure=False) -> dict[str, Part]:
    return {part.title.partition(",")[0].partition(":")[0]: part for part in check(values, "x.yaml", measure)}


def sa_sr_check(folder: Path, values, *options: str):
    (folder / "x.yaml").write_text(yaml.safe_dump(values))
    return CliRunner().invoke(app, ["check", str(folder / "x.yaml"), *options])


def test_the_papers_networks_have_their_published_sizes(place):
    config = load(yaml.safe_load((ROOT / "config/paper.yaml").read_text()))
    esrgan, video = (build(config, model) for model in config.chosen_models)
    assert (esrgan.generator.parameters, esrgan.discriminator.parameters) == (16_697_987, 14_499_401)
    assert video.generator.parameters == 1_332_675
    assert (esrgan.generator.takes, esrgan.generator.gives) == ((16, 3, 32, 32), (16, 3, 128, 128))
    assert (video.generator.takes, video.discriminator.gives) == ((64, 5, 3, 36, 36), (64, 1))


@pytest.mark.parametrize(
    ("edits", "problem"),
    [
        ({"models__vsrresfeatgan__generator__num_feat": 2}, "vsrresfeatgan: identity_init needs num_feat >= 3"),
        ({"models__esrgan__train__batch": 1}, "esrgan: Expected more than 1 value per channel"),  # batch norm's
    ],
)
def test_networks_that_cant_be_built_or_run_are_named(place, edits, problem):
    part = checked(tiny(**edits))["Networks"]
    assert part.problems[0].startswith(problem)
    assert problem in str(part)
    assert len(part.rows) == 1 + 2  # the other model is still told of


def test_an_extractor_that_fails_is_named(place):
    beta2 = {"none": 0, "local_variance": 1, "canny": 1}
    values = tiny(
        extractors__canny={"low": 200, "high": 100}, models__esrgan__loss__beta2=beta2,
        models__vsrresfeatgan__loss__beta2=beta2,
    )  # fmt: skip
    part = checked(values)["Extractors"]
    assert part.problems == ["canny: canny: 0 <= low <= high is needed, got low 200.0 and high 100.0"]
    assert [row[0] for row in part.rows] == ["", "none", "local_variance"]


def test_data_of_ones_own_are_there_or_lacking(place):
    (place / "photos/val/coffee.png").unlink()
    values = tiny()
    values["datasets"]["photos_val"]["sources"][0]["note"] = "Ask the owner."
    part = checked(values)["Data"]
    states = {row[0]: row[2] for row in part.rows}
    assert (states["photos_train"], states["photos_val"]) == ("there", "lacking")
    assert part.problems == ["photos/val: no folder with images or videos"]
    assert "Ask the owner." in str(part)


def test_assets_are_there_or_to_be_downloaded(place):
    values = tiny(assets={"odd.png": {"about": "", "licence": "", "sha256": "0" * 64, "sources": [{"path": "x"}]}})
    values["datasets"]["photos_val"]["sources"] = [{"asset": "china.jpg"}, {"asset": "odd.png"}]
    parts = checked(values)
    assert ("weights", "vgg19_oxford_q8.bin", "to download", "20.1 MB") in parts["Data"].rows
    assert ("photos_val", "china.jpg, odd.png", "to download", "size not published") in parts["Data"].rows
    assert "Not counted: 1 downloads" in str(parts["Disk"])
    (place / "results/assets").mkdir(parents=True)
    with open("results/assets/vgg19_oxford_q8.bin", "wb") as f:
        f.truncate(20063401)
    (place / "results/assets/china.jpg").write_bytes(b"cut off")
    part = checked(values)["Data"]
    assert ("weights", "vgg19_oxford_q8.bin", "there", "20.1 MB") in part.rows
    assert part.problems == ["results/assets/china.jpg: has 7 bytes, expected 196653; delete it"]


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("images", {"folder": "photos/train", "reduce": 2}),
        ("images", {"folder": "photos/train", "crop": [3, 4, 50, 61]}),
        ("images", {"file": "photos.zip", "omit": ["val/*"]}),
        ("clips", {"folder": "clips/train", "stride": 1}),
        ("clips", {"file": "video.mp4", "scenes": [[0, 12], [14, 30]], "stride": 2, "max_frames": 7}),
        ("clips", {"file": "video.mp4", "ends": [1, 2.5, 3], "take": [1, 3]}),
        ("clips", {"file": "video.mpg", "crop": [0, 0, 40, 40]}),
        ("clips", {"file": "clips.zip", "only": ["train/*"]}),
    ],
)
def test_pictures_are_counted_as_they_will_be_made(place, kind, source):
    for name in ("photos", "clips"):
        with zipfile.ZipFile(f"{name}.zip", "w") as box:
            for file in sorted(Path(name).rglob("*.png")):
                box.write(file, file.relative_to(name))
    for name in ("video.mp4", "video.mpg"):
        video(place / name, 30)
    dataset = TypeAdapter(Dataset).validate_python({"kind": kind, "sources": [source]})
    prepare(dataset, place, place / "out.h5")
    with h5py.File("out.h5") as f:
        assert hr_bytes(dataset.sources[0]) == sum(hr.nbytes for hr in f["hr"].values())


def test_a_picture_that_cant_be_read_is_found(place):
    (place / "photos/train/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    (problem,) = checked(tiny())["Data"].problems
    assert problem.startswith("photos/train/broken.png: can't be read as an image")


def test_what_is_not_there_is_estimated(place):
    config = load(yaml.safe_load((ROOT / "config/paper.yaml").read_text()))
    div2k, scenes = (look(config, config.datasets[name].sources[0]) for name in ("div2k", "myanmar_test"))
    assert not div2k.there
    assert div2k.hr == pytest.approx(PNG * config.asset("DIV2K_train_HR.zip").bytes)
    ends = config.datasets["myanmar_test"].sources[0].ends
    assert scenes.hr == pytest.approx(3 * 960 * 540 * FRAME_RATE * (ends[58] - ends[52]))


def test_parts_of_one_download_are_not_counted_several_times(place):
    config = load(yaml.safe_load((ROOT / "config/paper-reds.yaml").read_text()))
    names = ["reds_train", "reds_val", "reds_test"]
    hr = sum(look(config, config.datasets[name].sources[0]).hr for name in names)
    assert hr == pytest.approx(PNG * config.asset("REDS_train_sharp.zip").bytes)


@pytest.mark.parametrize("kind", ["images", "clips"])
def test_the_factors_are_those_of_the_demos_files(kind):
    """Whoever changes how files are stored, or the demo's pictures, measures again."""
    demo = ROOT / "results/demo"
    if not (demo / "data/.complete").exists():
        pytest.skip("the demo has not run here")
    hr, found = {}, {"data": [], "images": [], "none": [], "local_variance": [], "canny": []}
    for file in demo.glob("data/*.h5"):
        with h5py.File(file) as f:
            if f.attrs["kind"] == kind:
                hr[file.stem] = sum(item.nbytes for item in f["hr"].values())
    for file in demo.glob("*/**/*.h5"):
        dataset, what = {
            "data": (file.stem, "data"),
            "images": (file.stem, "images"),
            "edges": (file.parent.name, file.stem),
        }[file.relative_to(demo).parts[0]]
        if dataset in hr:
            found[what].append((file.stat().st_size, hr[dataset]))
    measured = {what: np.sum(pairs, 0)[0] / np.sum(pairs, 0)[1] for what, pairs in found.items()}
    stored = STORED[kind]
    assert {"data": stored.data, "images": stored.images, **stored.edges} == pytest.approx(measured, rel=0.15)


@pytest.mark.parametrize(("suffixes", "factor"), [(".png", PNG), (".jpg", JPEG), (".mpg .mp4", VIDEO)])
def test_the_factors_of_files_are_those_of_the_demos(monkeypatch, suffixes, factor):
    config = load(yaml.safe_load((ROOT / "config/demo.yaml").read_text()))
    names = [name for name in needed(config) if Path(name).suffix in suffixes.split()]
    monkeypatch.chdir(ROOT)
    if not all((ASSETS / name).is_file() for name in names):
        pytest.skip("the demo's files are not here")
    kind = ClipSource if factor == VIDEO else Source
    pixels = sum(hr_bytes(kind(asset=name)) for name in names)
    assert factor == pytest.approx(pixels / sum(config.asset(name).bytes for name in names), rel=0.15)


def test_the_disk_has_to_suffice(place, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    (problem,) = checked(tiny())["Disk"].problems
    assert problem.startswith("disk: results/ and state/ need about")
    assert problem.endswith("more, 1.0 kB are free")


def test_what_was_written_before_needs_no_room_again(place, monkeypatch):
    whole = disk.part(*survey(tiny()))
    (place / "state/tiny").mkdir(parents=True)
    with open("state/tiny/last.pt", "wb") as f:
        f.truncate(3_000_000)
    assert ("of it there already", "0 B") in whole.rows
    assert ("of it there already", "3.0 MB") in disk.part(*survey(tiny())).rows


def survey(values):
    config = load(values)
    built = {name: build(config, name) for name in config.chosen_models}
    found = {name: [look(config, s) for s in config.datasets[name].sources] for name in used(config)}
    return config, built, found


def test_a_training_state_holds_both_networks_their_moments_and_the_best_generator():
    built = {"esrgan": Pair(Network("g", 10, (), ()), Network("d", 1, (), ()))}
    config = load(tiny(models__esrgan__train={**STAGE, "ema": 0.9}))
    weights, states = _training_bytes(config, built)
    assert weights == 4 * 10 * (1 + 2)
    assert states == 4 * (4 * 10) + 2 * 4 * (3 * 11 + 10 + 10)


def test_hours_are_steps_times_seconds_over_all_trainings(place):
    config = load(tiny(seeds=[1, 2]))
    esrgan, video = (rates(config, model, ON_CPU) for model in config.chosen_models)
    assert [(r.stage, r.steps, r.trainings) for r in esrgan] == [("train", 7, 2 * 2)]  # pretraining has no steps
    assert [(r.stage, r.steps, r.trainings) for r in video] == [("pretrain", 9, 2), ("train", 7, 2 * 2)]
    assert all(0 < r.seconds < 60 for r in esrgan + video)
    assert Rate("esrgan", "train", 100, 3, 36.0).hours == 3


def test_without_a_gpu_hours_are_measured_only_if_wanted(place, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "Run `sa-sr check x.yaml` on the machine that will train" in str(checked(tiny())["GPU hours"])
    part = checked(tiny(), measure=True)["CPU hours"]
    assert [row[:2] for row in part.rows] == [
        ("", "stage"), ("esrgan", "train"), ("esrgan", "all"), ("vsrresfeatgan", "pretrain"),
        ("vsrresfeatgan", "train"), ("vsrresfeatgan", "all"), ("total", ""),
    ]  # fmt: skip


def test_a_training_that_does_not_fit_is_a_problem(place, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("out of memory\nand more")

    monkeypatch.setattr("sa_sr.check.hours.seconds_per_step", full)
    part = checked(tiny(), measure=True)["CPU hours"]
    assert part.problems == [f"{model} can't be trained here: out of memory" for model in ("esrgan", "vsrresfeatgan")]


def test_ready(place):
    done = sa_sr_check(place, tiny())
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "Configuration"
    assert done.stdout.splitlines()[-1] == "ready"
    assert {p.name for p in place.iterdir()} == {"photos", "clips", "x.yaml"}  # nothing was written


def test_not_ready(place):
    """All is told, and the last line says what is wrong."""
    (place / "photos/val/coffee.png").unlink()
    done = sa_sr_check(place, tiny(models__esrgan__train__batch=1))
    assert done.exit_code == 1
    assert "GPU hours" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("not ready: esrgan: Expected more than 1 value per channel")
    assert last.endswith("photos/val: no folder with images or videos")


@pytest.mark.parametrize(
    ("text", "message"),
    [("sedes: [1]", "unknown key 'sedes'; did you mean 'seeds'"), ("a: [", "not a readable YAML file"), ("", "x.yaml")],
)
def test_a_configuration_that_is_not_valid_is_told_as_everywhere(place, text, message):
    (place / "x.yaml").write_text(text)
    done = CliRunner().invoke(app, ["check", "x.yaml"])
    assert done.exit_code == 1
    assert message in str(done.exception)
    assert not done.stdout


def test_sizes_are_readable():
    sizes = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 34_261_573_976: "34.3 GB", 2e15: "2000.0 TB"}
    assert {count: size(count) for count in sizes} == sizes
