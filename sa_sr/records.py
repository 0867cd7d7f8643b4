"""What made an artefact: a record beside it, `.<name>.made.json`.

It holds the settings, the content of the inputs and the code of the command that made the file, so that `sa-sr why` can
tell what is different now, also where Snakemake's own notes are gone. It lies beside the file and not in it, so that
equal results are equal bytes, and because a CSV or a photo has no place for it; its checksum ties the two together.
"""

import inspect
import json
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Self, get_args, get_type_hints

from sa_sr import __version__, plan, plugins
from sa_sr.errors import UserError
from sa_sr.files import made_here, record_of, write_text
from sa_sr.provenance import code, digest

KEYS = {
    **dict.fromkeys(("command", "at", "by"), str),
    **dict.fromkeys(("settings", "inputs", "content"), dict),
    **dict.fromkeys(("plugins", "code"), list),
}
"""What a record holds."""


class Role:
    """What a parameter of a command is, where it isn't an input (a path) or a setting (any other)."""


class Writes(Role):
    """A file that the command makes, and others of the same name with the suffixes `also`."""

    def __init__(self, *also: str):
        self.also = also


class Settings(Role):
    """Settings as JSON text."""


class Unrecorded(Role):
    """How or where the command runs: it changes no result."""


@dataclass(frozen=True)
class Call:
    """A command and what it is given."""

    command: str
    """Name of its function in `sa_sr.cli`, which is also the name of the rule."""
    settings: dict[str, Any]
    inputs: list[str]
    outputs: list[str]

    @classmethod
    def of(cls, function: Callable, arguments: dict[str, Any], reads: Callable | None = None) -> Self:
        """Sort the arguments of a command by their roles.

        reads: for a command whose inputs follow from its settings, the function that gives them from the arguments.
        """
        settings, inputs, outputs = {}, list(map(str, reads(**arguments))) if reads else [], []
        hints = get_type_hints(function, include_extras=True)
        for name in inspect.signature(function).parameters:
            value = arguments[name]
            role = next((part for part in get_args(hints[name]) if isinstance(part, Role)), None)
            files = [file for file in (value if isinstance(value, list) else [value]) if isinstance(file, Path)]
            if isinstance(role, Writes):
                outputs += [str(file) for path in files for file in (path, *map(path.with_suffix, role.also))]
            elif isinstance(role, Settings):
                settings[name] = _parsed(str(value)) if value else None
            elif not isinstance(role, Unrecorded):
                inputs += map(str, files)
                if not files and value is not None and value != []:
                    settings[name] = value
        return cls(function.__name__, settings, list(dict.fromkeys(inputs)), outputs)


def _parsed(text: str) -> Any:
    """JSON as values; what is none stays as it is, for the command itself to refuse."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


@contextmanager
def recording(call: Call) -> Iterator[None]:
    """Record what makes the outputs of a call in this block, one record beside each.

    The code and the inputs are those of the beginning. Raises UserError where the code is not what the run was planned
    with, where an input is not what a stage has made under its name (the input is set aside), and where an input
    changes in the block, for nobody knows which content the outputs are made of.
    """
    plugins.FOUND.clear()
    inputs = {path: content(path) for path in call.inputs if Path(path).is_file()}
    for path, found in inputs.items():
        if made_here(path) and (made := read(path)) and made["content"]["sha256"] != found["sha256"]:
            from sa_sr.damage import set_aside  # imports h5py

            raise UserError(set_aside(Path(path), f"it is not the file that {made['command']} made there"))
    plan.check(code(call.command))  # remembers the modules as they are now
    yield
    for path, found in inputs.items():
        if not same(path, found):
            raise UserError(f"{path} was changed while {call.command} read it; run the same command again")
    made = _record(call, inputs, sorted(plugins.FOUND))
    for path in call.outputs:
        _write(path, made)


def _record(call: Call, inputs: dict[str, Any], plugins: list[str]) -> dict[str, Any]:
    return {
        "command": call.command,
        "settings": call.settings,
        "inputs": inputs,
        "plugins": plugins,
        "code": code(call.command, *plugins),
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "by": f"sa_sr {__version__}, Python {platform.python_version()}",
    }


def _write(artefact: str, made: dict[str, Any]) -> None:
    text = json.dumps({"path": artefact, "content": _measured(artefact)} | made, indent=1)
    write_text(record_of(artefact), text + "\n")


def renew(call: Call) -> None:
    """Renew the size and times in the records of a call, so that the next look at the same files reads none of them.

    The files are known to be what the call makes. Files that were copied have other times and the same content; a
    download that somebody has put in its place has no record. A record that can't be written stays as it is.
    """
    for output in call.outputs:
        made = read(output)
        if made is None:
            renewed = _record(call, {}, [])
        else:
            inputs = {path: _renewed(path, recorded) for path, recorded in made["inputs"].items()}
            renewed = made | {"inputs": inputs, "content": _renewed(output, made["content"])}
        if renewed != made:
            with suppress(OSError):
                _write(output, renewed)


def _renewed(path: str, recorded: dict[str, Any]) -> dict[str, Any]:
    now = _measured(path) if Path(path).is_file() and not _untouched(path, recorded) else recorded
    return now if now["sha256"] == recorded["sha256"] else recorded


def read(artefact: str | Path) -> dict[str, Any] | None:
    """The record of a file; None where there is none that can be read and has all its keys."""
    try:
        made = json.loads(record_of(artefact).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(made, dict) and all(isinstance(made.get(key), kind) for key, kind in KEYS.items())
    return made if whole and "sha256" in made["content"] else None


def content(path: str) -> dict[str, Any]:
    """SHA-256, size and times of a file; the checksum is that of its record where size and times say that it holds."""
    made = read(path)
    return made["content"] if made and _untouched(path, made["content"]) else _measured(path)


def same(path: str, recorded: dict[str, Any]) -> bool:
    """Whether a file is there and has the content that was recorded; it is read only where its size or a time differ.

    The time of the last change of the file's entry (ctime) counts too: no tool sets it back, so that a file that takes
    the place of another is noticed, also where both have one size and one time of modification.
    """
    if not Path(path).is_file():
        return False
    return _untouched(path, recorded) or content(path)["sha256"] == recorded["sha256"]


def _measured(path: str) -> dict[str, Any]:
    stamp = _stamp(path)
    return {"sha256": _digest(path, **stamp), **stamp}


@cache
def _digest(path: str, **_stamp: int) -> str:
    """Read once, however many ask, unless it is written meanwhile."""
    return digest(path)


def _untouched(path: str, recorded: dict[str, Any]) -> bool:
    return all(recorded.get(key) == value for key, value in _stamp(path).items())


def _stamp(path: str) -> dict[str, int]:
    status = Path(path).stat()
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}
