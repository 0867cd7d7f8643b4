"""The results page in a browser: by mouse, by touch and by keyboard, on a large and on a small screen."""

import base64
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from sa_sr.edges import extract
from sa_sr.page.results import results_page
from tests.browser.chromium import browser, executable
from tests.experiment import FRAMES, HOSTILE, LABEL, experiment, photo, spec

FACE, HOSTILE_ITEM, CLIP = "2", "1", "3"
"""Digits that choose the items; within a data set they stand in the order of their names."""
PANES = 6  # truth, LR, bicubic and three runs
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 375, "height": 812}
expect.set_options(timeout=30_000)  # as long as Playwright waits elsewhere


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    results_page(experiment(folder), spec(), folder / "index.html")
    return folder / "index.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not executable():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium on PATH")
    with browser() as found:
        yield found


@pytest.fixture
def visit(chromium, html) -> Iterator[Callable[..., Page]]:
    """Open the page in a window of its own; at the end, nothing may have gone wrong or gone out in any of them."""
    contexts, wrong = [], []

    def open_page(**options: object) -> Page:
        contexts.append(chromium.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **options}))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: wrong.append(message.text))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        tab.on(
            "request", lambda sent: sent.url.startswith("data:") or sent.url == html.as_uri() or wrong.append(sent.url)
        )
        tab.goto(html.as_uri())
        choose(tab, FACE)
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def choose(tab: Page, digit: str) -> None:
    """An item, by its key."""
    tab.locator("#stage").focus()
    tab.keyboard.press(digit)
    tab.wait_for_selector("#stage[aria-busy=false]")


def side_by_side(tab: Page) -> None:
    tab.get_by_role("button", name="Side by side").click()
    tab.locator("#stage").focus()


def drawn(tab: Page) -> list[np.ndarray]:
    """What is on each canvas, (H, W, 3)."""
    urls = tab.evaluate("[...document.querySelectorAll('#stage canvas')].map((canvas) => canvas.toDataURL())")
    files = [io.BytesIO(base64.b64decode(url.partition(",")[2])) for url in urls]
    return [np.asarray(Image.open(file).convert("RGB")).astype(int) for file in files]


def seen(tab: Page) -> np.ndarray:
    """The slider as it is on the screen, (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(tab.locator(".view").screenshot())).convert("RGB")).astype(int)


def transforms(tab: Page) -> list[str]:
    return tab.evaluate("[...document.querySelectorAll('#stage canvas')].map((canvas) => canvas.style.transform)")


def frames(tab: Page) -> list[str]:
    return tab.evaluate("[...document.querySelectorAll('#stage canvas')].map((canvas) => canvas.dataset.frame)")


def middle(tab: Page, selector: str = ".view") -> tuple[float, float]:
    tab.locator(selector).first.scroll_into_view_if_needed()
    box = tab.locator(selector).first.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def most_different(tab: Page) -> None:
    """The truth on the left, LR on the right."""
    tab.locator("#left").select_option("Ground truth")
    tab.locator("#right").select_option("LR input, pixels ×4")


def changed_columns(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """For a tenth of the width each, whether pixels in the upper third differ, above the handle of the divider."""
    third = len(before) // 3
    differs = (np.abs(before - after)[:third].max(axis=2) > 8).mean(axis=0)
    return np.array([part.mean() for part in np.array_split(differs, 10)]) > 0.1


def test_the_divider_is_dragged_and_uncovers_the_other_picture(visit):
    tab = visit()
    most_different(tab)
    x, y = middle(tab)
    width = tab.locator(".view").bounding_box()["width"]
    before = seen(tab)
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 0.3 * width, y, steps=4)
    tab.mouse.up()
    expect(tab.get_by_role("slider", name="Divider")).to_have_attribute("aria-valuenow", "80")
    assert changed_columns(before, seen(tab)).tolist() == [False] * 5 + [True] * 3 + [False] * 2


def test_the_divider_is_moved_by_keys_and_says_where_it_is(visit):
    tab = visit()
    most_different(tab)
    divider = tab.get_by_role("slider", name="Divider")
    divider.focus()
    before = seen(tab)
    for _ in range(10):
        tab.keyboard.press("ArrowLeft")
    expect(divider).to_have_attribute("aria-valuenow", "30")
    expect(divider).to_have_attribute("aria-valuetext", "30 % Ground truth, 70 % LR input, pixels ×4")
    assert changed_columns(before, seen(tab)).tolist() == [False] * 3 + [True] * 2 + [False] * 5
    tab.keyboard.press("End")
    expect(divider).to_have_attribute("aria-valuenow", "100")


def test_left_and_right_are_chosen_and_swapped(visit):
    tab = visit()
    tab.locator("#left").select_option("Ground truth")
    left, right = tab.locator("figcaption > div").all()[-2:]
    expect(left).to_contain_text("Ground truth")
    right_before, left_before = drawn(tab)  # the right one lies below
    tab.get_by_role("button", name="Swap").click()
    expect(right).to_contain_text("Ground truth")
    right_after, left_after = drawn(tab)
    assert (right_after == left_before).all()
    assert (left_after == right_before).all()


def test_each_pane_tells_its_method_and_the_numbers_of_its_frame(visit, html):
    tab = visit()
    side_by_side(tab)
    names = tab.locator("#stage figcaption b").all_inner_texts()
    assert names == ["Ground truth", "LR input, pixels ×4", "Bicubic", "ESRGAN", "SA-ESRGAN (lv)", "SA-ESRGAN (canny)"]
    rows = [row.split(",") for row in (html.parent / "evaluation/frames.csv").read_text().splitlines()]
    psnr = next(
        float(row[-1]) for row in rows if row[0] == "bicubic" and row[5] == "face" and row[8:10] == ["psnr", "all"]
    )
    expect(tab.locator("#stage figcaption").nth(2)).to_contain_text(f"PSNR {psnr:.2f} dB, LPIPS 0.")
    expect(tab.locator("#gallery .note").first).to_contain_text("PSNR on RGB, 4 pixels cut off at each border")


@pytest.mark.parametrize("by", ["wheel", "keys", "buttons", "double click"])
def test_zoom_and_pan_are_the_same_in_all_panes(visit, by):
    tab = visit()
    side_by_side(tab)
    x, y = middle(tab)
    whole = transforms(tab)
    assert len(whole) == PANES
    assert len(set(whole)) == 1
    tab.mouse.move(x + 20, y + 10)
    if by == "wheel":
        tab.mouse.wheel(0, -600)
    elif by == "double click":
        tab.mouse.dblclick(x + 20, y + 10)
    for _ in range(4):
        if by == "keys":
            tab.keyboard.press("+")
        elif by == "buttons":
            tab.get_by_role("button", name="Zoom in").click()
    tab.wait_for_function("(was) => document.querySelector('#stage canvas').style.transform !== was", arg=whole[0])
    near = transforms(tab)
    assert len(set(near)) == 1
    assert tab.evaluate("document.querySelector('#stage canvas').style.imageRendering") == "pixelated"
    x, y = middle(tab)
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x - 40, y - 25, steps=3)
    tab.mouse.up()
    moved = transforms(tab)
    assert len(set(moved)) == 1
    assert moved[0] != near[0]
    tab.locator("#stage").focus()
    tab.keyboard.press("0")
    assert transforms(tab) == whole


def test_the_point_under_the_pointer_stays_where_it_is(visit):
    tab = visit()
    side_by_side(tab)
    box = tab.locator(".view").first.bounding_box()
    point = "(p) => { const m = new DOMMatrix(getComputedStyle(document.querySelector('#stage canvas')).transform);"
    point += "return [(p[0] - m.e) / m.a, (p[1] - m.f) / m.d]; }"
    at = [0.7 * box["width"], 0.4 * box["height"]]
    before = tab.evaluate(point, at)
    tab.mouse.move(box["x"] + at[0], box["y"] + at[1])
    tab.mouse.wheel(0, -500)
    tab.wait_for_function("document.querySelector('.view').classList.contains('zoomed')")
    assert tab.evaluate(point, at) == pytest.approx(before, abs=1)


def test_the_wheel_scrolls_the_page_unless_the_gallery_has_the_focus(visit):
    tab = visit()
    side_by_side(tab)
    tab.mouse.move(*middle(tab))
    whole = transforms(tab)
    tab.evaluate("document.activeElement.blur()")
    before = tab.evaluate("scrollY")
    assert before > 200
    tab.mouse.wheel(0, -200)
    tab.wait_for_function("(before) => scrollY === before - 200", arg=before)
    assert transforms(tab) == whole


def test_a_pinch_zooms_and_a_finger_moves_the_divider(visit):
    tab = visit(viewport=NARROW, has_touch=True)
    x, y = middle(tab)
    touch = tab.context.new_cdp_session(tab)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": px, "y": py, "id": i} for i, (px, py) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    fingers("touchStart", (x, y))
    for dx in (15, 30, 60):
        fingers("touchMove", (x - dx, y))
    fingers("touchEnd")
    tab.wait_for_function("document.querySelector('[role=slider]').getAttribute('aria-valuenow') < 40")
    fingers("touchStart", (x - 20, y), (x + 20, y))
    for d in (30, 50, 80):
        fingers("touchMove", (x - d, y), (x + d, y))
    fingers("touchEnd")
    tab.wait_for_function("new DOMMatrix(document.querySelector('#stage canvas').style.transform).a > 4")
    one, other = transforms(tab)
    assert one == other


def test_the_difference_is_four_times_that_of_the_pictures(visit):
    tab = visit()
    side_by_side(tab)
    pictures = drawn(tab)
    tab.get_by_role("button", name="Difference").click()
    truth, *differences = drawn(tab)
    assert (truth == pictures[0]).all()
    for difference, picture in zip(differences, pictures[1:], strict=True):
        assert difference.max() > 60
        assert (difference == np.minimum(255, 4 * np.abs(picture - pictures[0]))).all()


def test_an_edge_map_lies_over_every_picture(visit):
    tab = visit()
    side_by_side(tab)
    edges = extract(photo(160, 40), "canny")[..., 0] > 0
    gray = [picture @ np.array([0.299, 0.587, 0.114]) / 2 for picture in drawn(tab)]
    tab.get_by_role("button", name="W: Canny").click()
    for overlaid, below in zip(drawn(tab), gray, strict=True):
        assert (overlaid[edges] == (255, 176, 0)).all()
        assert np.abs(overlaid[~edges] - below[~edges][:, None]).max() <= 1
    tab.get_by_role("button", name="W: Local variance").click()
    assert len(np.unique(drawn(tab)[0][..., 0] - drawn(tab)[0][..., 2])) > 20  # not black and white


def test_a_clip_plays_in_step_and_stops(visit):
    tab = visit(reduced_motion="no-preference")
    side_by_side(tab)
    choose(tab, CLIP)
    shown = set()
    end = time.monotonic() + 30
    while not shown >= {str(t) for t in range(1, FRAMES)}:
        assert time.monotonic() < end, shown
        together = set(frames(tab))
        assert len(together) == 1
        shown |= together
        tab.wait_for_timeout(30)
    tab.keyboard.press(" ")
    play = tab.get_by_role("button", name="Play")
    expect(play).to_be_visible()
    assert play.get_attribute("aria-pressed") is None  # its name says what it will do
    stopped = frames(tab)
    tab.wait_for_timeout(300)
    assert frames(tab) == stopped


def test_frames_are_stepped_through_round_the_end(visit):
    tab = visit()
    choose(tab, CLIP)
    first = drawn(tab)
    assert frames(tab) == ["0", "0"]  # reduced motion: nothing plays by itself
    tab.keyboard.press(",")
    assert frames(tab) == [str(FRAMES - 1)] * 2
    assert (drawn(tab)[0] != first[0]).any()
    tab.keyboard.press(".")
    assert (drawn(tab)[0] == first[0]).all()
    tab.get_by_label("Frame").fill("3")
    assert frames(tab) == ["3", "3"]


def test_all_can_be_done_by_keys_alone(visit):
    tab = visit()
    tab.reload()
    tab.wait_for_selector("#stage[aria-busy=false]")
    for _ in range(60):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.id") == "stage":
            break
    assert focused(tab) == "Picture"
    assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    tab.keyboard.press("v")
    assert len(transforms(tab)) == PANES
    before = drawn(tab)
    tab.keyboard.press("l")
    assert (drawn(tab)[3] != before[3]).any()
    tab.keyboard.press("]")
    expect(tab.locator("#items [aria-pressed=true]")).to_contain_text("face")
    tab.wait_for_selector("#stage[aria-busy=false]")
    tab.keyboard.press("+")
    moved = transforms(tab)
    tab.keyboard.press("ArrowRight")
    assert transforms(tab) != moved
    tab.keyboard.press("?")
    expect(tab.get_by_role("dialog", name="Keys")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("dialog", name="Keys")).to_be_hidden()


def focused(tab: Page) -> str:
    """What has the focus: its name, or its text."""
    script = "(one) => one === document.body ? 'nothing' : one.ariaLabel || one.textContent"
    return tab.evaluate(f"({script})(document.activeElement)")


def test_the_chosen_layer_keeps_the_focus_when_the_picture_changes(visit):
    tab = visit()
    choose(tab, HOSTILE_ITEM)
    tab.get_by_role("button", name="Difference").click()
    tab.keyboard.press("]")
    tab.wait_for_selector("#stage[aria-busy=false]")
    assert focused(tab) == "Difference ×4"
    tab.keyboard.press("[")
    expect(tab.locator("#items [aria-pressed=true]")).to_have_text(HOSTILE)


@pytest.mark.parametrize("control", [".divider", "#swap"])
def test_the_stage_has_the_focus_of_what_goes_with_the_slider(visit, control):
    tab = visit()
    tab.locator(control).focus()
    tab.keyboard.press("v")
    assert tab.evaluate("document.activeElement.id") == "stage"
    tab.keyboard.press("v")
    expect(tab.locator(".divider")).to_be_visible()


def test_the_divider_keeps_the_focus_when_the_picture_changes(visit):
    tab = visit()
    tab.locator(".divider").focus()
    tab.keyboard.press("1")
    expect(tab.locator("#items [aria-pressed=true]")).to_have_text(HOSTILE)
    assert focused(tab) == "Divider"


def test_the_stage_has_the_focus_of_the_player_when_a_photo_follows(visit):
    tab = visit()
    choose(tab, CLIP)
    tab.get_by_role("button", name="Play").focus()
    tab.keyboard.press("[")
    assert tab.evaluate("document.activeElement.id") == "stage"


def test_keys_work_in_the_gallery_alone(visit):
    tab = visit()
    for selector in ("nav a", "#theme"):
        tab.locator(selector).first.focus()
        tab.keyboard.press("?")
        tab.keyboard.press("v")
        expect(tab.get_by_role("dialog", name="Keys")).to_be_hidden()
        expect(tab.locator(".divider")).to_be_visible()


def test_the_button_of_the_zoom_is_named_as_it_reads(visit):
    tab = visit()
    expect(tab.get_by_role("button", name=tab.locator("#fit").inner_text(), exact=True)).to_have_id("fit")


def test_every_section_is_marked_when_it_is_scrolled_to(visit):
    tab = visit(viewport={"width": 1440, "height": 1400})  # where the last ones can't rise to the top
    names = tab.locator("nav ul a").all_inner_texts()
    marked = tab.evaluate("""async () => {
        document.documentElement.style.scrollBehavior = "auto";
        const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        const marked = [];
        for (let y = 0; ; y += 60) {
            scrollTo(0, y);
            await frame();
            marked.push(...[...document.querySelectorAll("nav [aria-current]")].map((link) => link.innerText));
            if (scrollY + innerHeight >= document.documentElement.scrollHeight - 1) return marked;
        }
    }""")
    assert list(dict.fromkeys(marked)) == names
    for name in names[-2:]:
        tab.get_by_role("link", name=name, exact=True).click()
        expect(tab.locator("nav [aria-current]")).to_have_text(name)


def test_every_table_is_shown_as_a_table(visit):
    tab = visit()
    tab.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    for name in ("claims", "table1", "table1_details", "health"):
        table = tab.locator(f"#table-{name} .scroll > table, #{name} .scroll > table").first
        assert table.locator("tbody td").all_inner_texts() == ["A", "1"]
    assert tab.locator(".scroll").count() == tab.locator(".scroll > :only-child").count()


@pytest.mark.parametrize(("viewport", "scrolls"), [(WIDE, False), (NARROW, True)])
def test_only_tables_that_scroll_are_stops_of_the_keyboard(visit, viewport, scrolls):
    tab = visit(viewport=viewport)
    tab.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    script = "(boxes) => boxes.map((box) => [box.tabIndex === 0, box.scrollWidth > box.clientWidth])"
    boxes = tab.locator(".scroll").evaluate_all(script)
    assert all(stop == wide for stop, wide in boxes)
    assert any(stop for stop, _ in boxes) == scrolls
    assert tab.locator(".scroll[role]").count() == 0


@pytest.mark.parametrize("preferred", ["light", "dark"])
def test_the_theme_is_that_of_the_system_until_it_is_toggled(visit, preferred):
    def brightness() -> float:
        return sum(tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"))

    tab = visit(color_scheme=preferred)
    before = brightness()
    assert (before > 600) == (preferred == "light")
    tab.locator("#theme").click()
    assert (brightness() > 600) != (preferred == "light")
    tab.locator("#theme").click()
    assert brightness() == before


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_sufficient_contrast(visit, theme):
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    tab = visit(color_scheme=theme)

    def luminance(colour: list[int]) -> float:
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
        return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))

    def colour(selector: str, kind: str) -> list[int]:
        script = "([s, kind]) => getComputedStyle(document.querySelector(s))[kind].match(/\\d+/g).map(Number)"
        return tab.evaluate(script, [selector, kind])[:3]

    plain = ("body", ".note", "nav a", "#stage figcaption", ".paper a", "thead th", "#items [aria-pressed=true] span")
    pressed, others = "#modes [aria-pressed=true]", "#layers [aria-pressed=false]"
    for selector, behind in [*((one, "body") for one in plain), (pressed, pressed), (others, others)]:
        low, high = sorted([luminance(colour(behind, "backgroundColor")), luminance(colour(selector, "color"))])
        assert (high + 0.05) / (low + 0.05) >= 4.5, selector


@pytest.mark.parametrize("digit", [FACE, CLIP])
def test_a_phone_shows_it_without_scrolling_sideways(visit, digit):
    tab = visit(viewport=NARROW, has_touch=True)
    choose(tab, digit)
    for mode in ("Slider", "Side by side"):
        tab.get_by_role("button", name=mode).click()
        assert tab.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert tab.locator("#sides").is_hidden()


def test_hostile_names_are_words(visit):
    tab = visit()
    choose(tab, HOSTILE_ITEM)
    expect(tab.locator("#items [aria-pressed=true]")).to_have_text(HOSTILE)
    expect(tab.locator("#caption")).to_have_text(f"{HOSTILE}: {LABEL}.")
    expect(tab.locator(".lead")).to_contain_text(LABEL)
    assert tab.locator("img[src=x]").count() == 0


def test_links_lead_to_the_files_beside_the_page(visit, html):
    tab = visit()
    links = tab.evaluate("[...document.querySelectorAll('main a')].map((a) => a.getAttribute('href'))")
    assert {"tables/table1.csv", "evaluation/frames.csv", "evaluation/frames.parquet"} <= set(links)
    for link in links:
        assert (html.parent / link).is_file(), link


def test_it_can_be_printed(visit):
    tab = visit()
    tab.locator("#theme").click()
    assert tab.locator("html").get_attribute("data-theme") == "dark"
    tab.emulate_media(media="print")
    assert tab.locator("nav").is_hidden()
    assert tab.locator("#table-table1").is_visible()
    ink, paper = tab.evaluate("['color', 'backgroundColor'].map((kind) => getComputedStyle(document.body)[kind])")
    assert (ink, paper) == ("rgb(27, 27, 26)", "rgb(253, 253, 251)")
