"""What the command line says of itself, and of what is wrong with what it is given."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

from sa_sr.cli import app, main
from sa_sr.config import load
from sa_sr.config.reading import read
from sa_sr.storage import h5_writer, put
from tests.conftest import ROOT

CONFIG = load(read(ROOT / "config/demo.yaml"))
RUN = CONFIG.train_spec(CONFIG.runs[0]).model_dump(mode="json")
TABLE = next(iter(CONFIG.tables.values())).model_dump(mode="json")


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


@pytest.fixture
def said(monkeypatch, caplog, capsys) -> Callable[..., tuple[int, str]]:
    """Exit status and message of a command that fails; what is not foreseen would leave a traceback and status 70."""
    caplog.set_level(logging.INFO, "sa_sr")  # main sets it too, for good

    def run(command: str, **values: Any) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["sa-sr", *(word.format(**values) for word in command.split())])
        with pytest.raises(SystemExit) as e:
            main()
        return int(e.value.code or 0), "\n".join([*caplog.messages, capsys.readouterr().err]).strip()

    return run


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps(RUN)[:-9], "Invalid JSON: EOF while parsing"),
        (json.dumps(RUN | {"patc": 1}), "unknown key 'patc'; did you mean 'patch'?"),
        (json.dumps(RUN | {"optimise": {"steps": "few"}}), "optimise.steps: Input should be a valid integer"),
    ],
)
def test_a_wrong_run_json_is_named_with_its_key(said, tmp_path, content, message):
    run = tmp_path / "run.json"
    run.write_text(content)
    others = " ".join(f"--{name} {{x}}" for name in ("data", "val-data", "init", "features", "state", "history", "val"))
    status, error = said(f"train {{run}} {others} --out {{x}}", run=run, x=tmp_path / "x")
    assert status == 1
    assert error.startswith(f"sa-sr: error: {run}: {message}")
    assert "\n" not in error
    assert "https://" not in error
    assert list(tmp_path.iterdir()) == [run]


@pytest.mark.parametrize(
    ("command", "values", "message"),
    [
        (
            "prepare --assets a --spec",
            {"kind": "images", "sources": 1},
            "--spec: sources: Input should be a valid array",
        ),
        ("prepare --assets a --spec", {"sources": []}, "--spec: a data set needs the key `kind`"),
        ("download x --spec", {"about": "x"}, "--spec: licence: Field required; sha256: Field required; sources: "),
        ("resolve --spec", [1], "--spec: Input should be an object"),
        ("evaluate s d --method bicubic --lpips w --protocol", {"ssim": "round"}, "--protocol: ssim: Input should be "),
        ("figure plane m --spec", {"extractors": ["none"], "panels": [{"model": 1}]}, "--spec: panels.0.model: Input "),
    ],
)
def test_wrong_settings_are_told_with_their_option_and_key(said, tmp_path, command, values, message):
    arguments = {"values": json.dumps(values, separators=(",", ":")), "out": tmp_path / "out"}
    status, error = said(f"{command} {{values}} --out {{out}}", **arguments)
    assert status == 1
    assert "\n" not in error
    assert "https://" not in error
    assert error.startswith(f"sa-sr: error: {message}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("claims", "tables", "extractors", "message"),
    [
        ({"a": {"statement": "s", "where": "w"}}, {}, [], "--claims: a: give either `metric` or `share`"),
        ({}, {"t": TABLE | {"border": -1}}, [], "--tables: t.border: Input should be greater"),
        ({}, {}, {}, "--extractors: Input should be a valid array"),
    ],
)
def test_each_of_several_options_of_settings_is_told_apart(said, tmp_path, claims, tables, extractors, message):
    given = {"claims": claims, "tables": tables, "extractors": extractors}
    words = {name: json.dumps(value) for name, value in given.items()}
    options = " ".join(f"--{name} {{{name}}}" for name in words)
    status, error = said(f"claims d {options} --csv {{x}} --md {{x}} --html {{x}}", x=tmp_path / "x", **words)
    assert status == 1
    assert "\n" not in error
    assert "https://" not in error
    assert error.startswith(f"sa-sr: error: {message}")


@pytest.mark.parametrize("crop", ["1,2,3", "1,2,3,4,5", "a,b,c,d", ","])
def test_a_crop_of_anything_but_four_numbers_is_a_wrong_option(said, tmp_path, crop):
    status, error = said("figure comparison d i --item x --out {out} --crop {crop}", out=tmp_path / "out", crop=crop)
    assert status == 2
    assert f"Invalid value for --crop: x,y,width,height are four whole numbers, not '{crop}'" in error


def test_a_table_is_printed_on_a_terminal_of_few_letters(tmp_path):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/table1.md").write_text("| 28.10 ± 0.05 |", encoding="utf-8")
    (tmp_path / "tables/table1.csv").touch()
    done = subprocess.run(
        [sys.executable, "-m", "sa_sr", "summary", str(tmp_path)],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "28.10 \\xb1 0.05" in done.stdout


def test_closed_streams_cost_nothing(tmp_path):
    """What a library prints on number 2 must not come to stand in a result that has got this number."""
    with h5_writer(tmp_path / "data.h5", border="clamp") as f:
        put(f, "lr/a", np.zeros((1, 8, 8, 3), np.uint8))
        put(f, "hr/a", np.zeros((1, 32, 32, 3), np.uint8))
    made = []
    for name, closed in (("open", ""), ("closed", "0<&- 1>&- 2>&-")):
        command = f"{sys.executable} -m sa_sr bicubic data.h5 --out {name}.h5 {closed}"
        assert subprocess.run(["sh", "-c", command], cwd=tmp_path).returncode == 0
        made.append((tmp_path / f"{name}.h5").read_bytes())
    assert made[0] == made[1]
    code = "import sa_sr.cli, sys; sa_sr.cli._open_streams(); sys.exit(open('x', 'w').fileno() < 3)"
    command = f'{sys.executable} -c "{code}" 0<&- 1>&- 2>&-'
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path).returncode == 0


def test_a_message_names_a_file_of_any_name(tmp_path):
    command = [sys.executable, "-m", "sa_sr", "summary", bytes(tmp_path) + b"/\xff"]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 1
    assert b"no tables here" in done.stderr
