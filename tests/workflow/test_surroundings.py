"""Odd names, folders, clocks and disks: the workflow does what it does elsewhere, or says in one line what is wrong."""

import os
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sa_sr.damage import find_damage
from tests.conftest import without_root
from tests.hdf5 import items
from tests.processes import version
from tests.workflow.conftest import ROOT, Workspace

NAMES = ["Bild ä", "-minus } {- 'q' \"d\"", "100% $HOME #1 [a]"]
PHOTOS = "-é {} 'q'"
DATA = "results/tiny/data/photos_test.h5"
CSV = "results/tiny/evaluation/bicubic/photos_test.csv"
FIGURE = "results/tiny/figures/figure1.png"


@pytest.fixture(scope="module")
def odd(tiny, tmp_path_factory) -> Workspace:
    """Photos of odd names in folders of odd names, prepared, measured and drawn: five jobs."""
    folder = tmp_path_factory.mktemp("odd") / "Bilder von Zürich (1)"
    folder.mkdir()
    work = tiny.copy(folder)
    photos = folder / PHOTOS
    photos.mkdir()
    source = tiny.folder / "photos/test/chelsea.png"
    for name in NAMES:
        shutil.copy(source, photos / f"{unicodedata.normalize('NFD', name)}.png")  # as macOS writes it
    work.config["datasets"]["photos_test"]["sources"] = [{"folder": photos.name}]
    work.config["figures"]["edge_maps"]["figure1"]["item"] = unicodedata.normalize("NFC", NAMES[0])
    work.config["figures"]["comparisons"]["figure8"]["item"] = NAMES[1]
    done = work.snakemake(CSV, FIGURE)
    assert done.returncode == 0, done.stderr
    return work


def test_names_with_spaces_accents_quotes_and_braces_are_names_like_any_other(odd):
    assert items(odd.folder / DATA) == sorted(unicodedata.normalize("NFC", name) for name in NAMES)
    assert all(name.replace('"', '""') in (odd.folder / CSV).read_text() for name in NAMES)
    assert (odd.folder / FIGURE).stat().st_size > 1000


def test_braces_that_snakemake_takes_for_a_wildcard_are_refused_by_name(odd):
    photo = odd.folder / PHOTOS / "{dataset}.png"
    shutil.copy(odd.folder / PHOTOS / f"{NAMES[1]}.png", photo)
    try:
        done = odd.snakemake("--dry-run", CSV)
    finally:
        photo.unlink()
    assert done.returncode != 0
    assert (
        f"{PHOTOS}/{{dataset}}.png: Snakemake takes {{...}} in a path for a wildcard; rename"
        in done.stdout + done.stderr
    )


@pytest.fixture
def dated(odd) -> Iterator[Callable[[float], None]]:
    """dated(t): give all files the time t, and inputs one that is an hour later; afterwards they have a past one."""

    def date(stamp: float) -> None:
        inputs = [odd.folder / DATA, *(odd.folder / PHOTOS).iterdir()]
        for file in odd.folder.rglob("*.*"):
            if file.is_file() and not file.is_relative_to(odd.folder / ".snakemake"):
                later = stamp + (3600 if file in inputs else 0)
                os.utime(file, (later, later), follow_symlinks=False)

    yield date
    date(1.6e9)


@pytest.mark.parametrize("years", [-5, 1])
def test_a_clock_that_is_wrong_reruns_nothing(odd, dated, years):
    """Inputs newer than what was made of them, results newer than the clock: their content is what counts."""
    dated(time.time() + years * 365 * 86400)
    assert not odd.planned(CSV, FIGURE)


@pytest.mark.slow
def test_a_file_from_the_future_of_which_something_is_to_be_made_is_named(odd, dated):
    """Snakemake's rule: it could not tell later whether the result is up to date."""
    dated(time.time() + 86400)
    (odd.folder / CSV).unlink()
    done = odd.snakemake(CSV)
    assert done.returncode != 0
    assert "has older modification time" in done.stderr
    assert DATA in done.stderr.partition("has older modification time")[2]
    dated(1.6e9)
    assert odd.snakemake(CSV).returncode == 0


def test_a_photo_in_the_place_of_another_is_seen_though_it_is_older(odd, tiny):
    photo = next((odd.folder / PHOTOS).glob("100*"))
    whole = photo.read_bytes()
    photo.write_bytes((tiny.folder / "photos/test/astronaut.png").read_bytes())
    os.utime(photo, (1e9, 1e9))
    try:
        assert odd.planned(CSV)["prepare"] == 1
    finally:
        photo.write_bytes(whole)


def test_a_damaged_data_file_is_made_anew_by_the_same_command(odd):
    data, csv = odd.folder / DATA, odd.folder / CSV
    whole, measured = data.read_bytes(), csv.read_bytes()
    content = bytearray(whole)
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    assert find_damage(data)
    csv.unlink()
    failed = odd.snakemake(CSV, "--rerun-triggers", "mtime")
    assert failed.returncode != 0
    assert "photos_test.h5: damaged (" in failed.stderr
    assert (data.with_name("damaged-photos_test.h5")).read_bytes() == content
    assert not data.exists()
    done = odd.snakemake(CSV, "--rerun-triggers", "mtime")
    assert done.returncode == 0, done.stderr
    assert data.read_bytes() == whole
    assert csv.read_bytes() == measured


def test_a_second_snakemake_stops_at_once_and_the_first_is_undisturbed(odd):
    (odd.folder / CSV).unlink()
    (odd.folder / DATA).unlink()
    log = odd.folder / "results/tiny/logs/prepare/photos_test.log"
    before = version(log)
    first = odd.start(CSV)
    try:
        while version(log) in (0, before):
            assert first.poll() is None
            time.sleep(0.02)
        os.killpg(first.pid, signal.SIGSTOP)  # it would be done before the second has begun
        second = odd.snakemake(CSV)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(first.pid, signal.SIGCONT)
        status = first.wait(120)
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stderr
    assert status == 0
    assert (odd.folder / CSV).exists()


def test_complete_results_may_be_read_only_and_missing_ones_are_one_clear_error(odd):
    """Photos and downloads are only ever read."""
    photos = odd.folder / PHOTOS
    images = odd.folder / "results/tiny/images"
    shutil.rmtree(images)
    work = odd.folder / "results/tiny"
    folders = [photos, work]
    for folder in folders:
        folder.chmod(0o555)
    try:
        command = without_root(odd.command("results/tiny/images/bicubic/photos_test.h5"))
        failed = subprocess.run(command, **odd.process, capture_output=True, text=True)
    finally:
        work.chmod(0o755)
    done = subprocess.run(without_root(odd.command(CSV)), **odd.process, capture_output=True, text=True)
    photos.chmod(0o755)
    assert failed.returncode != 0
    assert "Permission denied" in failed.stderr
    assert "results/tiny/images" in failed.stderr
    assert not images.exists() or not list(images.rglob("*.h5"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("named", [True, False], ids=["a configuration named", "the paper's"])
def test_the_workflow_can_be_planned_from_any_folder(tmp_path, named):
    """With the profile and the configuration that lie beside the Snakefile."""
    folder = tmp_path / "an other é"
    folder.mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    options = ["--configfile", str(ROOT / "config/demo.yaml")] if named else []
    done = subprocess.run(
        ["snakemake", "--dry-run", "-s", os.path.relpath(ROOT / "Snakefile", folder), *options],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert f"results/{'demo' if named else 'paper'}/tables/table1.csv" in said
    assert "profiles/default" in said


def test_the_directory_can_be_another_than_the_one_of_the_command(odd, tmp_path):
    odd.command()
    arguments = ["--snakefile", str(ROOT / "Snakefile"), "--workflow-profile", str(ROOT / "profiles/default")]
    done = subprocess.run(
        ["snakemake", CSV, *arguments, "--directory", odd.folder, "--configfile", odd.folder / "config.yaml"],
        cwd=tmp_path,
        env=odd.process["env"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (odd.folder / CSV).exists()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_where_the_file_system_has_no_locks_the_workflow_runs_all_the_same(tiny, tmp_path):
    """Snakemake itself, and a training of ours with all that it needs."""
    work = tiny.copy(tmp_path)
    model = "results/tiny/train/vsrresfeatgan-canny-s1/model.safetensors"
    done = work.run(sys.executable, "-m", "tests.nolocks", "ENOLCK", *work.command(model))
    assert done.returncode == 0, done.stderr
    assert not work.planned(model)
    state = tmp_path / "state/tiny/vsrresfeatgan-canny-s1"
    assert sorted(path.name for path in state.iterdir()) == ["last.pt", "lock"]
