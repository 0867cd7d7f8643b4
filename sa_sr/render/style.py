"""One look for all figures: type, colours, measures, and files that are the same bytes every time.

Text is STIX (a Times cut that ships with matplotlib, as in the journal), the width is the journal's text width.
Figures are laid out in whole pixels of the PNG, so that the plotting library neither resamples nor blurs an image.
Matplotlib is imported when a figure is made, not before; no window system and no user settings are involved.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sa_sr.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200
"""Pixels per inch of the PNG."""
WIDTH = round(7.16 * DPI)
"""Width of the text (two columns), pixels."""
GUTTER = 12
"""Pixels between panels."""
CAPTION, LINE, FOOT = 9, 26, 34
"""Pixels between a panel and its caption, from line to line, and for a footnote below all."""
LETTERS = 140
"""Of a line of a footnote."""

INK = "#1a1a1a"
MUTED = "#6b6b6b"
RULE = "#c8c8c8"
# Okabe & Ito's palette, told apart by colour-blind readers too; black is the baseline
COLOURS = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
ACCENT = "#F0E442"

RC: dict[str, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.1,
    "lines.solid_capstyle": "round",
    "text.hinting": "none",  # letters where the type designer put them, not on whole pixels
    "pdf.fonttype": 42,  # TrueType: text in the PDF stays text, searchable and editable
}


@contextmanager
def figure(width: int, height: int, out: Path) -> Iterator["Figure"]:
    """Yield an empty figure of `width` x `height` pixels; on leaving it is written as `out`.png and `out`.pdf.

    The suffix of `out` does not matter. Files hold no date, so that equal figures are equal bytes.
    """
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.figure import Figure

    settings: Any = {k: v for k, v in rcParamsDefault.items() if not k.startswith("backend")} | RC
    with rc_context(settings):
        fig = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
        yield fig
        for kind, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
            with atomic_path(out.with_suffix(f".{kind}")) as temporary:
                fig.savefig(temporary, format=kind, dpi=DPI, metadata=metadata)


def panel(fig: "Figure", x: int, y: int, width: int, height: int) -> "Axes":
    """Axes over the given pixels, counted from the top left corner."""
    total_w, total_h = (round(side * DPI) for side in fig.get_size_inches())
    return fig.add_axes((x / total_w, 1 - (y + height) / total_h, width / total_w, height / total_h))


def picture(fig: "Figure", image: np.ndarray, x: int, y: int) -> "Axes":
    """Show a uint8 (H, W) or (H, W, 3) image one to one, its top left corner at pixel (x, y).

    The data coordinates of the axes are the image's pixels.
    """
    height, width = image.shape[:2]
    ax = panel(fig, x, y, width, height)
    rgb = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    ax.imshow(rgb, interpolation="none", aspect="auto", extent=(0, width, height, 0))
    ax.axis("off")
    return ax


def caption(fig: "Figure", at: tuple[float, float], text: str, note: str = "") -> None:
    """Write `text` centred under pixel `at`, and `note` in gray on the next line."""
    total_w, total_h = (round(side * DPI) for side in fig.get_size_inches())
    x, y = at[0] / total_w, 1 - at[1] / total_h
    fig.text(x, y, text, ha="center", va="top", size=8.5)
    fig.text(x, y - LINE / total_h, note, ha="center", va="top", size=7.5, color=MUTED)


def mark(ax: "Axes", crop: tuple[int, int, int, int], scale: float) -> None:
    """Outline a window: a bright line on a dark one, seen on any ground.

    crop: x, y, width, height in pixels of the picture before it was scaled by `scale`.
    """
    from matplotlib.patches import Rectangle

    x, y, w, h = (scale * side for side in crop)
    for colour, width in ((INK, 1.8), (ACCENT, 0.9)):
        ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=colour, linewidth=width, joinstyle="miter"))


def by_extractor(extractors: Sequence[str]) -> dict[str, str]:
    """The colour of each extractor, as the training curves have it: that of its place, black the first."""
    return {extractor: COLOURS[i % len(COLOURS)] for i, extractor in enumerate(extractors)}


def share(columns: int) -> int:
    """Pixels for each of several equal columns in the width of the text."""
    return (WIDTH - (columns - 1) * GUTTER) // columns


def key(fig: "Figure", left: int, colours: Mapping[str, str]) -> None:
    """Names in their colours along the top, from pixel `left`, four to a row: a legend without a box."""
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=colour, linewidth=1.6) for colour in colours.values()]
    corner = left / (fig.get_size_inches()[0] * DPI), 1
    fig.legend(
        lines,
        list(colours),
        labelcolor="linecolor",
        ncols=4,
        loc="upper left",
        bbox_to_anchor=corner,
        frameon=False,
        borderpad=0.2,
        borderaxespad=0,
        handlelength=1.3,
        handletextpad=0.5,
        columnspacing=1.8,
    )


def foot(text: str) -> tuple[str, int]:
    """A footnote in lines that fit, and the pixels that they take."""
    lines = textwrap.wrap(text, LETTERS, break_on_hyphens=False)
    return "\n".join(lines), FOOT + LINE * (len(lines) - 1)


def footnote(fig: "Figure", left: int, text: str) -> None:
    """Lines in gray along the bottom, from pixel `left`."""
    width, height = fig.get_size_inches() * DPI
    lines = text.split("\n")
    for i, line in enumerate(lines, start=1):
        fig.text(left / width, (8 + LINE * (len(lines) - i)) / height, line, va="bottom", size=7.5, color=MUTED)


def note(ax: "Axes", y: float, text: str, below: bool = False) -> None:
    """A word in gray at the right end of a panel, just above or below height `y` of the data."""
    from matplotlib.patheffects import withStroke

    ax.annotate(
        text,
        (1, y),
        (0, -3 if below else 3),
        xycoords=ax.get_yaxis_transform(),
        textcoords="offset points",
        ha="right",
        va="top" if below else "baseline",
        size=7,
        color=MUTED,
        zorder=6,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )
