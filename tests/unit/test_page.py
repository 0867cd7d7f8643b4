"""The results page as a file: what it shows, in which order, and when it is refused."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sa_sr.errors import UserError
from sa_sr.files import record_of
from sa_sr.page import gallery
from sa_sr.page.gallery import FRAMES, PHOTOS, middle, some_frames
from sa_sr.page.origins import provenance
from sa_sr.page.results import results_page
from sa_sr.page.runs import runs_table
from tests.experiment import experiment, photo, spec, write


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


@given(st.integers(1, 500))
def test_the_frames_of_a_long_clip_follow_each_other_from_its_middle(count):
    times = some_frames(count)
    assert len(times) == min(count, FRAMES)
    assert times.step == 1
    assert abs(times.start - (count - times.stop)) <= 1


def test_settings_that_differ_come_first(files):
    above, below = runs_table(files.runs).split("<details>")
    assert re.findall('<th scope="row">(.*?)</th>', above) == ["beta2"]
    assert re.findall('<th scope="row">(.*?)</th>', below) == ["terms.gan"]
    assert re.findall("<td>(.*?)</td>", above) == ["0.8", "1.2", "1.8"]


def test_settings_that_are_none_are_named(files):
    files.runs[0].write_text("[1")
    with pytest.raises(UserError, match=r"run\.json: not the settings of a run"):
        runs_table(files.runs)


def test_provenance_follows_the_records_to_the_beginning(tmp_path):
    def record(path, command, inputs, code):
        made = {"command": command, "inputs": {str(path): {} for path in inputs}, "code": code}
        made |= {"by": "sa_sr 1, Python 3", "at": "2026-01-01 10:00 UTC", "content": {"sha256": f"sum of {path.name}"}}
        write(record_of(path), json.dumps(made))
        return path

    asset = record(tmp_path / "photo<1>.png", "download", [], [])
    weights = record(tmp_path / "train/run/model.safetensors", "train", [asset, tmp_path / "mine.png"], ["torch==2.1"])
    frames = record(tmp_path / "frames.csv", "evaluate", [weights, asset], ["a.module@12", "numpy==2.3"])
    text = provenance([frames, frames])
    rows = re.findall('<tr><th scope="row">(.*?)</th>(?:<td>.*?</td>)*<td>(.*?)</td></tr>', text)
    assert rows == [
        ("download", "none"),
        ("train", "torch 2.1"),
        ("evaluate", "numpy 2.3"),
        ("run", "sum of model.safetensors"),
        ("photo&lt;1&gt;.png", "sum of photo&lt;1&gt;.png"),
    ]
    assert "10:00" not in text
