"""Write config/schema.json and config/README.md from the sections of sa_sr/config.py."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sa_sr.config import (
    Clips,
    ClipSource,
    Comparison,
    Config,
    EdgeMaps,
    Esrgan,
    Evaluation,
    Features,
    Figures,
    Images,
    Loss,
    Models,
    Optimise,
    RRDBNetSize,
    Source,
    Table,
    VGGDiscriminatorSize,
    VSRDiscriminatorSize,
    VsrResFeatGan,
    VSRResNetSize,
)
from sa_sr.storage import write_text

HEAD = """# Configuration

Every file here is complete in itself: `snakemake` alone runs `paper.yaml`, `snakemake --configfile config/demo.yaml`
the demo. Keys are checked before anything runs; a wrong one is named with its path. This page is generated from
`sa_sr/config.py` by `sa-sr config-docs`, and so is `schema.json`, with which an editor completes and checks the files.
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
    "datasets.<name>, kind: images": Images,
    "datasets.<name>.sources, of images": Source,
    "datasets.<name>, kind: clips": Clips,
    "datasets.<name>.sources, of clips": ClipSource,
    "models": Models,
    "models.esrgan": Esrgan,
    "models.esrgan.generator": RRDBNetSize,
    "models.esrgan.discriminator": VGGDiscriminatorSize,
    "models.vsrresfeatgan": VsrResFeatGan,
    "models.vsrresfeatgan.generator": VSRResNetSize,
    "models.vsrresfeatgan.discriminator": VSRDiscriminatorSize,
    "models.<model>.features": Features,
    "models.<model>.loss": Loss,
    "models.<model>.pretrain and .train": Optimise,
    "evaluation": Evaluation,
    "tables.<name>": Table,
    "figures": Figures,
    "figures.edge_maps.<name>": EdgeMaps,
    "figures.comparisons.<name>": Comparison,
}


def write_docs(folder: Path) -> None:
    """Write schema.json and README.md into `folder`."""
    write_text(folder / "schema.json", json.dumps(Config.model_json_schema(), indent=2) + "\n")
    write_text(folder / "README.md", HEAD + "".join(_section(path, section) for path, section in SECTIONS.items()))


def _section(path: str, section: type[BaseModel]) -> str:
    lines = [f"\n## {path}\n", f"{section.__doc__}\n", "| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*lines, *_rows(section)]) + "\n"


def _rows(section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_json_schema()["properties"].items():
        required = section.model_fields[name].is_required()
        meaning = " ".join(field["description"].split())
        yield f"| `{name}` | {_type(field)} | {_default(field, required)} | {meaning} |"


def _type(field: dict[str, Any]) -> str:
    """The type of a JSON schema in words."""
    if "anyOf" in field:
        return " or ".join(_type(choice) for choice in field["anyOf"] if choice.get("type") != "null")
    choices = field.get("enum", [field["const"]] if "const" in field else [])
    return " or ".join(f"`{choice}`" for choice in choices) or WORDS[field.get("type", "object")]


def _default(field: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    default = field.get("default")
    return "its own defaults" if isinstance(default, dict) and default else f"`{json.dumps(default)}`"
