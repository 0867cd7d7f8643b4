"""Figures of sweeps and of the perception-distortion plane: what is drawn where, and labels that keep apart."""

import csv
import json
import math
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa_sr.errors import UserError
from sa_sr.render import plane, style, sweep
from sa_sr.render.placing import Scene, arrange
from sa_sr.render.plane import PlaneSpec, figure_plane
from sa_sr.render.sweep import SweepSpec, figure_sweep
from tests.drawn import has_colour, read

# the demo's ESRGAN on photos_test: LPIPS, PSNR and SSIM of the baseline and of Canny with these beta2, differences with
# their intervals, and the shares in training
BASELINE = {"lpips": 0.264848, "psnr": 25.729, "ssim": 0.774}
DIFFERENCES = {
    "canny.beta2_5": ((0.0004, 0.0, 0.0008), (0.234, 0.17, 0.32), (0.0037, 0.0024, 0.0053), 0.048),
    "canny": ((-0.0015, -0.0027, -0.0003), (0.57, 0.45, 0.75), (0.0114, 0.0076, 0.0153), 0.165),
    "canny.beta2_80": ((-0.0023, -0.005, 0.0003), (0.97, 0.7, 1.29), (0.021, 0.0144, 0.0316), 0.44),
}
WHERE = {"model": "esrgan", "dataset": "photos_test", "subset": "all", "region": "all"}
QUANTITIES = {"lpips": ("rgb", 0), "psnr": ("rgb", 4), "ssim": ("rgb", 4)}
SPEC = SweepSpec(
    extractors=("none", "local_variance", "canny"), model="esrgan", extractor="canny", key="beta2",
    points=(("canny.beta2_5", 5.0), ("canny", 20.0), ("canny.beta2_80", 80.0)),
    dataset="photos_test", space="rgb", border=4, subset="all",
)  # fmt: skip
ORANGE = style.COLOURS[2]


def write(path: Path, rows: list[dict]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as f:
        table = csv.DictWriter(f, rows[0])
        table.writeheader()
        table.writerows(rows)
    return path


def differences() -> list[dict]:
    """Rows of differences.csv, and others that are of something else."""
    rows = []
    for extractor, (*measured, _) in DIFFERENCES.items():
        for (metric, (space, border)), (difference, low, high) in zip(QUANTITIES.items(), measured, strict=True):
            row = WHERE | {"extractor": extractor, "metric": metric, "space": space, "border": border}
            row |= {"value": BASELINE[metric] + difference, "baseline": BASELINE[metric], "difference": difference}
            row |= {"low": low, "high": high, "unit": "images", "units": 6, "seeds": 1}
            rows.append(row | {"p_holm": 0.03, "verdict": "undecided"})
    others = [{"region": "edge"}, {"model": "vsrresfeatgan"}, {"dataset": "city_test"}, {"subset": "interior"}]
    return rows + [row | other | {"value": 99, "low": 99} for row in rows for other in others]


def shares(beta2: tuple[float, ...] = (5, 20, 80)) -> list[dict]:
    trained = zip(DIFFERENCES.items(), beta2, strict=True)
    return [
        {"model": "esrgan", "extractor": extractor, "seed": 1, "beta2": weight, "share_in_training": share}
        for (extractor, (*_, share)), weight in trained
    ]


@pytest.fixture
def tables(tmp_path) -> tuple[Path, Path]:
    return write(tmp_path / "differences.csv", differences()), write(tmp_path / "shares.csv", shares())


@pytest.fixture
def drawn(monkeypatch):
    """The matplotlib figures that are drawn, to look into."""
    figures, original = [], style.figure

    @contextmanager
    def figure(*arguments):
        with original(*arguments) as fig:
            figures.append(fig)
            yield fig

    monkeypatch.setattr(style, "figure", figure)
    return figures


def points(ax) -> list[tuple[float, float]]:
    """Where markers stand, the baseline's and the lines' left out."""
    marks = [line for line in ax.lines if line.get_marker() == "o" and line.get_color() != style.COLOURS[0]]
    return [tuple(float(value[0]) for value in line.get_data()) for line in marks]


def footnote(fig) -> str:
    return " ".join(text.get_text() for text in fig.texts)


def test_points_are_the_baseline_plus_the_difference_and_bars_its_interval(tables, tmp_path, drawn):
    figure_sweep(*tables, SPEC, tmp_path / "f")
    for ax, (metric, i) in zip(drawn[0].axes, {"lpips": 0, "psnr": 1, "ssim": 2}.items(), strict=False):
        base, found = BASELINE[metric], [measured[i] for measured in DIFFERENCES.values()]
        assert points(ax) == [(x, pytest.approx(base + d)) for x, (d, _, _) in zip((5, 20, 80), found, strict=True)]
        bars = [sorted(c.get_segments()[0][:, 1]) for c in ax.collections]
        assert bars == [pytest.approx([base + low, base + high]) for _, low, high in found]
        assert ax.lines[0].get_ydata()[0] == base
        assert ax.get_xscale() == "log"
    assert has_colour(read(tmp_path / "f.png"), ORANGE)
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")


def test_the_last_panel_has_lpips_over_the_share_and_names_the_values(tables, tmp_path, drawn):
    figure_sweep(*tables, SPEC, tmp_path / "f")
    ax = drawn[0].axes[3]
    lpips = [BASELINE["lpips"] + measured[0][0] for measured in DIFFERENCES.values()]
    assert points(ax) == [(pytest.approx(s), pytest.approx(v)) for s, v in zip((4.8, 16.5, 44), lpips, strict=True)]
    assert {text.get_text() for text in ax.texts} >= {"5", "20", "80"}


def test_the_configured_value_has_a_ring(tables, tmp_path, drawn):
    figure_sweep(*tables, SPEC, tmp_path / "f")
    for ax in drawn[0].axes:
        rings = [line.get_xdata()[0] for line in ax.lines if line.get_markerfacecolor() == "white"]
        assert len(rings) == 1
    assert [line.get_xdata()[0] for line in drawn[0].axes[0].lines if line.get_markerfacecolor() == "white"] == [20]


def test_a_point_without_an_interval_stands_alone(tables, tmp_path, drawn):
    rows = [row | ({"low": "", "high": ""} if row["extractor"] == "canny" else {}) for row in differences()]
    figure_sweep(write(tmp_path / "d.csv", rows), tables[1], SPEC, tmp_path / "f")
    assert [len(ax.collections) for ax in drawn[0].axes] == [2, 2, 2, 0]
    assert [len(points(ax)) for ax in drawn[0].axes] == [3, 3, 3, 3]


def infinite(value: float, baseline: float, extractor: str) -> list[dict]:
    """Rows of differences.csv as `statistics` writes them where the PSNR of such an extractor is not finite."""
    difference = "" if math.isinf(value) and math.isinf(baseline) else value - baseline
    lost = {"value": value, "baseline": baseline, "difference": difference, "low": "", "high": "", "p_holm": ""}
    return [
        row | (lost if row["metric"] == "psnr" and row["extractor"].startswith(extractor) else {})
        for row in differences()
    ]


def test_a_perfect_picture_has_no_place_and_is_named(tables, tmp_path, drawn):
    path = write(tmp_path / "d.csv", infinite(math.inf, BASELINE["psnr"], "canny.beta2_5"))
    figure_sweep(path, tables[1], SPEC, tmp_path / "f")
    assert [len(points(ax)) for ax in drawn[0].axes] == [3, 2, 3, 3]
    assert [x for x, _ in points(drawn[0].axes[1])] == [20, 80]
    said = footnote(drawn[0])
    assert r"Not drawn, for it is not finite: PSNR of $\beta_2$ 5." in said
    assert has_colour(read(tmp_path / "f.png"), ORANGE)


@pytest.mark.parametrize(("value", "count"), [(math.inf, 0), (26.0, 3)])
def test_a_perfect_baseline_has_no_line(tables, tmp_path, drawn, value, count):
    """Without a baseline, and where both are perfect without a difference, the other panels are as ever."""
    path = write(tmp_path / "d.csv", infinite(value, math.inf, "canny"))
    figure_sweep(path, tables[1], SPEC, tmp_path / "f")
    assert [len(points(ax)) for ax in drawn[0].axes] == [3, count, 3, 3]
    assert np.isnan(drawn[0].axes[1].lines[0].get_ydata()).all()
    assert bool(len(drawn[0].axes[1].get_yticks())) == bool(count)
    said = footnote(drawn[0])
    values = "" if count else r", $\beta_2$ 5, $\beta_2$ 20, $\beta_2$ 80"
    assert f"PSNR of the baseline{values}." in said
    assert has_colour(read(tmp_path / "f.png"), ORANGE)


def test_trainings_of_no_steps_have_no_share(tables, tmp_path, drawn):
    rows = [row | {"share_in_training": ""} for row in shares()]
    figure_sweep(tables[0], write(tmp_path / "s.csv", rows), SPEC, tmp_path / "f")
    assert [len(points(ax)) for ax in drawn[0].axes] == [3, 3, 3, 0]
    said = footnote(drawn[0])
    assert r"Trained for no steps, so without a share: $\beta_2$ 5, $\beta_2$ 20, $\beta_2$ 80." in said
    assert has_colour(read(tmp_path / "f.png"), ORANGE)


def test_auto_stands_where_its_calibration_put_it(tables, tmp_path, drawn):
    """Between the values, for two seeds at the mean of what each found."""
    rows = shares((5, 30, 80)) + [row | {"seed": 2, "beta2": 34} for row in shares() if row["extractor"] == "canny"]
    spec = SPEC.model_copy(update={"points": (("canny.beta2_5", 5.0), ("canny.beta2_80", 80.0), ("canny", "auto"))})
    figure_sweep(tables[0], write(tmp_path / "s.csv", rows), spec, tmp_path / "f")
    assert [x for x, _ in points(drawn[0].axes[0])] == [5, 32, 80]
    assert "calibrated (auto)" in footnote(drawn[0])


def test_values_that_are_no_numbers_stand_side_by_side(tables, tmp_path, drawn):
    named = (("canny.beta2_5", True), ("canny", False), ("canny.beta2_80", "some"))
    figure_sweep(*tables, SPEC.model_copy(update={"key": "mode", "points": named}), tmp_path / "f")
    ax = drawn[0].axes[0]
    assert [x for x, _ in points(ax)] == [0, 1, 2]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["true", "false", "some"]


def test_a_single_value_is_a_figure_too(tables, tmp_path):
    figure_sweep(*tables, SPEC.model_copy(update={"points": (("canny", 20.0),)}), tmp_path / "f")
    assert has_colour(read(tmp_path / "f.png"), ORANGE)


def test_values_that_lie_close_are_not_written_over_each_other(tables, tmp_path, drawn):
    close = (("canny.beta2_5", 19.9), ("canny", 20.0), ("canny.beta2_80", 80.0))
    figure_sweep(*tables, SPEC.model_copy(update={"points": close}), tmp_path / "f")
    assert [tick.get_text() for tick in drawn[0].axes[0].get_xticklabels()] == ["", "20", "80"]


@pytest.mark.parametrize(("lacking", "table"), [(0, "differences"), (1, "shares")])
def test_a_variant_that_a_table_lacks_is_named(tables, tmp_path, lacking, table):
    rows = [row for row in (differences(), shares())[lacking] if row["extractor"] != "canny.beta2_5"]
    write(tables[lacking], rows)
    with pytest.raises(UserError, match=rf"{table}\.csv: has no esrgan-canny\.beta2_5, which this sweep shows"):
        figure_sweep(*tables, SPEC, tmp_path / "f")
    assert not list(tmp_path.glob("f.*"))


@pytest.mark.parametrize(("spoilt", "text"), [(0, "model\nesrgan\n"), (1, "model,beta2\nesrgan,5\n"), (1, None)])
def test_a_table_that_is_none_is_named(tables, tmp_path, spoilt, text):
    tables[spoilt].write_text(text) if text else tables[spoilt].unlink()
    with pytest.raises(UserError, match=tables[spoilt].name):
        figure_sweep(*tables, SPEC, tmp_path / "f")


# --- the perception-distortion plane ---

METHODS = {
    "bicubic": (26.94, 0.3341), "none": (25.729, 0.264848), "local_variance": (26.14, 0.2634),
    "canny": (26.299, 0.2633), "canny.beta2_5": (25.963, 0.2652), "canny.beta2_80": (26.70, 0.2625),
}  # fmt: skip
LINES = (("canny.beta2_5", "canny", "canny.beta2_80"),)
PANEL = {"model": "esrgan", "dataset": "photos_test", "space": "rgb", "border": 4, "subset": "all", "lines": LINES}
PLANE = PlaneSpec.model_validate({"extractors": SPEC.extractors, "panels": [PANEL]})


def means(methods=METHODS, seeds=(1,), **other) -> list[dict]:
    """Rows of means.csv, and others that are of something else."""
    rows = []
    for extractor, values in methods.items():
        for seed in ("",) if extractor == "bicubic" else seeds:
            who = {"model": "bicubic", "extractor": "", "seed": ""} if extractor == "bicubic" else {
                "model": "esrgan", "extractor": extractor, "seed": seed,
            }  # fmt: skip
            for metric, value in zip(("psnr", "lpips"), values, strict=True):
                space, border = QUANTITIES[metric]
                row = WHERE | who | {"metric": metric, "space": space, "border": border}
                rows.append(row | {"value": value + 0.02 * (float(seed or 1) - 1)} | other)
    return rows + [row | {"region": "edge", "value": 99} for row in rows]


def test_every_method_is_a_labelled_point_and_a_sweep_a_line(tmp_path, drawn):
    figure_plane(write(tmp_path / "means.csv", means()), PLANE, tmp_path / "f")
    (ax,) = drawn[0].axes
    marks = {tuple(float(v[0]) for v in line.get_data()) for line in ax.lines if line.get_marker() in "os"}
    assert marks == set(METHODS.values()) - {METHODS["bicubic"]}
    names = {text.get_text() for text in ax.texts}
    assert {"baseline", "lv", "canny", r"$\beta_2$ 5", r"$\beta_2$ 80"} <= names
    assert any(line.get_xydata().tolist() == [list(METHODS[v]) for v in LINES[0]] for line in ax.lines)
    image = read(tmp_path / "f.png")
    assert all(has_colour(image, colour) for colour in style.COLOURS[:3])


def test_bicubic_far_away_is_an_arrow_with_its_values(tmp_path, drawn):
    figure_plane(write(tmp_path / "means.csv", means()), PLANE, tmp_path / "f")
    (ax,) = drawn[0].axes
    assert "Bicubic (26.94 dB, 0.3341)" in {text.get_text() for text in ax.texts}
    assert ax.get_ylim()[1] < 0.3


def test_bicubic_nearby_is_a_point(tmp_path, drawn):
    near = METHODS | {"bicubic": (26.5, 0.2641)}
    figure_plane(write(tmp_path / "means.csv", means(near)), PLANE, tmp_path / "f")
    (ax,) = drawn[0].axes
    assert "Bicubic" in {text.get_text() for text in ax.texts}
    assert [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "D"] == [[[26.5, 0.2641]]]


def test_a_point_is_the_mean_of_its_seeds_which_are_dots(tmp_path, drawn):
    figure_plane(write(tmp_path / "means.csv", means(seeds=(1, 2))), PLANE, tmp_path / "f")
    (ax,) = drawn[0].axes
    psnr, lpips = METHODS["canny"]
    found = [line.get_xydata().tolist() for line in ax.lines]
    assert [[pytest.approx(psnr + 0.01), pytest.approx(lpips + 0.01)]] in found
    assert [[psnr, lpips], [pytest.approx(psnr + 0.02), pytest.approx(lpips + 0.02)]] in found


def test_what_was_not_measured_is_named(tmp_path):
    path = write(tmp_path / "means.csv", means(dataset="city_test"))
    with pytest.raises(UserError, match=r"means\.csv: has no PSNR \(space rgb, border 4, subset all\) .* photos_test"):
        figure_plane(path, PLANE, tmp_path / "f")


def test_a_perfect_method_has_no_place_and_is_named(tmp_path, drawn):
    perfect = dict.fromkeys(("bicubic", "local_variance", "canny.beta2_5"), (math.inf, 0.0))
    figure_plane(write(tmp_path / "means.csv", means(METHODS | perfect, seeds=(1, 2))), PLANE, tmp_path / "f")
    (ax,) = drawn[0].axes
    names = {text.get_text() for text in ax.texts}
    assert names >= {"baseline", "canny", r"$\beta_2$ 80"}
    assert not names & {"lv", r"$\beta_2$ 5"}
    said = footnote(drawn[0])
    lost = r"ESRGAN, photos_test: Bicubic, lv, canny $\beta_2$ 5."
    assert said.endswith(f"Not drawn, for PSNR or LPIPS is not finite: {lost}")
    image = read(tmp_path / "f.png")
    assert has_colour(image, ORANGE)


def test_bicubic_alone_is_drawn_where_all_others_are_perfect(tmp_path, drawn):
    rows = means({name: (math.inf, 0.0) if name != "bicubic" else (25.0, 0.3) for name in METHODS})
    spec = PlaneSpec.model_validate({"extractors": SPEC.extractors, "panels": [PANEL]})
    figure_plane(write(tmp_path / "means.csv", rows), spec, tmp_path / "f")
    (ax,) = drawn[0].axes
    assert "Bicubic" in {text.get_text() for text in ax.texts}
    assert [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "D"] == [[[25.0, 0.3]]]


def test_a_panel_of_perfect_methods_is_empty_and_says_so(tmp_path, drawn):
    """Beside one that is not: the figure of a whole configuration is drawn."""
    perfect = means({name: (math.inf, 0.0) for name in METHODS if name != "bicubic"}, dataset="city_test")
    panels = [PANEL, PANEL | {"dataset": "city_test"}]
    spec = PlaneSpec.model_validate({"extractors": SPEC.extractors, "panels": panels})
    figure_plane(write(tmp_path / "means.csv", means() + perfect), spec, tmp_path / "f")
    full, empty = drawn[0].axes
    assert len(full.lines) > 0
    assert len(empty.lines) == 0
    assert "no method\nwith finite PSNR and LPIPS" in {text.get_text() for text in empty.texts}
    assert empty.get_title(loc="left") == "ESRGAN, city_test"
    assert "PSNR (dB)" in empty.get_xlabel()
    said = footnote(drawn[0])
    assert len(drawn[0].texts) == 2  # lines
    lost = r"ESRGAN, city_test: baseline, lv, canny, canny $\beta_2$ 5, canny $\beta_2$ 80."
    assert said.endswith(f"is not finite: {lost}")
    width = read(tmp_path / "f.png").shape[1]
    assert has_colour(read(tmp_path / "f.png")[120:, : width // 2], ORANGE)
    assert not has_colour(read(tmp_path / "f.png")[120:, width // 2 :], ORANGE)


def test_words_lie_inside_and_on_nothing_else(tmp_path, drawn):
    """With every method within a fifth of the panel."""
    crowd = {f"canny.low_{i}0": (26 + 0.03 * (i % 4), 0.264 + 0.0002 * (i // 4)) for i in range(1, 10)}
    rows = means({"bicubic": (27, 0.3), "none": (25, 0.27), **crowd})
    figure_plane(write(tmp_path / "means.csv", rows), PLANE, tmp_path / "f")
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    (ax,) = drawn[0].axes
    renderer = FigureCanvasAgg(drawn[0]).get_renderer()
    names = [text for text in ax.texts if text.get_text() and "LPIPS" not in text.get_text()]
    words = [text.get_window_extent(renderer) for text in names]
    panel = ax.get_window_extent(renderer)
    assert len(words) == 1 + len(rows) // 4
    for i, box in enumerate(words):
        assert panel.x0 <= box.x0 < box.x1 <= panel.x1
        assert panel.y0 <= box.y0 < box.y1 <= panel.y1
        assert not any(box.overlaps(other) for other in words[i + 1 :])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(60, 340), st.integers(30, 270)), min_size=1, max_size=8, unique=True))
def test_labels_of_any_points_keep_apart_and_inside(places):
    """Eight labels of 40 x 18 pixels fit around any eight points of 400 x 300."""
    at = np.array(places, dtype=float)
    nothing = np.empty((0, 2))
    boxes = arrange(at, [(40, 18)] * len(at), Scene(np.array([0, 0, 400, 300]), [], at, nothing))
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= (400, 300)).all()
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            assert (np.minimum(a[2:], b[2:]) <= np.maximum(a[:2], b[:2])).any()


def test_equal_input_gives_equal_bytes(tables, tmp_path):
    path = write(tmp_path / "means.csv", means(seeds=(1, 2)))
    figure_sweep(*tables, SPEC, tmp_path / "a/sweep")
    figure_plane(path, PLANE, tmp_path / "a/plane")
    program = (
        "from pathlib import Path; from sa_sr.render.sweep import *; from sa_sr.render.plane import *\n"
        f"figure_sweep(Path({str(tables[0])!r}), Path({str(tables[1])!r}), "
        f"SweepSpec.model_validate_json({SPEC.model_dump_json()!r}), Path({str(tmp_path / 'b/sweep')!r}))\n"
        f"figure_plane(Path({str(path)!r}), PlaneSpec.model_validate_json({json.dumps(PLANE.model_dump())!r}), "
        f"Path({str(tmp_path / 'b/plane')!r}))\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(plane.__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    for name in ("sweep.png", "sweep.pdf", "plane.png", "plane.pdf"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_matplotlib_is_imported_only_to_draw():
    program = "import sys, sa_sr.render.sweep, sa_sr.render.plane; sys.exit('matplotlib' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(sweep.__file__).parents[2])}
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
