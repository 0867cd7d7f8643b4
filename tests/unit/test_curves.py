"""Training curves: of any length, of what is not finite, of a baseline alone."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sa_sr.errors import UserError
from sa_sr.render import curves, style
from sa_sr.render.curves import figure_curves
from tests.drawn import has_colour, read

HISTORY = ["step", "l_g_total", "l_g_pix", "l_g_sa", "l_g_percep", "l_g_gan", "sa_share", "l_d", "d_real", "d_fake"]


def write_training(root: Path, steps: int, every: int = 1, extractors=("none", "canny")):
    """Histories and validations of runs named by their extractor; the SA terms of `none` are zero."""
    histories, vals = {}, {}
    for k, extractor in enumerate(extractors):
        sa = 0 if extractor == "none" else 0.1
        folder = root / "train" / extractor
        folder.mkdir(parents=True)
        with open(folder / "history.csv", "w", newline="") as f:
            rows = csv.writer(f)
            rows.writerow(HISTORY)
            for step in range(every, steps + 1, every):
                t = step / steps
                rows.writerow([step, 1, 4e-4 + 1e-4 * t, sa * (1 + t), 0.8 - 0.2 * t, 5e-3, sa, 0.6, 0.5 + t / 3, 0.5])
        with open(folder / "val.csv", "w", newline="") as f:
            rows = csv.writer(f)
            head = ["step", "val_loss", "val_psnr", "kept"]
            rows.writerows([head, [steps // 2, 0.5 + k, 25, 1], [steps, 0.6 + k, 26, 0]])
        histories[extractor], vals[extractor] = folder / "history.csv", folder / "val.csv"
    return histories, vals


@pytest.mark.parametrize(("steps", "every"), [(1, 1), (4, 1), (30, 1), (500_000, 250)])
def test_curves_work_for_any_length(tmp_path, steps, every):
    runs = write_training(tmp_path, steps, every)
    figure_curves(*runs, tmp_path / "curves.png")
    drawn = read(tmp_path / "curves.png")
    assert drawn.shape[1] == style.WIDTH
    if steps > 1:
        assert all(has_colour(drawn, colour) for colour in style.COLOURS[:2])
        assert not has_colour(drawn, style.COLOURS[2])


def test_equal_input_gives_equal_bytes(tmp_path):
    """In another process too, whose sets and dictionaries may be ordered differently."""
    runs = write_training(tmp_path, steps=60)
    figure_curves(*runs, tmp_path / "here")
    program = (
        f"from pathlib import *; from {curves.__name__} import *; figure_curves(*{runs!r}, {tmp_path!r} / 'there')"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(curves.__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    for kind in (".png", ".pdf"):
        assert (tmp_path / f"here{kind}").read_bytes() == (tmp_path / f"there{kind}").read_bytes()


def test_a_validation_without_an_error_is_a_gap_in_the_curve(tmp_path):
    runs = write_training(tmp_path, 30, 10)
    for path in runs[1].values():
        head, first, *others = path.read_text().splitlines()
        step, loss, _, kept = first.split(",")
        path.write_text("\n".join([head, f"{step},{loss},inf,{kept}", *others]) + "\n")
    figure_curves(*runs, tmp_path / "curves")
    assert (read(tmp_path / "curves.png") < 128).any()


def test_no_training_steps_is_a_figure_too(tmp_path):
    (tmp_path / "empty.csv").write_text("step\n")
    figure_curves({"ESRGAN": tmp_path / "empty.csv"}, {"ESRGAN": tmp_path / "empty.csv"}, tmp_path / "curves")
    assert (read(tmp_path / "curves.png") < 128).any()


def test_a_baseline_alone_has_no_panel_for_the_sa_term(tmp_path):
    """Eight panels become six; the second row loses two."""
    runs = write_training(tmp_path, 30, extractors=("none", "canny"))
    figure_curves(*runs, tmp_path / "both")
    histories, vals = ({"none": files["none"]} for files in runs)
    figure_curves(histories, vals, tmp_path / "alone")
    right = (slice(-300, -100), slice(900, None))
    assert (read(tmp_path / "both.png")[right] < 128).any()
    assert not (read(tmp_path / "alone.png")[right] < 128).any()


def test_long_histories_are_averaged_over_equal_spans():
    steps = np.arange(1.0, 2001)
    thin = curves._thin({"step": steps, "l_g_pix": steps})
    assert len(thin["step"]) == 200
    np.testing.assert_array_equal(thin["step"], np.arange(10, 2001, 10))
    np.testing.assert_allclose(thin["l_g_pix"], np.arange(5.5, 2000, 10))
    short = {"step": steps[:30], "l_g_pix": steps[:30]}
    assert all(np.array_equal(curves._thin(short)[key], short[key]) for key in short)


def test_running_means_stand_at_the_middle_of_their_steps():
    steps = np.arange(1.0, 21)
    smooth = curves._smooth({"step": steps, "line": 3 * steps, "peak": np.eye(1, 20, 9)[0]}, 5)
    np.testing.assert_array_equal(smooth["step"], steps[2:-2])
    np.testing.assert_allclose(smooth["line"], 3 * smooth["step"])
    np.testing.assert_allclose(smooth["peak"], np.where(abs(smooth["step"] - 10) <= 2, 0.2, 0), atol=1e-12)


@pytest.mark.parametrize("text", ["", "step,l_g_pix\n1,many\n", "step,l_g_pix\n1,2\n3\n", "l_g_pix\n1\n"])
def test_a_broken_history_is_named(tmp_path, text):
    histories, vals = write_training(tmp_path, 5)
    histories["none"].write_text(text)
    with pytest.raises(UserError, match=r"none/history\.csv: not a readable record"):
        figure_curves(histories, vals, tmp_path / "curves")
