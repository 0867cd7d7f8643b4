"""What the command line says of itself, and of what is wrong with what it is given."""

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from sa_sr.cli import app


def commands(command: Any, name: str = "sa-sr") -> Iterator[tuple[str, Any]]:
    yield name, command
    for part, below in getattr(command, "commands", {}).items():
        yield from commands(below, f"{name} {part}")


def test_every_command_and_parameter_says_what_it_is():
    found = dict(commands(get_command(app)))
    assert "sa-sr figure comparison" in found
    said = {name: command.help for name, command in found.items()}
    said |= {f"{name}: {parameter.name}": parameter.help for name, c in found.items() for parameter in c.params}
    assert len(said) > 150
    assert [name for name, text in said.items() if not text] == []
