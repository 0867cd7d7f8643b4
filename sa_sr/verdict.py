"""Whether the outputs of a command are what the command would make now.

The record beside each file says what made the file (`sa_sr.records`). The settings, inputs and code in the record are
compared with those of the planned command. The workflow asks for this verdict when it plans and when it ends, and
`sa-sr why` prints it.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa_sr import records
from sa_sr.errors import UserError
from sa_sr.files import made_here
from sa_sr.provenance import code
from sa_sr.records import Call

NO_RECORD = "no record says what made these files (an older version, or copied without their records)"
PLACES = {
    "download": {"spec": "assets.{name}", "sha256": "assets.{name}.sha256"},
    "prepare": {"spec": "datasets.{stem}"},
    "extract_edges": {"params": "extractors.{extractor}"},
    "evaluate": {"protocol": "evaluation"},
    "table": {
        "spec.dataset_label": "tables.{stem}.label",
        "spec.extractors": "extractors",
        "spec.ssim": "evaluation.ssim",
        "spec.lpips": "evaluation.lpips",
        "spec": "tables.{stem}",
    },
    "claims": {"claims": "config/claims.yaml: claims", "tables": "tables", "extractors": "extractors"},
    "edge_maps": {"": "figures.edge_maps.{stem}"},
    "comparison": {"": "figures.comparisons.{stem}"},
    "sweep": {"spec.extractors": "extractors", "spec.points": "sweeps.{stem}.values", "spec": "sweeps.{stem}"},
    "plane": {"spec.extractors": "extractors", "spec.panels": "tables and sweeps"},
    "results_page": {
        "spec.parameters": "extractors",
        "spec.space": "evaluation.spaces.0",
        "spec.border": "evaluation.borders.0",
        "spec.lpips": "evaluation.lpips",
        "spec": "",
    },
    "resolve": {
        "spec.seed": "seeds",
        "spec.precision": "precision",
        "spec.optimise": "models.{model}.{part}",
        "spec.extractor_params": "extractors.{extractor}",
        "spec.terms": "models.{model}.loss",
        "spec.beta2": "models.{model}.loss.beta2.{extractor}",
        "spec.layer": "models.{model}.features.layer",
        "spec.feature_scale": "models.{model}.features.scale",
        "spec": "models.{model}",
    },
}
FOLLOWING = {"table": ("spec.strides", "spec.kind"), "details": ("spec.strides", "spec.kind")}
"""Settings that follow from others, which are named where they stand."""
PLACES["details"] = {part: place.replace("{stem}", "{table}") for part, place in PLACES["table"].items()}
PLACES["calibrate"] = {
    "spec.share": "models.{model}.loss.share",
    "spec.batches": "models.{model}.loss.calibration_batches",
    **PLACES["resolve"],
}
"""For each command, where in the configuration a setting stands: the longest beginning that fits decides."""


@dataclass
class Cause:
    """Something that is not what it was, and what was made with what it was."""

    what: str
    calls: list[Call]

    def __str__(self) -> str:
        lines = [self.what]
        for command in dict.fromkeys(call.command for call in self.calls):
            first, *more = sorted(call.outputs[0] for call in self.calls if call.command == command)
            lines.append(f"  {command}: {first}" + (f", and {len(more)} more" if more else ""))
        return "\n".join(lines)


def judge(calls: Sequence[Call], targets: Sequence[Call]) -> tuple[list[Cause], list[Call]]:
    """The causes for which the files of `targets`, and those that they are made from, are to be made anew.

    calls: those of a whole plan. Returns the causes, and every call that has to run again, what it follows from first.
    """
    makers = {path: call for call in calls for path in call.outputs}
    causes: dict[str, Cause] = {}
    stale: dict[int, bool] = {}

    def look(call: Call) -> bool:
        if id(call) not in stale:
            above = [path for path in call.inputs if path in makers and look(makers[path])]
            found = dict.fromkeys(differences(call, above))
            if not above and not all(Path(path).is_file() for path in call.outputs):
                found = {"not there yet": None}
            for what in found:
                causes.setdefault(what, Cause(what, [])).calls.append(call)
            stale[id(call)] = bool(above or found)
        return stale[id(call)]

    for call in targets:
        look(call)
    return list(causes.values()), [call for call in calls if stale.get(id(call))]


def differences(call: Call, above: Sequence[str] = ()) -> Iterator[str]:
    """What is different between the planned call and the records of those of its outputs that are there, a line each.

    above: inputs that will be made anew. What only follows from these is left out. A known input that is not there
    tells nothing: Snakemake makes it where somebody needs it. Raises UserError for a download that somebody has put in
    its place and that is not the asset: to make it anew would delete a file of the user's.
    """
    for output in filter(os.path.isfile, call.outputs):
        if call.command == "download":  # known by its checksum, however it came
            if not records.content(output)["sha256"].startswith(call.settings["sha256"]):
                if not made_here(output):
                    raise UserError(
                        f"{output}: not the asset, whose checksum is {call.settings['sha256']}; move the file away, or "
                        "describe it under `assets` in the configuration"
                    )
                yield f"{output} has not the checksum {call.settings['sha256']}"
            continue
        made = records.read(output)
        if made is None:
            yield NO_RECORD
            continue
        if not records.same(output, made["content"]):
            yield f"{output} is not as {call.command} made it"
        yield from _settings(call, made["settings"])
        yield from _code(made["code"], code(call.command, *made["plugins"]))
        yield from _inputs(call, made["inputs"], above)


def _inputs(call: Call, before: dict[str, Any], above: Sequence[str]) -> Iterator[str]:
    """Files that are new, gone, or not what they were."""
    for path in sorted({*before, *call.inputs}.difference(above)):
        if path not in call.inputs:
            yield f"{path} is not used any more" if Path(path).exists() else f"{path} is gone"
        elif path not in before:
            yield f"{path} is new"
        elif Path(path).is_file() and not records.same(path, before[path]):
            yield f"{path} has another content"
    if list(before) != call.inputs and {*before} == {*call.inputs}:
        yield "the order of what it is made from is another"


def _settings(call: Call, before: dict[str, Any]) -> Iterator[str]:
    """Keys of the configuration whose value is another."""
    spec = call.settings.get("spec") or {}
    names = {
        "stem": Path(call.outputs[0]).stem,
        "table": Path(call.outputs[0]).stem.removesuffix("_details"),
        "part": "train" if "extractor" in spec else "pretrain",
        **{key: value for values in (spec, call.settings) for key, value in values.items() if isinstance(value, str)},
    }
    was, now = _flat(before), _flat(call.settings)
    for path in sorted({*was, *now}):
        other = json.dumps(was.get(path)) != json.dumps(now.get(path))  # NaN is not equal to itself
        if other and not path.startswith(FOLLOWING.get(call.command, ())):
            key = _key(call.command, path, names)
            before_, after = ("nothing" if path not in values else repr(values[path]) for values in (was, now))
            yield f"{key} was {before_}, is {after}"
    if was == now and json.dumps(before) != json.dumps(call.settings):
        yield "the order of its settings is another"


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Values by their dotted paths; an empty mapping or list is a value."""
    if isinstance(settings, dict | list) and settings:
        pairs = settings.items() if isinstance(settings, dict) else enumerate(settings)
        return {k: v for key, value in pairs for k, v in _flat(value, f"{prefix}{key}.").items()}
    return {prefix.removesuffix("."): settings}


def _key(command: str, path: str, names: dict[str, str]) -> str:
    """Where in the configuration a setting of a command stands; its own name where that is nowhere."""
    for beginning, place in PLACES.get(command, {}).items():
        if not beginning or path == beginning or path.startswith(f"{beginning}."):
            return ".".join(filter(None, [place.format(**names), path.removeprefix(beginning).strip(".")]))
    return path


def _code(before: list[str], now: list[str]) -> Iterator[str]:
    """Modules ("name@hash") and libraries ("name==version") that differ."""
    was, is_ = ({re.split("@|==", tag)[0]: tag for tag in tags} for tags in (before, now))
    for name in sorted({*was, *is_}):
        old, new = was.get(name, ""), is_.get(name, "")
        if old and new and "==" in new and old != new:
            yield f"{name} was {old.removeprefix(name + '==')}, is {new.removeprefix(name + '==')}"
        elif old != new:
            yield f"module {name} {'is new' if not old else 'is gone' if not new else 'has changed'}"
