"""Screenshots of a results page for the documentation: python -m tests.browser.screenshots results/demo/index.html"""

import sys
from pathlib import Path

from PIL import Image

from tests.browser.chromium import browser

SHOTS = {
    "results-wide": (1440, 960, "light", "8v"),
    "results-dark": (1440, 860, "dark", "5"),
    "results-narrow": (375, 812, "light", ""),
}
"""Width and height of the window, theme, and keys that are pressed: of an item, and V for side by side."""
FOLDER = Path("docs/screenshots")


def take(page: Path, folder: Path) -> None:
    """Write one PNG of the gallery for each of SHOTS, in 256 colours of its own."""
    with browser() as chromium:
        for name, (width, height, theme, keys) in SHOTS.items():
            context = chromium.new_context(
                viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
            )
            tab = context.new_page()
            tab.goto(page.resolve().as_uri())
            tab.wait_for_selector("#stage[aria-busy=false]")
            tab.locator("#stage").focus()
            for key in keys:
                tab.keyboard.press(key)
            tab.wait_for_selector("#stage[aria-busy=false]")
            tab.evaluate("document.activeElement.blur()")
            tab.evaluate("scrollTo({top: document.getElementById('gallery').offsetTop - 48, behavior: 'instant'})")
            file = folder / f"{name}.png"
            folder.mkdir(parents=True, exist_ok=True)
            tab.screenshot(path=file)
            picture = Image.open(file).convert("RGB")
            picture.quantize(palette=picture.quantize(256)).save(file, optimize=True)  # twice: only this dithers
            context.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]), FOLDER)
