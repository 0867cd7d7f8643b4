"""A small finished experiment in files: real pictures, blurred as if by networks."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage
from PIL import Image

from sa_sr.data.resize import imresize
from sa_sr.evaluation.metrics import scores
from sa_sr.page.results import Files, PageSpec
from sa_sr.render.page import page
from sa_sr.storage import h5_reader, h5_writer, put

HOSTILE = "<img src=x onerror=alert(1)>"
"""Name of an item: a file may be called so."""
LABEL = "</script><img src=x onerror=alert(2)>"
"""Of a data set, where a slash is possible too."""
BLURS = {"esrgan-none-s1": 0.8, "esrgan-local_variance-s1": 1.2, "esrgan-canny-s1": 1.8}
ASTRONAUT = np.asarray(Image.open(f"{skimage.__path__[0]}/data/astronaut.png").convert("RGB"))
FRAMES = 6
FIGURES = ("figure1", "figure8", "figure9", "plane", "curves_low", "curves_esrgan")
"""An edge map, two comparisons, the plane, a sweep and training curves."""


def photo(x: int, y: int, width: int = 128, height: int = 112) -> np.ndarray:
    """A part of a portrait, uint8 (height, width, 3)."""
    return np.ascontiguousarray(ASTRONAUT[y : y + height, x : x + width])


def spec(**changes: Any) -> PageSpec:
    values = {
        "name": "small",
        "seeds": [1],
        "tables": {"table1": {"dataset": "photos", "label": LABEL}},
        "extractors": ["local_variance", "canny"],
        "parameters": {"local_variance": {}, "canny": {}},
        "figures": {
            "edge_maps": {"figure1": {"dataset": "photos", "item": "face"}},
            "comparisons": {
                "figure8": {"dataset": "photos", "item": "face", "model": "esrgan"},
                "figure9": {"dataset": "clips", "item": "pan", "frame": 0, "model": "esrgan"},
            },
        },
        "sweeps": {"curves_low": {"model": "esrgan", "extractor": "canny", "key": "beta2", "dataset": "photos"}},
        "space": "rgb",
        "border": 4,
        "lpips": {"net": "alex", "version": "0.1"},
    }
    return PageSpec.model_validate(values | changes)


def experiment(folder: Path, photos: dict[str, np.ndarray] | None = None, clips: dict[str, int] | None = None) -> Files:
    """The files of an experiment: photos (by default two), and clips of so many frames that pan over a portrait."""
    photos = photos or {"face": photo(160, 40), HOSTILE: photo(200, 300)}
    clips = clips or {"pan": FRAMES}
    sets = {
        "photos": {name: [picture] for name, picture in photos.items()},
        "clips": {name: [photo(140 + 4 * t, 60, 96, 80) for t in range(count)] for name, count in clips.items()},
    }
    rows = ["method,model,extractor,seed,dataset,item,frame,frames,metric,region,space,border,value"]
    images = []
    for dataset, items in sets.items():
        with h5_writer(folder / f"data/{dataset}.h5") as f:
            for name, frames in items.items():
                put(f, f"hr/{name}", frames)
                put(f, f"lr/{name}", [imresize(frame, 1 / 4) for frame in frames])
        for method in ("bicubic", *BLURS):
            images.append(folder / f"images/{method}/{dataset}.h5")
            with h5_writer(images[-1]) as f:
                for name, frames in items.items():
                    put(f, f"sr/{name}", [restored(frame, BLURS.get(method)) for frame in frames])
            rows += measured(images[-1], method, sets[dataset])
    write(folder / "evaluation/frames.csv", "\n".join(rows) + "\n")
    (folder / "evaluation/frames.parquet").touch()
    for run in BLURS:
        settings = {"name": run, "beta2": BLURS[run], "terms": {"gan": 0.005}, "extractor_params": {}}
        write(folder / f"train/{run}/run.json", json.dumps(settings))
    head, row = "<tr><th>Method</th><th>PSNR</th></tr>", "<tr><td>A</td><td>1</td></tr>"
    table = f"<table><thead>{head}</thead><tbody>{row}</tbody></table>"
    for name in ("table1", "table1_details", "claims", "health"):
        write(folder / f"tables/{name}.html", page(name, f"Title of {name}", "Above.", [table], "Below."))
        write(folder / f"tables/{name}.csv", "Method\n")
    (folder / "figures").mkdir()
    for name in FIGURES:
        Image.fromarray(photo(0, 0)).save(folder / f"figures/{name}.png")
        (folder / f"figures/{name}.pdf").touch()
    return Files(
        tables=[folder / f"tables/{name}.html" for name in ("claims", "table1", "table1_details", "health")],
        figures=[folder / f"figures/{name}.png" for name in FIGURES],
        data=[folder / f"data/{name}.h5" for name in sets],
        images=images,
        runs=[folder / f"train/{run}/run.json" for run in BLURS],
        frames=folder / "evaluation/frames.csv",
        links=[
            *(folder / f"tables/{name}.csv" for name in ("claims", "table1", "table1_details", "health")),
            *(folder / f"figures/{name}.pdf" for name in FIGURES),
            folder / "evaluation/frames.parquet",
        ],
    )


def restored(frame: np.ndarray, blur: float | None) -> np.ndarray:
    """Bicubic enlargement of a reduced frame, or the frame itself blurred."""
    if blur is None:
        return imresize(imresize(frame, 1 / 4), 4)
    return cv2.GaussianBlur(frame, (0, 0), blur)


def measured(file: Path, method: str, items: dict[str, list[np.ndarray]]) -> list[str]:
    """Rows of frames.csv with the PSNR, and a distance in place of LPIPS, which would need its network."""
    rows = []
    with h5_reader(file) as f:
        for name, frames in items.items():
            for t, hr in enumerate(frames):
                sr = f[f"sr/{name}"][t]
                head = f"{method},,,,{file.stem},{name},{t},{len(frames)}"
                psnr = next(value for metric, *_, value in scores(sr, hr, ["rgb"], [4]) if metric == "psnr")
                distance = np.abs(sr.astype(float) - hr).mean() / 255
                rows += [f"{head},psnr,all,rgb,4,{psnr:.6f}", f"{head},lpips,all,rgb,0,{distance:.6f}"]
                rows += [f"{head},psnr,edge,rgb,4,1.0"]  # of a region: not to be shown
    return rows


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
