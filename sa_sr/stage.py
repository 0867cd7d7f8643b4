"""A stage of the workflow is a command that makes files, and leaves a record of how it made them."""

import inspect
import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from sa_sr.rank import rank
from sa_sr.records import Call, recording

Log = Annotated[Path | None, typer.Option(help="Copy messages into this file.")]
STAGES: dict[str, Callable[[dict[str, Any]], Call]] = {}
"""For the name of each stage on the command line, what a set of arguments means."""


def stage(group: typer.Typer, reads: Callable | None = None) -> Callable[[Callable], Callable]:
    """Make a function a command of `group` which copies its messages into `--log` and records what it made.

    The annotations of its parameters say what is written, what are settings and what is not recorded (`records.Role`);
    reads: see `Call.of`.
    """

    def register(function: Callable) -> Callable:
        name = function.__name__.replace("_", "-")
        STAGES[name] = lambda arguments: Call.of(function, arguments, reads)

        @wraps(function)
        def run(log: Path | None, **arguments: Any) -> None:
            first = rank() == 0
            if log is not None:
                log.parent.mkdir(parents=True, exist_ok=True)
                if first:
                    log.write_bytes(b"")
                logging.getLogger().addHandler(logging.FileHandler(log, encoding="utf-8", errors="backslashreplace"))
            if not first:  # of several processes of one training: heard only when an error ends it
                logging.getLogger("sa_sr").setLevel(logging.CRITICAL)
            with recording(STAGES[name](arguments)) if first else nullcontext():
                function(**arguments)

        own = inspect.signature(function)
        option = inspect.Parameter("log", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Log)
        run.__signature__ = own.replace(parameters=[*own.parameters.values(), option])  # type: ignore[attr-defined]
        run.__annotations__ = function.__annotations__ | {"log": Log}
        group.command(name)(run)
        return function

    return register


def call_of(app: typer.Typer, words: list[str]) -> Call | None:
    """What a command line of `app` means, without the name of the program; None if it is none of a stage."""
    command: Any = _commands(app)
    name = ""
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    if name not in STAGES:
        return None
    arguments = command.make_context(name, words).params
    del arguments["log"]
    return STAGES[name](arguments)


@cache
def _commands(app: typer.Typer) -> Any:
    """Made once, for a plan asks for the meaning of a hundred command lines."""
    return get_command(app)
