"""What has changed since an artefact was made: the settings, files and code of now beside those of its record.

The commands of now are those that Snakemake plans; that it has forgotten what it did does not matter.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa_sr import records
from sa_sr.config.reading import read
from sa_sr.errors import UserError
from sa_sr.provenance import code
from sa_sr.records import Call

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


Parse = Callable[[list[str]], Call | None]
"""What a command line of `sa-sr` means; None if it is none of a stage."""


class Remark(str):
    """What is worth knowing of a file, and no reason to make it anew."""


NO_RECORD = Remark("no record of how these were made (by an older version, or copied from elsewhere)")


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


def why(target: str | None, config: Path | None, snakefile: Path, parse: Parse) -> Iterator[str]:
    """Lines that say what has changed since a file, and all that it is made from, was made.

    target: a file that a stage makes, None for all files of the configuration; config: that of the target, None to look
    for it by its name in config/; parse: what a command line of a stage means. Raises UserError where no stage makes
    the target, and with Snakemake's words where it can't plan.
    """
    config = config or _config_of(target)
    calls = _planned(target, config, snakefile, parse)
    makers = {path: call for call in calls for path in call.outputs}
    if target is not None and target not in makers:
        raise _not_made(target, config)
    causes: dict[str, Cause] = {}
    remarks: dict[str, Cause] = {}
    stale: dict[int, bool] = {}

    def look(call: Call) -> bool:
        """Whether a call has to run again; what it is made from comes first."""
        if id(call) not in stale:
            above = [path for path in call.inputs if path in makers and look(makers[path])]
            found = dict.fromkeys(_differences(call, above, makers))
            for what in found:
                kind = remarks if isinstance(what, Remark) else causes
                kind.setdefault(what, Cause(what, [])).calls.append(call)
            stale[id(call)] = bool(above or any(what in causes for what in found))
        return stale[id(call)]

    for call in [makers[target]] if target else calls:
        look(call)
    made = (records.read(target) or {}).get("at") if target and Path(target).exists() else None
    what = f"{target} (made {made})" if made else target or f"All of {config}"
    yield f"{what}: to be made anew." if causes else f"{what}: up to date. Nothing that it is made from has changed."
    yield from (f"\n{cause}" for cause in (*causes.values(), *remarks.values()))
    own = {id(call) for cause in causes.values() for call in cause.calls}
    if follow := [call for call in calls if stale.get(id(call)) and id(call) not in own]:
        trainings = sum(call.command in ("pretrain", "train") for call in follow)
        costly = f", {trainings} of them {'a training' if trainings == 1 else 'trainings'}" if trainings else ""
        yield f"\n{len(follow)} more {'stage follows' if len(follow) == 1 else 'stages follow'} from these{costly}."


def _differences(call: Call, above: list[str], makers: dict[str, Call]) -> Iterator[str]:
    """What is different for one call; not what only follows from files `above` that will be made anew."""
    if not all(Path(path).is_file() for path in call.outputs):
        if not above:
            yield "not there yet"
        return
    for output in call.outputs:
        if call.command == "download":  # known by its checksum, however it came
            if not records.content(output)["sha256"].startswith(call.settings["sha256"]):
                yield f"{output} has not the checksum {call.settings['sha256']}"
            continue
        made = records.read(output)
        if made is None:
            yield NO_RECORD
            continue
        if not records.same(output, made["content"]):
            yield Remark(f"{output} is not as it was made; delete it to have it made anew")
        yield from _settings(call, made["settings"])
        yield from _code(made["code"], code(call.command, *made["plugins"]))
        yield from _inputs(call, made["inputs"], above, makers)


def _inputs(call: Call, before: dict[str, Any], above: list[str], makers: dict[str, Call]) -> Iterator[str]:
    """Files that are new, gone, or not what they were."""
    for path in sorted({*before, *call.inputs}.difference(above)):
        if path not in call.inputs:
            yield f"{path} is not used any more" if path in makers or Path(path).exists() else f"{path} is gone"
        elif not Path(path).is_file():
            yield f"{path} is not there"
        elif path not in before:
            yield f"{path} is new"
        elif not records.same(path, before[path]):
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
        if was.get(path) != now.get(path) and not path.startswith(FOLLOWING.get(call.command, ())):
            key = _key(call.command, path, names)
            before_, after = ("nothing" if path not in values else repr(values[path]) for values in (was, now))
            yield f"{key} was {before_}, is {after}"


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


def _planned(target: str | None, config: Path, snakefile: Path, parse: Parse) -> list[Call]:
    """The call of every job that makes the target from nothing."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--printshellcmds", "--nocolor"]
    command += ["--snakefile", str(snakefile), *filter(None, [target]), "--configfile", str(config)]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout + done.stderr
    if done.returncode:
        if "MissingRuleException" in said:
            raise _not_made(target, config)
        raise UserError(f"Snakemake can't plan with {config}:\n{said.strip()}")
    lines = re.findall(r"^(?:Shell command: |\s+)sa-sr (.+)$", said, re.MULTILINE)
    calls = [call for line in dict.fromkeys(lines) if (call := parse(shlex.split(line)))]
    return sorted(calls, key=lambda call: call.outputs)


def _not_made(target: str | None, config: Path) -> UserError:
    return UserError(f"{target}: no stage of {config} makes it; give a file that one does, as Snakemake names it")


def _config_of(target: str | None) -> Path:
    """The file in config/ whose `name` the target's folder has."""
    if target is None:
        return Path("config/paper.yaml")  # as Snakemake without one
    name = re.match(r"results/([^/]+)/.", target)
    if not name:
        raise UserError(f"{target}: no file in results/<configuration>/; name one from the project's folder")
    for path in sorted(Path("config").glob("*.yaml")):
        with suppress(UserError):  # it is of another configuration, if of any
            if read(path).get("name") == name[1]:
                return path
    raise UserError(f"{target}: no file of config/ has the name {name[1]!r}; give --configfile")
