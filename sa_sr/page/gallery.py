"""The pictures of the results page: which are shown, and how they are stored in it."""

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from sa_sr.config import Run
from sa_sr.edges import extract
from sa_sr.errors import UserError
from sa_sr.layout import frames, h5_items
from sa_sr.progress import progress
from sa_sr.render.labels import BICUBIC, METRICS, extractor_label, label

QUALITY = 92
"""Of WebP. Its artefacts are far below those that the pictures are looked at for."""
PHOTOS, CLIPS = 8, 4
"""Most items of a data set."""
FRAMES = 16
"""Most frames of a clip: consecutive ones, so that its motion is seen."""
PIXELS = {"photo": 2**20, "clip": 2**16}
"""Most pixels of a frame. The middle is cut out of a larger one, for reducing it would hide what it is shown for."""
BUDGET = 80 * 2**20
"""Most pixels of all pictures, an equal share for each item: it bounds the page, however much there is to show. A clip
has fewer frames to keep to it, and only then smaller ones."""
SCALE = 4
THUMBNAIL = 112
"""Pixels, the longer side."""

Scores = Mapping[tuple[str, str, str, int], list[str]]
"""Method, data set, item, frame to what is printed below the picture."""


class Gallery(NamedTuple):
    """What the script of the page is given."""

    items: list[dict[str, Any]]
    """Names, sizes and scores of each item."""
    pictures: list[dict[str, list[list[str]]]]
    """Of each item, `panes` and `maps`: pictures as data URLs, by pane and frame."""
    notes: list[str]
    """Sentences on what is not shown."""


class Window(NamedTuple):
    """A part of a frame, in HR pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, frame: np.ndarray, scale: int = 1) -> np.ndarray:
        """The part of a frame whose sides are those of HR divided by `scale`."""
        x, y, w, h = (side // scale for side in self)
        return frame[y : y + h, x : x + w]


def gallery(
    data: Sequence[Path],
    images: Sequence[Path],
    scores: Path,
    extractors: Sequence[tuple[str, Mapping[str, Any]]],
    labels: Mapping[str, str],
    space: str,
    border: int,
) -> Gallery:
    """Ground truth, LR, every method and every edge map of the items of the test sets.

    data: data files; images: images/<method>/<data set>.h5, in the order of the panes; scores: frames.csv; extractors:
    name and parameters of each whose maps of the ground truth are shown; labels: names of data sets in print; space,
    border: of the PSNR. Raises UserError naming a file that lacks a picture or its scores.
    """
    printed = _scores(scores, space, border)
    items, pictures, notes = [], [], []
    chosen = {path: _chosen(path) for path in data}
    share = BUDGET // max(1, sum(len(shown) for shown, _ in chosen.values()))
    for path, (shown, count) in chosen.items():
        methods = {file.parent.name: file for file in images if file.stem == path.stem}
        with h5_items(path, "hr", "lr") as f:
            if len(shown) < count:
                notes.append(f"Of {path.stem} the first {len(shown)} of {count} items are shown.")
            for name in progress(shown, f"pictures of {path.stem}", unit="items"):
                truth, lr = frames(f, path, "hr", name), frames(f, path, "lr", name)
                item, shots = _item(path, name, truth, lr, methods, printed, scores, extractors, share)
                items.append({**item, "set": labels.get(path.stem, path.stem)})
                pictures.append(shots)
    return Gallery(items, pictures, notes)


def middle(height: int, width: int, pixels: int) -> Window:
    """The largest window in the middle of a frame that has its shape and at most so many pixels, on LR's grid."""
    factor = min(1.0, (pixels / (height * width)) ** 0.5)
    h, w = (int(side * factor) // SCALE * SCALE for side in (height, width))
    x, y = ((whole - part) // 2 // SCALE * SCALE for whole, part in ((width, w), (height, h)))
    return Window(x, y, w, h)


def fitting(count: int, height: int, width: int, pictures: int, share: int) -> tuple[Window, range]:
    """The part of an item of `count` frames that is shown, and its frames: the middle ones, where there are too many.

    pictures: of each frame; share: most pixels of them all.
    """
    window = middle(height, width, min(PIXELS["clip" if count > 1 else "photo"], share // pictures))
    most = min(FRAMES, share // (pictures * window.width * window.height))
    first = max(0, (count - most) // 2)
    return window, range(first, min(count, first + most))


def _chosen(path: Path) -> tuple[list[str], int]:
    """Names of the items of a data set that are shown, and how many items it has."""
    with h5_items(path, "hr") as f:
        names = sorted(f["hr"])
        clips = any(len(f["hr"][name]) > 1 for name in names)
    return names[: CLIPS if clips else PHOTOS], len(names)


def _item(
    path: Path,
    name: str,
    truth: Any,
    lr: Any,
    methods: Mapping[str, Path],
    printed: Scores,
    source: Path,
    extractors: Sequence[tuple[str, Mapping[str, Any]]],
    share: int,
) -> tuple[dict[str, Any], dict[str, list[list[str]]]]:
    """What is said of one item, and its pictures, of `share` pixels at most."""
    count, height, width, _ = truth.shape
    window, times = fitting(count, height, width, 2 + len(methods) + len(extractors), share)
    originals = [np.asarray(truth[t]) for t in times]
    low = [window.of(np.asarray(lr[t]), SCALE) for t in times]
    panes: list[dict[str, Any]] = [{"name": "Ground truth"}, {"name": "LR input, pixels ×4"}]
    stored = [[_lossy(window.of(frame)) for frame in originals], [_lossless(frame) for frame in low]]
    for method, file in methods.items():
        with h5_items(file, "sr") as f:
            sr = frames(f, file, "sr", name)
            if sr.shape != truth.shape:
                raise UserError(f"{file}: {name} is {sr.shape}, in {path} {truth.shape}; make it anew")
            stored.append([_lossy(window.of(np.asarray(sr[t]))) for t in times])
        keys = [(method, path.stem, name, t) for t in times]
        if lacking := [key for key in keys if len(printed.get(key, [])) < 2]:
            raise UserError(f"{source}: has no PSNR and LPIPS of {lacking[0]}; evaluate and aggregate again")
        panes.append({"name": _label(method), "scores": [", ".join(printed[key]) for key in keys]})
    maps = [[_map(window.of(extract(frame, e, **parameters))) for frame in originals] for e, parameters in extractors]
    cut = (window.width, window.height) != (width, height)
    item = {
        "name": name,
        "width": window.width,
        "height": window.height,
        "frames": len(times),
        "first": times.start,
        "note": " ".join(
            [f"The middle {window.width} × {window.height} of {width} × {height} pixels."] * cut
            + [f"The middle {len(times)} of {count} frames."] * (len(times) < count)
        ),
        "thumbnail": _thumbnail(window.of(originals[len(times) // 2])),
        "panes": panes,
        "maps": [extractor_label(e) for e, _ in extractors],
    }
    return item, {"panes": stored, "maps": maps}


def _label(method: str) -> str:
    run = Run.parse(method) if method != BICUBIC else None
    return label(run.model, run.extractor) if run else label(BICUBIC)


def _scores(path: Path, space: str, border: int) -> Scores:
    """PSNR and LPIPS of every frame by every method, over the whole frame."""
    wanted = {("psnr", "all", space, border): 0, ("lpips", "all", "rgb", 0): 1}
    found: dict[tuple[str, str, str, int], list[str]] = {}
    try:
        with open(path, newline="", encoding="utf-8") as f:
            for row in csv.DictReader(f):
                place = wanted.get((row["metric"], row["region"], row["space"], int(row["border"])))
                if place is not None:
                    metric = METRICS[row["metric"]]
                    printed = found.setdefault((row["method"], row["dataset"], row["item"], int(row["frame"])), [])
                    value = f"{metric.label} {float(row['value']):.{metric.decimals}f}"
                    printed.insert(place, f"{value} {metric.unit}".rstrip())
    except (OSError, KeyError, ValueError, TypeError) as e:
        raise UserError(f"{path}: not a readable table of scores ({e!r}); run `aggregate` again") from e
    return found


# --- pictures as text ---


def _lossy(image: np.ndarray) -> str:
    return _url(image, quality=QUALITY)


def _lossless(image: np.ndarray) -> str:
    return _url(image, lossless=True)


def _map(weight: np.ndarray) -> str:
    """(H, W, C) in [0, 1] as a gray picture; binary maps are smaller, and exact, without loss."""
    gray = np.rint(255 * weight.mean(axis=2)).astype(np.uint8)
    return _lossless(gray) if np.isin(gray, (0, 255)).all() else _lossy(gray)


def _thumbnail(image: np.ndarray) -> str:
    picture = Image.fromarray(image)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return _url(np.asarray(picture), quality=QUALITY)


def _url(image: np.ndarray, **options: Any) -> str:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "WEBP", method=4, **options)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
