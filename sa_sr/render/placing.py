"""Labels beside the points of a panel, where they cover neither each other nor a point.

Each label tries places around its point, near ones first, and takes the one that covers least; a few rounds let early
labels make room for later ones, and of several orders of the labels the best is taken. Everything is in pixels of the
figure, so the limits of the axes have to be set before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

DIRECTIONS = [(1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0.5), (1, -0.5), (-1, 0.5)]
DISTANCES = [13, 20, 28, 44, 64, 88, 120]
"""Pixels between a point and its label."""
ROUNDS, STARTS = 4, 12
"""How often each label looks for a better place, and in how many orders this is tried."""
APART = 6
"""Pixels between two labels in a row."""
COVERED = 50
"""What a square pixel of a label on another costs, or one outside of the panel."""
POINT = 10
"""Half the side of the square around a point that labels keep clear of, pixels."""
LEADER = 20
"""From this distance a thin line leads from the point to its label."""


@dataclass(frozen=True)
class Label:
    """A word and the point that it belongs to, in data coordinates."""

    text: str
    at: tuple[float, float]
    colour: str


def place(ax: "Axes", labels: Sequence[Label], lines: Sequence[np.ndarray] = ()) -> None:
    """Write labels beside their points.

    ax: axes with their final limits; labels: all points that are to be kept clear, an empty text for one without a
    word; lines: (N, 2) data coordinates of lines that words would rather not lie on. Texts which are there already are
    kept clear of too.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.patheffects import withStroke

    canvas = FigureCanvasAgg(ax.get_figure(root=True))  # type: ignore[arg-type]
    renderer = canvas.get_renderer()
    there = [_box(text.get_window_extent(renderer)) for text in ax.texts]
    halo = [withStroke(linewidth=2, foreground="white")]
    look = {"size": 7, "zorder": 6, "path_effects": halo, "ha": "left", "va": "bottom"}
    texts = [ax.text(*label.at, label.text, color=label.colour, **look) for label in labels if label.text]
    sizes = [text.get_window_extent(renderer) for text in texts]
    named = [label for label in labels if label.text]
    points = ax.transData.transform(np.array([label.at for label in labels]).reshape(-1, 2))
    own = ax.transData.transform(np.array([label.at for label in named]).reshape(-1, 2))
    inside = _box(ax.get_window_extent(renderer))
    on_lines = [_sampled(ax.transData.transform(line)) for line in lines]
    scene = Scene(inside, there, points, np.concatenate([np.empty((0, 2)), *on_lines]))
    boxes = arrange(own, [(size.width + APART, size.height) for size in sizes], scene)
    back = ax.transData.inverted()
    for label, text, point, box in zip(named, texts, own, boxes, strict=True):
        text.set_position(tuple(back.transform(box[:2])))
        nearest = np.clip(point, box[:2], box[2:])
        if np.hypot(*(nearest - point)) > LEADER:
            ends = back.transform(np.array([point, nearest]))
            ax.plot(*ends.T, color=label.colour, linewidth=0.4, zorder=2, scalex=False, scaley=False)


@dataclass(frozen=True)
class Scene:
    """What labels keep clear of, in pixels; boxes are left, bottom, right, top."""

    inside: np.ndarray
    boxes: list[np.ndarray]
    points: np.ndarray
    on_lines: np.ndarray


def arrange(points: np.ndarray, sizes: Sequence[tuple[float, float]], scene: Scene) -> np.ndarray:
    """Boxes (N, 4) for labels of the given sizes, each beside its point (N, 2)."""
    choices = [_choices(point, size) for point, size in zip(points, sizes, strict=True)]
    fixed = [_fixed_cost(boxes, scene) + _distance_cost(len(boxes)) for boxes in choices]
    random = np.random.default_rng(0)
    orders = [random.permutation(len(choices)) for _ in range(STARTS)]
    return min((_settled(choices, fixed, order) for order in orders), key=lambda found: found[0])[1]


def _settled(choices: list[np.ndarray], fixed: list[np.ndarray], order: np.ndarray) -> tuple[float, np.ndarray]:
    """Labels that took their places one after another, and moved while others did; with what they cover in all."""
    chosen = np.full((len(choices), 4), -np.inf)  # nowhere yet
    total = 0.0
    for _ in range(ROUNDS):
        total = 0.0
        for i in order:
            cost = fixed[i] + COVERED * _overlap(choices[i], np.delete(chosen, i, axis=0)).sum(axis=1)
            best = np.argmin(cost)
            chosen[i] = choices[i][best]
            total += float(cost[best])
    return total, chosen


def _choices(point: np.ndarray, size: tuple[float, float]) -> np.ndarray:
    """Boxes around a point, the nearest first."""
    width, height = size
    found = []
    for distance in DISTANCES:
        for dx, dy in DIRECTIONS:
            x = point[0] + dx * distance + (dx / 2 - 0.5 if abs(dx) < 1 else (0 if dx > 0 else -1)) * width
            y = point[1] + dy * distance + (dy / 2 - 0.5) * height
            found.append((x, y, x + width, y + height))
    return np.array(found)


def _distance_cost(count: int) -> np.ndarray:
    """The order of the choices: less than covering anything, but enough that a near place is preferred."""
    return 5.0 * np.arange(count) + 60 * (np.arange(count) // len(DIRECTIONS))


def _fixed_cost(boxes: np.ndarray, scene: Scene) -> np.ndarray:
    """Square pixels that boxes cover of what does not move, each kind with its weight."""
    squares = np.concatenate([scene.points - POINT, scene.points + POINT], axis=1)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    outside = area - _overlap(boxes, scene.inside[None]).sum(axis=1)
    words = _overlap(boxes, np.array(scene.boxes).reshape(-1, 4)).sum(axis=1)
    within = (scene.on_lines >= boxes[:, None, :2]) & (scene.on_lines <= boxes[:, None, 2:])
    crossed = within.all(axis=2).sum(axis=1)
    return COVERED * (outside + words) + 20 * _overlap(boxes, squares).sum(axis=1) + 8 * crossed


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Common area (N, M) of boxes (N, 4) and others (M, 4)."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=2)


def _box(extent: "Bbox") -> np.ndarray:
    return np.array([extent.x0, extent.y0, extent.x1, extent.y1])


def _sampled(line: np.ndarray) -> np.ndarray:
    """Points on a line of pixels, at most 4 apart."""
    pieces = [line[:1]]
    for a, b in pairwise(line):
        count = max(1, int(np.hypot(*(b - a)) // 4))
        pieces.append(a + (b - a) * np.linspace(0, 1, count + 1)[1:, None])
    return np.concatenate(pieces)
