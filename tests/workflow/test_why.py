"""`sa-sr why` speaks of files that it can't explain by an edit, too; edits are in test_reruns.py."""

import json
import shutil

import pytest

from sa_sr.records import record_of
from tests.workflow.conftest import Workspace, changed

TABLE = "results/tiny/tables/table1.md"
MEANS = "results/tiny/evaluation/means.csv"


def test_nothing_has_changed(finished):
    assert finished.why() == "All of config.yaml: up to date. Nothing that it is made from has changed.\n"


def test_a_file_that_was_edited_by_hand_is_named(finished):
    with changed(finished.folder / MEANS, lambda text: text.replace(b"0", b"9")):
        said = finished.why(TABLE)
    assert said.startswith(f"{TABLE} (made 20")
    assert f"{MEANS} is not as aggregate made it\n  aggregate:" in said


def test_a_file_that_was_edited_by_hand_is_made_again(finished, tmp_path):
    again = Workspace(shutil.copytree(finished.folder, tmp_path / "again"), finished.config)
    means, table = again.folder / MEANS, (again.folder / TABLE).read_bytes()
    whole = means.read_bytes()
    means.write_bytes(whole.replace(b"0", b"9"))
    assert again.snakemake(TABLE).returncode == 0
    assert means.read_bytes() == whole
    assert (again.folder / TABLE).read_bytes() == table


def test_a_file_that_is_not_there_and_one_without_a_record_are_named(finished):
    file = finished.folder / MEANS
    content = file.read_bytes()
    file.unlink()
    try:
        assert "not there yet\n  aggregate:" in finished.why(TABLE)
    finally:
        file.write_bytes(content)
    record = record_of(file)
    with changed(record, lambda _: b""):
        said = finished.why(TABLE)
    assert "no record says what made these files (an older version, or copied without their records)\n  aggreg" in said


def test_an_input_of_another_content_is_named(finished):
    """As where a table was copied here from another run, with its record."""
    record = record_of(finished.folder / TABLE)
    was = json.loads(record.read_text())["inputs"][MEANS]["sha256"].encode()
    stamp = (finished.folder / MEANS).stat().st_mtime_ns
    with changed(record, lambda text: text.replace(was, b"0" * 64).replace(str(stamp).encode(), b"1")):
        assert f"{MEANS} has another content\n  table: results/tiny/tables/table1.csv" in finished.why(TABLE)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("results/tiny/tables/table9.md", "no stage of config.yaml makes it"),
        ("results/tiny/logs/aggregate.log", "makes it; give a file that one does"),
    ],
)
def test_a_file_that_nothing_makes_is_refused(finished, target, message):
    done = finished.run(
        *("sa-sr", "why", target, "--configfile", "config.yaml"),
        *("--snakefile", str(finished.checkout / "Snakefile")),
    )
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_configuration_it_asks_for_one(finished):
    done = finished.run("sa-sr", "why", "results/other/tables/table1.md")
    assert done.returncode == 1
    assert "no file of config/ has the name 'other'; give --configfile" in done.stderr


def test_a_name_with_a_line_break_is_no_obstacle_and_nothing_of_the_folder_is_executed(tiny, tmp_path):
    plain, work = tiny.copy(tmp_path / "plain"), tiny.copy(tmp_path / "odd")
    work.config["figures"]["edge_maps"]["figure1"]["item"] = "two\nlines"
    (work.folder / "photos/test/astronaut.png").rename(work.folder / "photos/test/two\nlines.png")
    for module in ("ast", "secrets", "yaml"):
        (work.folder / f"{module}.py").write_text("open('executed', 'w')\n")
    assert "more stages follow from these" in work.why()
    assert work.why() == plain.why()
    assert not (work.folder / "executed").exists()
