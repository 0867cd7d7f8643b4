"""profiles/kubernetes: what its plugin would start on a cluster. It has run on none."""

import json
import os
import re
import shlex
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from tests.workflow.conftest import ROOT, Workspace

pytest.importorskip("snakemake_executor_plugin_kubernetes", reason="the extra `kubernetes` is not installed")
PROFILE = ["snakemake", "--workflow-profile", "profiles/kubernetes", "--configfile"]
RUN = "vsrresfeatgan-none-s1"
INPUTS = [
    f"results/tiny/train/{RUN}/run.json",
    *(f"results/tiny/data/clips_{role}.h5" for role in ("train", "val")),
    *(f"results/tiny/edges/clips_{role}/none.h5" for role in ("train", "val")),
    "results/tiny/pretrain/vsrresfeatgan-s1/model.safetensors",
]


class Kubernetes(ThreadingHTTPServer):
    """So much of a cluster's API that every job is taken and fails at once; `posted` holds what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Api)
        self.posted: list[dict[str, Any]] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class Api(BaseHTTPRequestHandler):
    server: Kubernetes

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.posted.append(body)
        self.answer(body)

    def do_GET(self) -> None:
        if self.path.partition("?")[0].endswith("/pods"):
            return self.answer({"items": []})
        self.answer({"metadata": {"name": "job"}, "status": {"failed": 1}})

    def do_DELETE(self) -> None:
        self.answer({})

    def answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Iterator[Kubernetes]:
    """A cluster that this process's children talk to."""
    server = Kubernetes()
    config = {
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "here",
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    if not shutil.which("rsync"):  # by which the storage plugin copies
        (tmp_path / "rsync").write_text('#!/bin/sh\nfor last; do from=$to; to=$last; done\ncp -rL "$from" "$to"\n')
        (tmp_path / "rsync").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def work(tiny, tmp_path) -> Workspace:
    """A clone on the volume, where all that a training needs has been made."""
    (tmp_path / "volume").mkdir()
    work = tiny.copy(tmp_path / "volume")
    shutil.copy(ROOT / "Snakefile", work.folder)
    for name in ("workflow", "config", "profiles"):
        shutil.copytree(ROOT / name, work.folder / name)
    for name in INPUTS:
        (work.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (work.folder / name).touch()
    work.configure()
    return work


def test_the_profile_plans_the_paper(work):
    done = work.run(*PROFILE, "config/paper.yaml", "--dry-run", "--quiet", "rules")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_training_is_a_pod_with_its_image_its_volumes_its_memory_and_its_gpu(work, cluster):
    storage = str(work.folder)
    done = work.run(
        *PROFILE, "config.yaml", "--default-storage-prefix", storage, "--retries", "0", "--rerun-triggers", "mtime",
        "--seconds-between-status-checks", "1", "--", f"results/tiny/train/{RUN}/model.safetensors",
    )  # fmt: skip
    assert done.returncode != 0  # as the cluster says
    assert re.search("Job snakejob-.* failed", done.stdout + done.stderr), done.stderr
    (job,) = (body for body in cluster.posted if "spec" in body)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == "registry.example.org/sa_sr:latest"

    claims = {volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"][1:]}
    mounts = {mount["mountPath"]: claims.get(mount["name"]) for mount in container["volumeMounts"]}
    assert mounts == {"/workdir": None, "/sa-sr": "sa-sr", "/workdir/state": "sa-sr-state"}
    assert container["workingDir"] == "/workdir"
    assert f" --state state/tiny/{RUN} " in done.stdout + done.stderr  # relative to it, so on the volume

    limits, requests = (container["resources"][kind] for kind in ("limits", "requests"))
    assert limits["nvidia.com/gpu"] == requests["nvidia.com/gpu"] == "1"
    assert limits["memory"] == "32000M"
    assert limits["cpu"] == "8000m"
    assert limits["ephemeral-storage"] == "150000M"
    assert pod["restartPolicy"] == "Never"

    (shell,) = container["command"]
    assert (shell, container["args"][0]) == ("/bin/sh", "-c")
    deploy, run = container["args"][1].split(" && ")[-2:]
    assert f"--deploy-sources {storage}/snakemake-workflow-sources." in deploy
    words = shlex.split(run)
    assert words[:5] == ["python", "-m", "snakemake", "--snakefile", "Snakefile"]
    assert words[words.index("--target-jobs") + 1] == f"train:run={RUN}"
    assert words[words.index("--configfiles") + 1] == "config.yaml"
    assert words[words.index("--default-storage-prefix") + 1] == storage
    assert not list(work.folder.glob("snakemake-workflow-sources.*"))  # cleared away
