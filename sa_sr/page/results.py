"""Stage `results_page`: tables, pictures, figures, settings and provenance of one experiment in one HTML file."""

import base64
import hashlib
import json
import os
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, NamedTuple
from urllib.parse import quote

from PIL import Image
from pydantic import BaseModel, ConfigDict

from sa_sr.errors import UserError
from sa_sr.files import write_text
from sa_sr.page.gallery import QUALITY, Gallery, gallery
from sa_sr.page.origins import provenance
from sa_sr.page.runs import runs_table
from sa_sr.render.labels import LPIPS_NETS, SPACES, label, symbol

FOLDER = Path(__file__).parent
KINDS = {".csv": "CSV", ".md": "Markdown", ".tex": "LaTeX", ".pdf": "PDF"}
"""What the files beside a table or a figure are called."""
CLAIMS = "claims"


class PageSpec(BaseModel):
    """What the page says of the experiment that its files do not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Of the configuration."""
    seeds: list[int]
    tables: dict[str, dict[str, str]]
    """`dataset` and `label` of each table, by its name."""
    extractors: list[str]
    """Those whose maps are shown, in order."""
    parameters: dict[str, dict[str, Any]]
    """Of these extractors."""
    figures: dict[str, dict[str, dict[str, Any]]]
    """`dataset`, `item`, `frame` of a clip and `model` of each figure that has them, by its kind and its name."""
    sweeps: dict[str, dict[str, str]]
    """`model`, `extractor`, `key` and `dataset` of each, by the name of its figure."""
    space: str
    """Channels of the PSNR under each picture."""
    border: int
    """Pixels cut off at each side before it."""
    lpips: dict[str, str]
    """Network and version."""

    @property
    def labels(self) -> dict[str, str]:
        """What a data set is called in print, where a table has it: "city, standing in for Vid4"."""
        return {table["dataset"]: table["label"] for _, table in sorted(self.tables.items())}


class Files(NamedTuple):
    """What the page is made from, each in the order of the page."""

    tables: Sequence[Path]
    """HTML of single tables, by `sa_sr.render.page`."""
    figures: Sequence[Path]
    """PNGs."""
    data: Sequence[Path]
    """Data files of the test sets."""
    images: Sequence[Path]
    """images/<method>/<data set>.h5."""
    runs: Sequence[Path]
    """run.json of every run."""
    frames: Path
    """frames.csv of `aggregate`."""
    links: Sequence[Path]
    """What is only linked: what has the name of a table or a figure beside that, the rest at the end."""


def results_page(files: Files, spec: PageSpec, out: Path) -> None:
    """Write the results page.

    files: what it shows; out: the HTML file. It has everything in it but the files that it links beside it. Equal files
    give equal bytes if their records, which are read where they are there, are equal too. Raises UserError naming a
    file that can't be read or is not what it should be.
    """
    claims = [path for path in files.tables if path.stem == CLAIMS]
    papers = [path for path in files.tables if path.stem in spec.tables]
    details = [path for path in files.tables if path not in (*claims, *papers)]
    extractors = [(name, spec.parameters[name]) for name in spec.extractors]
    shown = gallery(files.data, files.images, files.frames, extractors, spec.labels, spec.space, spec.border)
    sections = [
        ("claims", "Claims", "".join(_table(path, files.links, out) for path in claims)),
        ("tables", "Tables", "".join(_table(path, files.links, out) for path in papers)),
        ("details", "In detail", "".join(_table(path, files.links, out) for path in details)),
        ("gallery", "Gallery", _part("gallery.html", notes=_notes(shown, spec)) if shown.items else ""),
        ("figures", "Figures", "".join(_figure(path, spec, files.links, out) for path in files.figures)),
        ("runs", "Runs", runs_table(files.runs)),
        ("provenance", "Provenance", provenance([*files.tables, *files.figures, *files.images, files.frames])),
        ("files", "Files", _files(files, out)),
    ]
    sections = [(name, title, body) for name, title, body in sections if body]
    script = (FOLDER / "script.js").read_text(encoding="utf-8")
    page = _part(
        "template.html",
        name=escape(spec.name),
        summary=_summary(spec, [path.stem for path in files.data]),
        navigation="".join(f'<li><a href="#{name}">{title}</a></li>\n' for name, title, _ in sections),
        sections="\n".join(_section(*section) for section in sections),
        style=(FOLDER / "style.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        gallery=_json("gallery-data", shown.items),
        pictures="\n".join(_json(f"pictures-{i}", pictures) for i, pictures in enumerate(shown.pictures)),
    )
    write_text(out, page)


def _part(file: str, **values: str) -> str:
    return Template((FOLDER / file).read_text(encoding="utf-8")).substitute(values)


def _json(name: str, value: Any) -> str:
    """Data for the script; no text in them can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _section(name: str, title: str, body: str) -> str:
    return f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{title}</h2>\n{body}</section>'


# --- words ---


def _summary(spec: PageSpec, datasets: list[str]) -> str:
    """Which experiment this is: the configuration, the seeds, and what stands in for what."""
    if len(spec.seeds) == 1:
        trained = f"Every variant was trained once, with seed {spec.seeds[0]}."
    else:
        trained = f"Every variant was trained with {len(spec.seeds)} seeds ({', '.join(map(str, spec.seeds))})."
    words = {name: f" ({escape(label)})" for name, label in spec.labels.items()}
    sets = [f"<i>{escape(name)}</i>{words.get(name, '')}" for name in datasets]
    tested = f"Tested on {_and(sets)}." if sets else ""
    return f"Results of the configuration <b>{escape(spec.name)}</b>. {trained} {tested}"


def _and(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _notes(shown: Gallery, spec: PageSpec) -> str:
    """What a reader has to know of the pictures and the numbers below them."""
    net, version = LPIPS_NETS.get(spec.lpips["net"], spec.lpips["net"]), spec.lpips["version"]
    cut = f", {spec.border} pixels cut off at each border" if spec.border else ""
    notes = [
        f"PSNR on {SPACES.get(spec.space, spec.space)}{cut}, and LPIPS ({net}, v{version}) on RGB, of the whole frame, "
        f"first seed. Pictures are WebP, quality {QUALITY}; all numbers are of the originals. Differences are those of "
        "the pictures here. W is made from the ground truth.",
        *shown.notes,
    ]
    return escape(" ".join(notes))


# --- tables, figures and files ---


def _table(path: Path, links: Sequence[Path], out: Path) -> str:
    """The body of a table's own page, below a smaller heading."""
    try:
        body = re.search(r"<main>(.*)</main>", path.read_text(encoding="utf-8"), re.DOTALL)
    except (OSError, ValueError) as e:
        raise UserError(f"{path}: can't be read ({e}); delete it and run again") from e
    if not body:
        raise UserError(f"{path}: has no <main> element to show; delete it and run again")
    text = re.sub(r"(</?)h1\b", r"\1h3", body[1])
    return f'<article class="table" id="table-{escape(path.stem)}">{text}{_links(path, links, out)}</article>\n'


def _figure(path: Path, spec: PageSpec, links: Sequence[Path], out: Path) -> str:
    try:
        with Image.open(path) as image:
            width, height = image.size
        source = base64.b64encode(path.read_bytes()).decode()
    except OSError as e:
        raise UserError(f"{path}: can't be read as a picture ({e}); delete it and run again") from e
    caption = escape(_caption(path.stem, spec))
    return (
        f'<figure class="plot" id="figure-{escape(path.stem)}">\n'
        f'<img alt="{caption}" width="{width}" height="{height}" '
        f'loading="lazy" decoding="async" src="data:image/png;base64,{source}">\n'
        f"<figcaption>{caption} {_links(path, links, out)}</figcaption>\n</figure>\n"
    )


def _caption(stem: str, spec: PageSpec) -> str:
    """A line below a figure, by its kind and its section of the configuration."""
    if sweep := spec.sweeps.get(stem):
        method, key = label(sweep["model"], sweep["extractor"]), symbol(sweep["key"])
        where = spec.labels.get(sweep["dataset"], sweep["dataset"])
        intervals = f"with 95 % intervals of the difference to {label(sweep['model'])} ({where})"
        return f"LPIPS, PSNR and SSIM of {method} over {key}, {intervals}."
    for section in (sections[stem] for sections in spec.figures.values() if stem in sections):
        frame = f", frame {section['frame']}" if "frame" in section else ""
        place = f"{section['item']}{frame} ({spec.labels.get(section['dataset'], section['dataset'])})"
        what = f"{label(section['model'])} and its variants on" if "model" in section else "Edge maps of"
        return f"{re.sub(r'^figure(?=[0-9])', 'Figure ', stem)}. {what} {place}."
    if stem == "plane":
        return "The perception-distortion plane: LPIPS over PSNR of every method."
    return f"Training curves of {label(stem.removeprefix('curves_'))}."


def _links(path: Path, links: Sequence[Path], out: Path) -> str:
    """Links to what the same job has made of the same numbers."""
    found = [file for file in links if file.with_suffix("") == path.with_suffix("")]
    texts = [f'<a href="{_href(file, out)}">{KINDS[file.suffix]}</a>' for file in found]
    return f'<span class="links">{" ".join(texts)}</span>' if texts else ""


def _files(files: Files, out: Path) -> str:
    """Links to what belongs to no table and no figure."""
    shown = {path.with_suffix("") for path in (*files.tables, *files.figures)}
    paths = [files.frames, *(path for path in files.links if path.with_suffix("") not in shown)]
    rows = "".join(f'<li><a href="{_href(p, out)}">{escape(_relative(p, out))}</a></li>\n' for p in paths)
    return (
        "<p>Every measurement, beside this page. The tables and figures above link to theirs.</p>\n"
        f'<ul class="files">\n{rows}</ul>\n'
    )


def _href(path: Path, out: Path) -> str:
    return quote(_relative(path, out))


def _relative(path: Path, out: Path) -> str:
    return Path(os.path.relpath(path, out.parent)).as_posix()
