"""A workspace for Snakemake: its own folder, the repository's Snakefile, downloads shared with the repository."""

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import yaml
from PIL import Image

from sa_sr.lock import waiting
from tests.slurm import cluster
from tests.workflow import forked

ROOT = Path(__file__).parents[2]
PARTS = ["Snakefile", "workflow", "profiles", "sa_sr", "config"]
"""Of the repository: all that a run needs."""
NO_CACHES = shutil.ignore_patterns("__pycache__")  # where other processes write


@dataclass
class Workspace:
    """A folder in which the workflow runs with one configuration, by the code of `checkout` and one of its profiles."""

    folder: Path
    config: dict[str, Any]
    checkout: Path = ROOT
    profile: str = "default"

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Snakemake and its stages, to their end."""
        plans = "--dry-run" in arguments
        return (self.quickly if plans or self.profile == "default" else self.run)(*self.command(*arguments))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Snakemake in a process group of its own; what it says is added to the file `said`."""
        with open(self.folder / "said", "ab") as said:
            return subprocess.Popen(
                self.command(*arguments), **self.process, stdout=said, stderr=said, start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
            )  # fmt: skip

    def unlock(self) -> subprocess.CompletedProcess[str]:
        return self.run("sa-sr", "unlock")

    def why(self, *arguments: str) -> str:
        """What `sa-sr why` says."""
        self.configure()
        done = self.quickly(
            "sa-sr", "why", "--configfile", "config.yaml", "--snakefile", str(self.checkout / "Snakefile"), *arguments
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command of the environment in this folder."""
        return subprocess.run(command, **self.process, capture_output=True, text=True)

    def quickly(self, *command: str) -> subprocess.CompletedProcess[str]:
        """The same, and each `sa-sr` that it starts, without the time to load them; not for jobs of Slurm."""
        env = self.process["env"]
        env["PATH"] = f"{forked.commands()}{os.pathsep}{env['PATH']}"
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True)

    def command(self, *arguments: str) -> list[str]:
        self.configure()
        command = ["snakemake", "--snakefile", str(self.checkout / "Snakefile"), "--configfile", "config.yaml"]
        return [*command, "--workflow-profile", str(self.checkout / "profiles" / self.profile), *arguments]

    def configure(self) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))

    @property
    def process(self) -> dict[str, Any]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {"cwd": self.folder, "env": {**os.environ, "PATH": path, "PYTHONPATH": str(self.checkout)}}

    def copy(self, folder: Path) -> "Workspace":
        """Another folder with the same pictures and downloads, where nothing has run."""
        for name in ("photos", "clips"):
            shutil.copytree(self.folder / name, folder / name)
        (folder / "results").mkdir()
        (folder / "results/assets").symlink_to(self.folder / "results/assets")
        return Workspace(folder, copy.deepcopy(self.config))

    def planned(self, *arguments: str) -> dict[str, int]:
        """Jobs of each rule that would run."""
        done = self.snakemake("--quiet", "reason", "--dry-run", *arguments)
        assert done.returncode == 0, done.stderr
        table = done.stdout.partition("Job stats:")[2].partition("total")[0]
        rows = [line.split() for line in table.splitlines()[3:] if line.strip()]
        return {rule: int(count) for rule, count in rows}


@pytest.fixture
def demo(tmp_path) -> Workspace:
    """The demo's configuration in an empty folder: to plan with."""
    return Workspace(tmp_path, yaml.safe_load((ROOT / "config/demo.yaml").read_text()))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, asset) -> Workspace:
    """The whole chain in a minute or two: the demo's structure with small photos, pans over photos, tiny networks."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "results").mkdir()
    weights = [asset("vgg19_oxford_q8.bin"), asset("alexnet.ckpt")]
    (folder / "results/assets").mkdir()
    for file in weights:
        os.link(
            file, folder / "results/assets" / file.name
        ) if file.stat().st_dev == folder.stat().st_dev else shutil.copy(file, folder / "results/assets")
    photos = {"train": ["coffee", "motorcycle_left"], "val": ["ihc"], "test": ["chelsea", "astronaut"]}
    for role, names in photos.items():
        for name in names:
            place = folder / "photos" / role
            place.mkdir(parents=True, exist_ok=True)
            photo(name).crop((100, 100, 228, 212)).save(place / f"{name}.png")
    for role, name in {"train": "coffee", "val": "ihc", "test": "astronaut"}.items():
        place = folder / "clips" / role / f"pan_{name}"
        place.mkdir(parents=True)
        for t in range(7):
            photo(name).crop((50 + 3 * t, 60, 146 + 3 * t, 140)).save(place / f"{t}.png")

    config = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    images = {f"photos_{r}": {"kind": "images", "sources": [{"folder": f"photos/{r}"}]} for r in photos}
    clips = {f"clips_{r}": {"kind": "clips", "sources": [{"folder": f"clips/{r}"}]} for r in photos}
    stage = {"steps": 3, "batch": 2, "val_every": 2, "val_patches": 2}
    config |= {"name": "tiny", "datasets": images | clips, "sweeps": {}}
    del config["tables"]["photos"]
    config["models"]["esrgan"] |= {
        "train_set": "photos_train",
        "val_set": "photos_val",
        "test_sets": ["photos_test", "clips_test"],
        "patch": 32,
        "init": None,
        "generator": {"num_feat": 8, "num_block": 1, "num_grow_ch": 4},
        "discriminator": {"num_feat": 4},
        "pretrain": stage,
        "train": stage,
    }
    config["models"]["vsrresfeatgan"] |= {
        "train_set": "clips_train",
        "val_set": "clips_val",
        "test_sets": ["clips_test"],
        "generator": {"num_feat": 8, "num_block": 1},
        "discriminator": {"channels": [4, 8, 8]},
        "pretrain": stage,
        "train": stage,
    }
    config["models"]["esrgan"]["loss"]["beta2"]["canny"] = "auto"
    for model in config["models"].values():
        model["loss"]["calibration_batches"] = 2
    for table in config["tables"].values():
        table["dataset"] = "clips_test"
    config["figures"] = {
        "edge_maps": {"figure1": {"dataset": "photos_test", "item": "astronaut"}},
        "comparisons": {
            "figure8": {"model": "esrgan", "dataset": "photos_test", "item": "chelsea"},
            "figure10": {"model": "vsrresfeatgan", "dataset": "clips_test", "item": "pan_astronaut", "frame": 3},
        },
    }
    return Workspace(folder, config)


@pytest.fixture(scope="session")
def slurm() -> None:
    """The test is skipped where the test cluster does not run; it fails in CI where one could."""
    if cluster.ready() != set(cluster.NODES):
        missing = "no test cluster runs: python -m tests.slurm.cluster start"
        pytest.fail(missing) if os.environ.get("CI") and cluster.possible() else pytest.skip(missing)


@pytest.fixture(scope="session")
def run_once(tmp_path_factory) -> Callable[[Workspace], Workspace]:
    """run_once(work): a copy of what comes of `work`, which the process of tests that is first runs to its end."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def run(work: Workspace) -> Workspace:
        place = base / f"finished-{work.folder.name}"
        with waiting(place.with_suffix(".lock")):
            if not place.exists():
                done = work.snakemake("--resources", "gpu=2")
                assert done.returncode == 0, done.stderr
                shutil.copytree(work.folder, place)
        return replace(work, folder=shutil.copytree(place, tmp_path_factory.mktemp("copy") / "finished"))

    return run


@pytest.fixture(scope="session")
def finished(tiny, run_once) -> Workspace:
    """The whole chain, run to its end."""
    return run_once(tiny)


@pytest.fixture(scope="session")
def finished_part(tiny, run_once, tmp_path_factory) -> Workspace:
    """The same of one model with two extractors on one test set."""
    work = tiny.copy(tmp_path_factory.mktemp("part"))
    config = work.config
    del config["models"]["vsrresfeatgan"], config["extractors"]["local_variance"]
    del config["figures"]["comparisons"]["figure10"]
    config["models"]["esrgan"]["test_sets"] = ["photos_test"]
    del config["models"]["esrgan"]["loss"]["beta2"]["local_variance"]
    config["tables"] = {"table1": config["tables"]["table1"] | {"dataset": "photos_test"}}
    return run_once(work)


def photo(name: str) -> Image.Image:
    return Image.fromarray(np.asarray(Image.open(f"{skimage.__path__[0]}/data/{name}.png").convert("RGB")))


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """Another checkout of the repository, with other times of all files."""
    place = tmp_path_factory.mktemp("clone")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, place / part, copy_function=shutil.copyfile, ignore=NO_CACHES)
        else:
            shutil.copyfile(ROOT / part, place / part)
    return place


def edited(config: dict, values: dict[str, object]) -> dict:
    """A copy of a configuration with other values at dotted paths."""
    config = json.loads(json.dumps(config))  # no part of it is shared
    for path, value in values.items():
        *way, key = path.split(".")
        place = config
        for name in way:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[key] = value
    return config


@contextmanager
def changed(path: Path, edit: Callable[[bytes], bytes]) -> Iterator[None]:
    """A file with another content for a while."""
    before = path.read_bytes()
    path.write_bytes(edit(before))
    try:
        yield
    finally:
        path.write_bytes(before)
