"""The results page as a file: what it shows, in which order, and when it is refused."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from sa_sr.cli import app
from sa_sr.config import load
from sa_sr.errors import UserError
from sa_sr.files import record_of
from sa_sr.page import gallery
from sa_sr.page.gallery import BUDGET, CLIPS, FRAMES, PHOTOS, fitting, middle
from sa_sr.page.origins import provenance
from sa_sr.page.results import PageSpec, results_page
from sa_sr.page.runs import runs_table
from tests.experiment import experiment, photo, spec, write
from tests.unit.test_config import changed


@pytest.fixture
def files(tmp_path):
    return experiment(tmp_path)


def text_of(files, **changes):
    out = files.frames.parents[1] / "index.html"
    results_page(files, spec(**changes), out)
    return out.read_text()


def items_of(text):
    return json.loads(re.search(r'id="gallery-data">(.*?)</script>', text)[1])


def test_the_same_inputs_give_the_same_bytes(files):
    assert text_of(files) == text_of(files)


def test_it_stands_in_the_order_of_a_paper(files):
    text = text_of(files)
    headings = re.findall(r'<h2 id="[a-z]+-title">(.*?)</h2>', text)
    assert headings == ["Claims", "Tables", "In detail", "Gallery", "Figures", "Runs", "Provenance", "Files"]
    parts = [f"<h3>Title of {name}</h3>" for name in ("claims", "table1", "table1_details", "health")]
    assert sorted(parts, key=text.index) == parts
    assert "<h1>Title" not in text
    assert text.count("<main") == 1


def test_sections_without_content_are_left_out(files):
    text = text_of(files._replace(tables=files.tables[1:2], figures=[], data=[], images=[]))
    assert re.findall(r'<h2 id="([a-z]+)-title">', text) == ["tables", "runs", "provenance", "files"]


def test_nothing_is_loaded_from_elsewhere(files):
    text = text_of(files)
    assert "default-src 'none'" in text
    loaded = re.findall(r"""(?:<[a-z]+ [^<>]*src=|url\(|@import |<link [^<>]*href=)["']?([^"')>]{1,40})""", text)
    assert loaded
    assert all(source.startswith("data:") for source in loaded)


def test_a_configuration_may_be_named_data(tmp_path):
    """Its claims lie in results/data/, where the data files of any other lie in data/."""
    files = experiment(tmp_path / "results/data")
    claims = files.frames.parents[1] / "claims.csv"
    claims.touch()
    paths = [path for group in (*files[:5], files.links, [claims]) for path in group]
    words = ["--frames", str(files.frames), "--spec", spec().model_dump_json(), "--out", str(tmp_path / "index.html")]
    CliRunner().invoke(app, ["results-page", *map(str, paths), *words], catch_exceptions=False)
    results_page(files._replace(links=[*files.links, claims]), spec(), tmp_path / "other.html")
    assert (tmp_path / "index.html").read_text() == (tmp_path / "other.html").read_text()
    assert '<a href="results/data/claims.csv">' in (tmp_path / "index.html").read_text()


def test_only_what_is_given_is_linked_whatever_lies_beside_it(files):
    before = text_of(files)
    for name in ("tables/table1.tex", "figures/plane.md", "evaluation/frames.md"):
        write(files.frames.parents[1] / name, "")
    assert text_of(files) == before
    assert '<a href="figures/plane.pdf">PDF</a>' in before


def test_no_id_occurs_twice_whatever_tables_and_figures_are_called(files):
    names = ("stage", "viewer", "content", "claims-title", "pictures-0")
    tables, figures = ([paths[0].with_stem(name) for name in names] for paths in (files.tables, files.figures))
    for paths, new in ((files.tables, tables), (files.figures, figures)):
        for path in new:
            path.write_bytes(paths[0].read_bytes())
    text = text_of(files._replace(tables=[*files.tables, *tables], figures=[*files.figures, *figures]))
    ids = re.findall(r'<[^<>]* id="([^"]*)"', text)
    assert {"table-stage", "figure-stage", "stage", "gallery-data"} <= set(ids)
    assert len(ids) == len(set(ids))


def test_captions_say_what_a_figure_shows(files):
    text = text_of(files, tables={"table1": {"dataset": "photos", "label": "six photos"}})
    captions = re.findall('<img alt="(.*?)"', text)
    assert captions == [
        "Figure 1. Edge maps of face (six photos).",
        "Figure 8. ESRGAN and its variants on face (six photos).",
        "Figure 9. ESRGAN and its variants on pan, frame 0 (clips).",
        "The perception-distortion plane: LPIPS over PSNR of every method.",
        "LPIPS, PSNR and SSIM of SA-ESRGAN (canny) over β₂, "
        "with 95 % intervals of the difference to ESRGAN (six photos).",
        "Training curves of ESRGAN.",
    ]
    assert [caption.strip() for caption in re.findall("<figcaption>(.*?)<span", text)] == captions


def test_the_configuration_says_which_frame_of_a_clip_a_figure_shows():
    swept = {"model": "esrgan", "extractor": "canny", "key": "beta2", "dataset": "photos_test"}
    edits = {"sweeps": {"sweep_beta2": swept | {"values": [5]}}, "figures__comparisons__figure9__frame": 0}
    found = PageSpec.model_validate(load(changed(**edits)).page_spec())
    frames = {name: figure.get("frame") for name, figure in found.figures["comparisons"].items()}
    assert frames == {"figure8": None, "figure9": 0, "figure10": 8}
    assert found.sweeps == {"sweep_beta2": swept}


def test_a_table_without_main_is_named(files):
    files.tables[1].write_text("<table></table>")
    with pytest.raises(UserError, match=r"table1\.html: has no <main> element"):
        text_of(files)


def test_a_frame_without_scores_is_named(files):
    rows = files.frames.read_text().splitlines()
    files.frames.write_text("\n".join(row for row in rows if not re.search("^bicubic.*,pan,3,.*lpips", row)) + "\n")
    with pytest.raises(UserError, match=r"frames\.csv: has no PSNR and LPIPS of .*pan', 3"):
        text_of(files)


def test_scores_of_an_older_evaluation_are_refused(files):
    files.frames.write_text(files.frames.read_text().replace(",region,", ",part,", 1))
    with pytest.raises(UserError, match="run `aggregate` again"):
        text_of(files)


def test_equal_pictures_have_an_infinite_psnr_and_the_page_is_made(files):
    text = files.frames.read_text()
    files.frames.write_text(re.sub(r"(bicubic,.*,face,0,1,psnr,all,rgb,4),.*", r"\1,inf", text))
    face = next(item for item in items_of(text_of(files)) if item["name"] == "face")
    assert face["panes"][2]["scores"][0].startswith("PSNR inf dB, LPIPS 0.")


def test_a_large_data_set_is_shown_in_part_and_the_page_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(gallery.PIXELS, "photo", 64 * 56)
    names = [f"photo{i:02}" for i in range(PHOTOS + 2)]
    text = text_of(experiment(tmp_path, {name: photo(10 * i, 100) for i, name in enumerate(names)}))
    shown = [item for item in items_of(text) if item["name"] != "pan"]
    assert [item["name"] for item in shown] == names[:PHOTOS]
    assert f"Of photos the first {PHOTOS} of {PHOTOS + 2} items are shown." in text
    assert {(item["width"], item["height"]) for item in shown} == {(64, 56)}
    assert shown[0]["note"] == "The middle 64 × 56 of 128 × 112 pixels."


@given(st.integers(8, 600).map(lambda n: 4 * n), st.integers(8, 600).map(lambda n: 4 * n), st.integers(2**12, 2**20))
def test_the_window_lies_in_the_middle_on_the_grid_of_lr(height, width, pixels):
    x, y, w, h = window = middle(height, width, pixels)
    assert all(side % 4 == 0 for side in window)
    assert 0 < w * h <= max(pixels, 0)
    assert abs(w / width - h / height) < 4 / min(width, height)
    assert (w, h) == (width, height) if height * width <= pixels else (w + 5) * (h + 5) > pixels
    assert abs(x - (width - w - x)) <= 8
    assert abs(y - (height - h - y)) <= 8
    truth, low = np.zeros((height, width, 3)), np.zeros((height // 4, width // 4, 3))
    assert window.of(truth).shape == (h, w, 3)
    assert window.of(low, 4).shape == (h // 4, w // 4, 3)


def test_one_clip_makes_a_data_set_one_of_clips(tmp_path):
    names = {"a still": 1, **{f"clip{i}": 2 for i in range(CLIPS)}}
    text = text_of(experiment(tmp_path, clips=names))
    assert f"Of clips the first {CLIPS} of {CLIPS + 1} items are shown." in text


@given(st.integers(1, 500), *[st.integers(8, 500).map(lambda n: 4 * n)] * 2, st.integers(3, 40), st.integers(1, 40))
def test_an_item_keeps_to_its_share_and_is_shown_from_its_middle(count, height, width, pictures, items):
    share = BUDGET // items
    window, times = fitting(count, height, width, pictures, share)
    pixels = window.width * window.height
    assert 0 < len(times) * pictures * pixels <= share
    assert times.step == 1
    assert abs(times.start - (count - times.stop)) <= 1
    if len(times) < min(count, FRAMES):
        assert (len(times) + 1) * pictures * pixels > share


def test_the_demo_has_all_its_frames():
    assert fitting(16, 208, 272, 11, BUDGET // 8) == ((0, 0, 272, 208), range(16))


def test_a_page_of_many_clips_shows_fewer_frames_of_them_and_says_so(files, monkeypatch):
    monkeypatch.setattr(gallery, "BUDGET", 3 * 8 * 96 * 80 * 4)
    items = items_of(text_of(files))
    assert [(item["frames"], item["note"]) for item in items if item["name"] == "pan"] == [
        (4, "The middle 4 of 6 frames.")
    ]


def test_settings_that_differ_come_first(files):
    above, below = runs_table(files.runs).split("<details>")
    assert re.findall('<th scope="row">(.*?)</th>', above) == ["beta2"]
    assert re.findall('<th scope="row">(.*?)</th>', below) == ["terms.gan"]
    assert re.findall("<td>(.*?)</td>", above) == ["0.8", "1.2", "1.8"]


def test_settings_that_are_none_are_named(files):
    files.runs[0].write_text("[1")
    with pytest.raises(UserError, match=r"run\.json: not the settings of a run"):
        runs_table(files.runs)


def record(path, command, inputs=(), code=()):
    """A record beside a file that need not be there."""
    made = {"command": command, "inputs": {str(path): {} for path in inputs}, "code": list(code), "settings": {}}
    made |= {"by": "sa_sr 1, Python 3", "at": "2026-01-01 10:00 UTC", "plugins": []}
    write(record_of(path), json.dumps(made | {"content": {"sha256": f"sum of {path.name}"}}))
    return path


def test_provenance_follows_the_records_to_the_beginning(tmp_path):
    asset = record(tmp_path / "photo<1>.png", "download")
    features = record(tmp_path / "assets/features.safetensors", "download")
    inputs = [asset, features, tmp_path / "mine.png"]
    weights = record(tmp_path / "train/run/model.safetensors", "train", inputs, ["torch==2.1"])
    frames = record(tmp_path / "frames.csv", "evaluate", [weights, asset], ["a.module@12", "numpy==2.3"])
    text = provenance([frames, frames])
    rows = re.findall('<tr><th scope="row">(.*?)</th>(?:<td>.*?</td>)*<td>(.*?)</td></tr>', text)
    assert rows == [
        ("download", "none"),
        ("train", "torch 2.1"),
        ("evaluate", "numpy 2.3"),
        ("run", "sum of model.safetensors"),
        ("features.safetensors", "sum of features.safetensors"),
        ("photo&lt;1&gt;.png", "sum of photo&lt;1&gt;.png"),
    ]
    assert "10:00" not in text


@pytest.mark.parametrize("text", ["[1]", "{}", '{"command": "train", "inputs": 5}', "null"])
def test_a_damaged_record_is_as_none(tmp_path, text):
    frames = record(tmp_path / "frames.csv", "evaluate", [tmp_path / "model.safetensors"])
    before = provenance([frames])
    write(record_of(tmp_path / "model.safetensors"), text)
    assert provenance([frames]) == before


def test_a_record_that_names_itself_is_followed_once(tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    record(one, "evaluate", [one, other])
    record(other, "aggregate", [one])
    assert re.findall('<th scope="row">(.*?)</th><td>(.*?)</td>', provenance([one])) == [
        ("aggregate", "1"),
        ("evaluate", "1"),
    ]
