"""What made an artefact: a record beside it, `.<name>.made.json`.

It holds the settings, the content of the inputs and the code of the command that made the file, so that `sa-sr why` can
tell what is different now, also where Snakemake's own notes are gone. It lies beside the file and not in it, so that
equal results are equal bytes, and because a CSV or a photo has no place for it; its checksum ties the two together.
"""

import inspect
import json
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Self, get_args, get_type_hints

from sa_sr import __version__, plugins
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
        return cls(function.__name__, settings, inputs, outputs)


def _parsed(text: str) -> Any:
    """JSON as values; what is none stays as it is, for the command itself to refuse."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


@contextmanager
def recording(call: Call) -> Iterator[None]:
    """Record what makes the outputs of a call in this block, one record beside each.

    Inputs and code are those of the beginning, which the call works with, whatever happens to them meanwhile. An
    input that is not what a stage has made under its name is set aside, and a UserError says so.
    """
    plugins.FOUND.clear()
    inputs = {path: content(path) for path in call.inputs if Path(path).is_file()}
    for path, found in inputs.items():
        if made_here(path) and (made := read(path)) and made["content"]["sha256"] != found["sha256"]:
            from sa_sr.damage import set_aside  # imports h5py

            raise UserError(set_aside(Path(path), f"it is not the file that {made['command']} made there"))
    code(call.command)  # remembers the modules as they are now
    yield
    found = sorted(plugins.FOUND)
    made = {
        "command": call.command,
        "settings": call.settings,
        "inputs": inputs,
        "plugins": found,
        "code": code(call.command, *found),
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "by": f"sa_sr {__version__}, Python {platform.python_version()}",
    }
    for path in call.outputs:
        write_text(record_of(path), json.dumps({"path": path, "content": _measured(path)} | made, indent=1) + "\n")


def read(artefact: str | Path) -> dict[str, Any] | None:
    """The record of a file; None where there is none that can be read and has all its keys."""
    try:
        made = json.loads(record_of(artefact).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    whole = isinstance(made, dict) and all(isinstance(made.get(key), kind) for key, kind in KEYS.items())
    return made if whole and "sha256" in made["content"] else None


def content(path: str) -> dict[str, Any]:
    """SHA-256, size and time of a file; the checksum is that of its record where size and time say that it holds."""
    made = read(path)
    return made["content"] if made and _untouched(path, made["content"]) else _measured(path)


def same(path: str, recorded: dict[str, Any]) -> bool:
    """Whether a file has the content that was recorded; it is read only where its size or time differ."""
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
    return {"bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
