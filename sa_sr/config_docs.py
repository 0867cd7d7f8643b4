"""Write config/schema.json and config/README.md from the sections of the configuration and from the extractors.

The first paragraph of a key's docstring is its meaning. A paragraph "Open: ... Alternatives: ... Evidence: ..." says
what the paper leaves open about it; these become a table of their own.
"""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sa_sr.config import Clips, ClipSource, Comparison, Config, EdgeMaps, Evaluation, Expect, Figures, Images, Source
from sa_sr.config.claims import Claim
from sa_sr.config.models import (
    Esrgan,
    EsrganLoss,
    Features,
    Models,
    Optimise,
    RRDBNetSize,
    VGGDiscriminatorSize,
    VSRDiscriminatorSize,
    VsrResFeatGan,
    VsrResFeatGanLoss,
    VSRResNetSize,
)
from sa_sr.config.results import Edges, LpipsChoice, Regions, Table
from sa_sr.config.sweeps import Sweep
from sa_sr.data.assets import Asset, Installed, Local, PackageFile, Url
from sa_sr.files import write_text
from sa_sr.plugins import find, names

HEAD = """# Configuration

Every file here is complete in itself: `snakemake` alone runs `paper.yaml`, `snakemake --configfile config/demo.yaml`
the demo. Keys are checked before anything runs; a wrong one is named with its path. This page is generated from
`sa_sr/config/` and `sa_sr/edges/` by `sa-sr config-docs`, and so is `schema.json`, with which an editor completes and
checks the files. What the paper leaves open is [the last table](#what-the-paper-leaves-open).

Numbers are decimal: `0010`, `1:30`, `0x10`, `1_000`, dates, and `yes`, `no`, `on` and `off` are refused unless they
stand in quotes, for YAML reads them as something else. `--configfile` takes all words up to the next option, so a
target goes before it: `snakemake results/demo/index.html --configfile config/demo.yaml`.
"""

OPEN = """
## What the paper leaves open

Each is a key, with a default, its alternatives, and what speaks for the default.

| key | what is open | default | alternatives | evidence |
|---|---|---|---|---|
"""

WORDS = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}

SECTIONS: dict[str, type[BaseModel]] = {
    "(top level)": Config,
    "assets.<name>": Asset,
    "assets.<name>.sources: a file on the web": Url,
    "assets.<name>.sources: out of a package": PackageFile,
    "assets.<name>.sources: of an installed package": Installed,
    "assets.<name>.sources: a file of one's own": Local,
    "datasets.<name>, kind: images": Images,
    "datasets.<name>.sources, of images": Source,
    "datasets.<name>, kind: clips": Clips,
    "datasets.<name>.sources, of clips": ClipSource,
    "datasets.<name>.sources.expect": Expect,
    "models": Models,
    "models.esrgan": Esrgan,
    "models.esrgan.loss": EsrganLoss,
    "models.esrgan.generator": RRDBNetSize,
    "models.esrgan.discriminator": VGGDiscriminatorSize,
    "models.vsrresfeatgan": VsrResFeatGan,
    "models.vsrresfeatgan.loss": VsrResFeatGanLoss,
    "models.vsrresfeatgan.generator": VSRResNetSize,
    "models.vsrresfeatgan.discriminator": VSRDiscriminatorSize,
    "models.<model>.features": Features,
    "models.<model>.train and .pretrain": Optimise,
    "evaluation": Evaluation,
    "evaluation.lpips": LpipsChoice,
    "evaluation.regions": Regions,
    "evaluation.edges": Edges,
    "tables.<name>": Table,
    "figures": Figures,
    "figures.edge_maps.<name>": EdgeMaps,
    "figures.comparisons.<name>": Comparison,
    "sweeps.<name>": Sweep,
    "claims.<name>, in claims.yaml": Claim,
}

OPEN_POINT = re.compile(
    r"Open(?: \((?P<keys>[^)]*)\))?: (?P<what>.*?)(?: Alternatives: (?P<others>.*?))? Evidence: (?P<evidence>.*)$"
)


def write_docs(folder: Path) -> None:
    """Write schema.json and README.md into `folder`."""
    write_text(folder / "schema.json", json.dumps(Config.model_json_schema(), indent=2) + "\n")
    sections = "".join(_section(path, section) for path, section in SECTIONS.items())
    extractors = "".join(_extractor(name) for name in names("edges"))
    points = "".join(f"| {' | '.join(cells)} |\n" for cells in [*_open_keys(), *_open_parameters()])
    write_text(folder / "README.md", HEAD + sections + extractors + OPEN + points)


def _section(path: str, section: type[BaseModel]) -> str:
    lines = [
        f"\n## {path}\n",
        f"{_paragraphs(section.__doc__)[0]}\n",
        "| key | type | default | meaning |",
        "|---|---|---|---|",
    ]
    return "\n".join([*lines, *_rows(section)]) + "\n"


def _rows(section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_json_schema()["properties"].items():
        meaning = _paragraphs(_description(section, name))[0]
        yield f"| `{name}` | {_type(field)} | {_default(field, section.model_fields[name])} | {meaning} |"


def _extractor(name: str) -> str:
    text = f"\n## extractors.{name}\n\n{_paragraphs(find('edges', name).__doc__)[0]} See `sa_sr/edges/{name}.py`.\n"
    rows = [f"| `{p.name}` | {_annotation(p)} | `{json.dumps(p.default)}` |" for p in _parameters(name)]
    return text + ("\n".join(["\n| parameter | type | default |", "|---|---|---|", *rows]) + "\n" if rows else "")


def _annotation(parameter: inspect.Parameter) -> str:
    """The type of a parameter; an extractor of one's own may have none."""
    return "any" if parameter.annotation is parameter.empty else getattr(parameter.annotation, "__name__", "any")


def _parameters(extractor: str) -> list[inspect.Parameter]:
    _, *parameters = inspect.signature(find("edges", extractor), eval_str=True).parameters.values()
    return parameters


def _open_keys() -> Iterator[tuple[str, ...]]:
    """Cells of the open points among the keys; what both models share is listed once."""
    seen = set()
    for path, section in SECTIONS.items():
        for name, field in section.model_json_schema()["properties"].items():
            text = _description(section, name)
            default = _default(field, section.model_fields[name])
            point = OPEN_POINT.match(_paragraphs(text)[-1])
            if point and (name, text, default) not in seen:
                seen.add((name, text, default))
                shared = section in (Esrgan, EsrganLoss) and name not in section.__annotations__
                where = re.sub(r"models\.esrgan", "models.<model>", path) if shared else path
                others = point["others"] or " or ".join(f"`{choice}`" for choice in _others(field))
                yield f"`{re.split(', | and ', where)[0]}.{name}`", point["what"], default, others, point["evidence"]


def _open_parameters() -> Iterator[tuple[str, ...]]:
    """The same for the parameters of the extractors."""
    for extractor in names("edges"):
        defaults = {p.name: json.dumps(p.default) for p in _parameters(extractor)}
        for point in filter(None, map(OPEN_POINT.match, _paragraphs(find("edges", extractor).__doc__))):
            keys = point["keys"].split(", ")
            where = ", ".join(f"`extractors.{extractor}.{key}`" for key in keys)
            default = ", ".join(f"`{defaults[key]}`" for key in keys)
            yield where, point["what"], default, point["others"], point["evidence"]


def _description(section: type[BaseModel], name: str) -> str:
    """The docstring of a key, of the section itself or of the one that it refines."""
    described = (c.model_fields[name].description for c in section.__mro__ if name in getattr(c, "model_fields", {}))
    return next(filter(None, described))


def _paragraphs(text: str | None) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text or "").split("\n\n")]


def _others(field: dict[str, Any]) -> list[str]:
    """The values that a key can have beside its default."""
    choices = [True, False] if field.get("type") == "boolean" else field.get("enum", [])
    return [json.dumps(choice).strip('"') for choice in choices if choice != field.get("default")]


def _type(field: dict[str, Any]) -> str:
    """The type of a JSON schema in words."""
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"] if choice.get("type") != "null")
    choices = field.get("enum", [field["const"]] if "const" in field else [])
    return " or ".join(f"`{choice}`" for choice in choices) or WORDS[field.get("type", "object")]


def _default(field: dict[str, Any], info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    default = field.get("default")
    return "its own defaults" if isinstance(default, dict) and default else f"`{json.dumps(default)}`"
