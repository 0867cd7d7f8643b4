"""Texts of one's own stand in Markdown, HTML and LaTeX as they were written."""

import re
from html import unescape

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sa_sr.render.claims import claims
from sa_sr.render.markdown import escape, pipe_table
from tests.unit.test_claims import CLAIMS, EXTRACTORS, TABLES, write
from tests.unit.test_tables import SPEC, render

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
LABELS = ["*star*", "<b>bold</b>", "a | b", "`code`", "[a](b)", "_x_ y_z", "~~gone~~", "&amp; &#65;", "\\*", "$_{4}$ ^"]


def shown(markdown: str) -> str:
    """What a reader of the Markdown sees."""
    return unescape(re.sub(r"<[^>]*>", "", READER.render(markdown)))


@given(st.text("aB4 *_`[]()<>|~$&#;\\!", min_size=1).map(lambda text: f"x{text}x"))
def test_every_text_is_shown_as_it_is(text):
    words = " ".join(text.split())
    assert shown(escape(text)) == f"{words}\n"
    assert words in shown(pipe_table(pd.DataFrame({"a": [text], text: ["b"]}), ("left", "left")))
    assert "<" not in re.sub(r"</?(p|code|table|thead|tbody|tr|th|td)\b[^>]*>", "", READER.render(escape(text)))


def test_numbers_and_names_have_no_signs_to_escape():
    for text in ("SA-ESRGAN (lv)", "canny.low_50", "+0.12 [+0.1, +0.2]".partition(" [")[0], "PSNR (dB) ↑", "R&D"):
        assert escape(text) == text


@pytest.mark.parametrize("label", LABELS)
def test_the_label_of_a_table_is_plain_text_in_every_format(tmp_path, label):
    made = render(tmp_path, SPEC.model_copy(update={"dataset_label": label}))
    for kind in ("md", "details.md"):
        assert label in shown(made[kind])
    for kind in ("html", "details.html"):
        assert label in unescape(made[kind])
        assert "<b>bold" not in made[kind]
    assert not re.search(r"(?<!\\)[&_~^](?!\{)", made["tex"].partition("}")[0])


@pytest.mark.parametrize("label", LABELS)
def test_the_label_of_a_table_is_plain_text_among_the_claims(tmp_path, label):
    name, table = next((name, table) for name, table in TABLES.items() if not table.same_data)
    files = [tmp_path / f"claims.{kind}" for kind in ("csv", "md", "html")]
    tables = TABLES | {name: table.model_copy(update={"label": label})}
    claims(*write(tmp_path), {"psnr": CLAIMS["psnr"]}, tables, EXTRACTORS, *files)
    assert label in " ".join(shown(files[1].read_text()).split())
    assert label in unescape(files[2].read_text())
