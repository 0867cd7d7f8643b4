"""Figures: their size, that the panels show the very pixels, the choice of the window, and equal bytes every time."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined
from skimage import data as photos

from sa_sr.data.resize import imresize
from sa_sr.errors import UserError
from sa_sr.render import figures, style
from sa_sr.render.figures import choose_crop, figure_comparison, figure_edge_maps
from sa_sr.storage import h5_reader, h5_writer, put
from tests.drawn import read

REPORT = Path(__file__).parents[2] / "workflow" / "report"
WIDTH, GUTTER = 1432, 12
NAMES = {"Bicubic": "bicubic", "ESRGAN": "esrgan-none-s1", "SA-ESRGAN (lv)": "esrgan-local_variance-s1"}
NAMES |= {"SA-ESRGAN (canny)": "esrgan-canny-s1"}


def sharpened(image: np.ndarray, amount: float) -> np.ndarray:
    blurred = imresize(imresize(image.astype(float), 0.5), 2)
    return np.clip(image + amount * (image - blurred), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A photo of 468 x 312 pixels, its results by four methods, edge maps, and scores."""
    root = tmp_path_factory.mktemp("figures")
    hr = photos.coffee()[40:352, 60:528]
    lr = imresize(hr, 0.25)
    bicubic = imresize(lr, 4)
    results = [bicubic, *(sharpened(bicubic, amount) for amount in (2, 1, 0.5))]
    with h5_writer(root / "data/photos.h5", kind="images") as f:
        put(f, "hr/coffee", [hr])
        put(f, "lr/coffee", [lr])
    for method, result in zip(NAMES.values(), results, strict=True):
        with h5_writer(root / f"images/{method}/photos.h5") as f:
            put(f, "sr/coffee", [result])
    for name, channels in (("local_variance", 3), ("canny", 1)):
        with h5_writer(root / f"edges/photos/{name}.h5") as f:
            put(f, "weight/coffee", [hr[..., :channels]])
    with open(root / "frames.csv", "w", newline="") as f:
        rows = csv.writer(f)
        f.write("method,model,extractor,seed,dataset,item,frame,frames,metric,region,space,border,value\n")
        for i, method in enumerate(NAMES.values()):
            for metric, space, border in (("psnr", "rgb", 4), ("psnr", "y", 8), ("lpips", "rgb", 0)):
                rows.writerow([method, "", "", "", "photos", "coffee", 0, 1, metric, "all", space, border, i + border])
                rows.writerow([method, "", "", "", "photos", "coffee", 0, 1, metric, "flat", space, border, -1])
    return root


def inputs(folder: Path, count: int = 4) -> tuple[Path, dict[str, Path]]:
    sr = {name: folder / f"images/{method}/photos.h5" for name, method in list(NAMES.items())[:count]}
    return folder / "data/photos.h5", sr


def stored(path: Path, name: str) -> np.ndarray:
    with h5_reader(path) as f:
        return np.asarray(figures.frames(f, path, *name.split("/"))[0])


def test_edge_maps_stand_side_by_side_pixel_for_pixel(folder, tmp_path):
    """The photo is as wide as a panel, so that nothing needs to be resampled."""
    data, _ = inputs(folder)
    edges = {name: folder / f"edges/photos/{name}.h5" for name in ("local_variance", "canny")}
    hr = np.pad(stored(data, "hr/coffee"), ((0, 0), (0, 1), (0, 0)))  # 469 pixels
    with h5_writer(tmp_path / "data.h5") as f:
        put(f, "hr/wide", [hr])
    for name, path in edges.items():
        with h5_writer(tmp_path / f"{name}.h5") as f:
            put(f, "weight/wide", [np.pad(stored(path, "weight/coffee"), ((0, 0), (0, 1), (0, 0)))])
    maps = {"Local variance": tmp_path / "local_variance.h5", "Canny": tmp_path / "canny.h5"}
    figure_edge_maps(tmp_path / "data.h5", maps, "wide", 0, tmp_path / "figure1")
    drawn = read(tmp_path / "figure1.png")
    assert drawn.shape[1] == 3 * 469 + 2 * GUTTER
    left, middle, right = (drawn[:312, x : x + 469, 1].astype(int) for x in (0, 481, 962))
    np.testing.assert_array_equal(left, np.rint(hr @ np.array([0.299, 0.587, 0.114])))
    assert np.abs(middle - hr.mean(axis=2)).max() <= 0.5  # channels shown as their mean
    np.testing.assert_array_equal(right, hr[..., 0])  # one channel as it is
    assert (tmp_path / "figure1.pdf").read_bytes().startswith(b"%PDF")


def test_comparison_shows_the_pixels_of_every_result(folder, tmp_path):
    data, sr = inputs(folder)
    x, y, w, h = 200, 100, 117, 78
    figure_comparison(data, sr, "coffee", 0, tmp_path / "f.png", crop=(x, y, w, h))
    drawn = read(tmp_path / "f.png")
    assert drawn.shape[1] == 3 * 468 + 2 * GUTTER <= WIDTH
    row = drawn.shape[0] - (312 + style.CAPTION + style.LINE)
    places = [(480, 0), (960, 0), (0, row), (480, row), (960, row)]
    crops = [stored(data, "hr/coffee"), *(stored(path, "sr/coffee") for path in sr.values())]
    for (left, top), image in zip(places, crops, strict=True):
        enlarged = image[y : y + h, x : x + w].repeat(4, axis=0).repeat(4, axis=1)
        np.testing.assert_array_equal(drawn[top : top + 312, left : left + 468], enlarged)


def test_comparison_marks_the_window_in_the_whole_picture(folder, tmp_path):
    data, sr = inputs(folder)
    figure_comparison(data, sr, "coffee", 0, tmp_path / "f", crop=(200, 100, 117, 78))
    whole, hr = read(tmp_path / "f.png")[:312, :468].astype(int), stored(data, "hr/coffee")
    changed = np.argwhere(np.abs(whole - hr).sum(axis=2) > 0)  # shown 1:1, so that only the mark differs
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    np.testing.assert_allclose([left, top, right, bottom], [200, 100, 317, 178], atol=4)
    inside = (slice(105, 173), slice(205, 312))
    np.testing.assert_array_equal(whole[inside], hr[inside])


def test_a_free_place_goes_to_the_lr_input(folder, tmp_path):
    data, sr = inputs(folder, count=3)
    figure_comparison(data, sr, "coffee", 0, tmp_path / "f", crop=(200, 100, 116, 76))
    lr = stored(data, "lr/coffee")[25:44, 50:79].repeat(16, axis=0).repeat(16, axis=1)
    drawn = read(tmp_path / "f.png")
    np.testing.assert_array_equal(drawn[:304, 2 * (464 + GUTTER) :], lr)


def test_a_narrow_window_is_enlarged_by_a_whole_factor(folder, tmp_path):
    data, sr = inputs(folder)
    figure_comparison(data, sr, "coffee", 0, tmp_path / "f", crop=(0, 0, 100, 50))
    assert read(tmp_path / "f.png").shape[1] == 3 * 400 + 2 * GUTTER


def test_scores_are_printed_and_missing_ones_named(folder, tmp_path):
    data, sr = inputs(folder)
    args = {"crop": (200, 100, 117, 78), "scores": folder / "frames.csv"}
    figure_comparison(data, sr, "coffee", 0, tmp_path / "rgb", **args)
    figure_comparison(data, sr, "coffee", 0, tmp_path / "y", **args, space="y", border=8)
    rgb, y = read(tmp_path / "rgb.png"), read(tmp_path / "y.png")
    assert rgb.shape == y.shape
    differ = np.argwhere((rgb != y).any(axis=2))
    under = 312 + style.CAPTION + style.LINE
    assert under <= differ[:, 0].min() <= under + style.LINE  # the second line of the first row's captions
    with pytest.raises(UserError, match=r"frames\.csv: has no psnr of bicubic"):
        figure_comparison(data, sr, "coffee", 0, tmp_path / "f", **args, border=6)


def test_equal_input_gives_equal_bytes(folder, tmp_path):
    """In another process too, whose sets and dictionaries may be ordered differently."""
    data, sr = inputs(folder)
    edges = {"Canny": folder / "edges/photos/canny.h5"}

    def draw(out):
        figure_comparison(data, sr, "coffee", 0, out / "comparison", scores=folder / "frames.csv")
        figure_edge_maps(data, edges, "coffee", 0, out / "edges")

    draw(tmp_path / "here")
    program = (
        "from pathlib import *; from sa_sr.render.figures import *\n"
        f"out = Path({str(tmp_path / 'there')!r})\n"
        f"figure_comparison({data!r}, {sr!r}, 'coffee', 0, out / 'comparison', scores={folder / 'frames.csv'!r})\n"
        f"figure_edge_maps({data!r}, {edges!r}, 'coffee', 0, out / 'edges')\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(figures.__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    made = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert made == sorted(f"{name}.{kind}" for name in ("comparison", "edges") for kind in ("pdf", "png"))
    for name in made:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name


def test_user_settings_of_matplotlib_are_neither_used_nor_changed(folder, tmp_path):
    import matplotlib

    data, sr = inputs(folder)
    figure_comparison(data, sr, "coffee", 0, tmp_path / "a")
    with matplotlib.rc_context({"font.size": 30, "savefig.bbox": "tight", "figure.dpi": 50}):
        before = dict(matplotlib.rcParams)
        figure_comparison(data, sr, "coffee", 0, tmp_path / "b")
        assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_matplotlib_is_imported_only_to_draw():
    drawing = ", ".join(f"sa_sr.render.{name}" for name in ("curves", "figures", "plane", "sweep", "tables"))
    program = f"import sys, {drawing}; sys.exit('matplotlib' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(figures.__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": "tea"}, r"photos\.h5: has no hr/tea; there is: coffee"),
        ({"frame": 1}, r"hr/coffee has no frame 1; it has 1"),
        ({"crop": (400, 0, 100, 50)}, r"crop \[400, 0, 100, 50\].*468x312 pixels of coffee"),
        ({"crop": (-1, 0, 100, 50)}, "does not lie"),
    ],
)
def test_what_is_not_there_is_named(folder, tmp_path, change, message):
    data, sr = inputs(folder)
    with pytest.raises(UserError, match=message):
        figure_comparison(data, sr, **({"item": "coffee", "frame": 0, "out": tmp_path / "f"} | change))
    assert not list(tmp_path.iterdir())


def test_a_result_of_another_size_is_named(folder, tmp_path):
    data, sr = inputs(folder)
    with h5_writer(tmp_path / "small.h5") as f:
        put(f, "sr/coffee", [np.zeros((8, 8, 3), np.uint8)])
    with pytest.raises(UserError, match=r"small\.h5: coffee is \(8, 8, 3\)"):
        figure_comparison(data, sr | {"ESRGAN": tmp_path / "small.h5"}, "coffee", 0, tmp_path / "f")


# --- the choice of the window ---


@pytest.mark.parametrize("shape", [(312, 468), (64, 64), (32, 100), (31, 33)])
@pytest.mark.parametrize("size", [(32, 24), (100, 31), (1000, 1000)])
def test_the_window_lies_inside(shape, size):
    truth = photos.astronaut()[: shape[0], : shape[1]]
    size = (min(size[0], shape[1]), min(size[1], shape[0]))
    x, y, w, h = choose_crop(truth, [truth, 255 - truth], size)
    assert (w, h) == size
    assert 0 <= x <= shape[1] - w
    assert 0 <= y <= shape[0] - h


def test_the_window_is_where_the_results_differ():
    truth = photos.astronaut()
    other = truth.copy()
    other[300:340, 100:140] = 255 - other[300:340, 100:140]
    x, y, w, h = choose_crop(truth, [truth, other], (64, 64))
    assert x <= 100 <= 140 <= x + w
    assert y <= 300 <= 340 <= y + h


def test_the_window_is_where_the_detail_is_without_results_to_compare():
    truth = np.full((200, 300, 3), 128, np.uint8)
    truth[120:160, 200:240] = photos.astronaut()[:40, 200:240]
    x, y, w, h = choose_crop(truth, [truth], (48, 48))
    assert x <= 204 <= 236 <= x + w
    assert y <= 124 <= 156 <= y + h


def test_the_window_of_a_flat_picture_is_away_from_the_border():
    x, y, *_ = choose_crop(np.zeros((100, 100, 3), np.uint8), [], (32, 32))
    assert min(x, y) >= 8


# --- captions of the report ---

CONFIG = {
    "name": "demo",
    "seeds": [1, 2],
    "datasets": {"photos_test": {"kind": "images"}, "city_test": {"kind": "clips"}},
    "extractors": {"none": {}, "local_variance": {"window": 3, "delta": 0.03}, "canny": None},
    "models": {
        "esrgan": {
            "train_set": "photos_train",
            "val_set": "photos_val",
            "test_sets": ["photos_test", "city_test"],
            "patch": 64,
            "loss": {"gan": 0.005, "percep": 1, "beta1": 0.01, "beta2": {"none": 0, "local_variance": 20, "canny": 19}},
            "pretrain": {"steps": 40},
            "train": {"steps": 30, "batch": 8, "val_every": 10},
        },
        "vsrresfeatgan": None,
    },
    "tables": {
        "table2": {"model": "esrgan", "dataset": "city_test", "label": "City (for Vid4)", "space": "y", "border": 8}
        | {"subset": "interior", "published": "table2"},
        "mine": {"model": "esrgan", "dataset": "photos_test", "label": "photos", "space": "rgb", "border": 4},
    },
    "figures": {
        "edge_maps": {"figure1": {"dataset": "photos_test", "item": "coffee"}},
        "comparisons": {
            "figure8": {"model": "esrgan", "dataset": "photos_test", "item": "coffee"},
            "figure9": {"model": "esrgan", "dataset": "city_test", "item": "a_1", "frame": 0, "crop": [1, 2, 30, 40]},
        },
    },
    "sweeps": {
        "sweep_beta2": {"model": "esrgan", "extractor": "canny", "key": "beta2", "values": [5, 80]}
        | {"dataset": "photos_test"},
    },
}


@pytest.mark.parametrize(
    ("name", "wildcards", "facts"),
    [
        ("workflow", {}, ["demo", "ESRGAN", "30 steps as a GAN", "20 for", "19 for", "2 seeds"]),
        (
            "table",
            {"table": "table2"},
            ["City (for Vid4)", "How they were measured stands above", "it measured other footage"],
        ),
        ("table", {"table": "mine"}, ["photos", "How they were measured stands above"]),
        ("figure1", {"edge_maps": "figure1"}, ["coffee", "window 3, delta 0.03", "default parameters"]),
        ("comparison", {"comparison": "figure8"}, ["coffee", "by rule"]),
        ("comparison", {"comparison": "figure9"}, ["frame 0", "by hand (1, 2, 30, 40"]),
        ("sweep", {"sweep": "sweep_beta2"}, ["ESRGAN over beta2 of canny", "trained with 5, 80", "95 % interval"]),
        ("plane", {}, ["Blau and Michaeli", "of a table or a sweep", "joined in their order"]),
        ("curves", {"model": "esrgan"}, ["30 steps", "20 for", "15 %", "Every 10 steps"]),
    ],
)
@pytest.mark.filterwarnings("ignore:Argument .writer_name.")
def test_captions_state_the_facts_and_are_sound_rst(name, wildcards, facts):
    template = Environment(undefined=StrictUndefined).from_string((REPORT / f"{name}.rst").read_text())
    text = template.render(snakemake=SimpleNamespace(config=CONFIG, wildcards=SimpleNamespace(**wildcards)))
    html = publish_parts(text, writer_name="html", settings_overrides={"halt_level": 2}).get("html_body", "")
    plain = " ".join("".join(part.partition(">")[2] for part in ("x>" + html).split("<")).split())
    for fact in facts:
        assert fact in plain
