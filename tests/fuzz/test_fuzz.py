"""Some seconds of fuzzing for each of our own parsers; what it finds fails the test and is printed."""

import importlib.util
import io
import os
import pickle
import platform
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from sa_sr.models.ncnn import FP16, FP32, _layers

ROOT = Path(__file__).parents[2]
SECONDS = 20
HAS_WHEELS = sys.platform == "linux" and platform.machine() == "x86_64" and (3, 11) <= sys.version_info[:2] <= (3, 13)
"""Where `pip install .[dev]` brings atheris; the same is said in pyproject.toml."""


def ncnn(tag: int) -> bytes:
    """Real headers, and weights of zeros: what they are does not matter to the reader."""
    data = b""
    for _, inputs, outputs in _layers(0):
        data += struct.pack("<I", tag) + bytes(inputs * outputs * 9 * (2 if tag else 4)) + bytes(4 * outputs)
    return data


def weights() -> dict[str, torch.Tensor]:
    return {"conv_first.weight": torch.zeros(4, 3, 1, 1), "body.0.rdb1.conv1.bias": torch.zeros(2)}


def torch_file(new: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save({"params": weights()}, buffer, _use_new_zipfile_serialization=new)
    return buffer.getvalue()


def arrays(protocol: int) -> bytes:
    layer = {"kernel": np.zeros((1, 1, 3, 4), np.float32), "bias": np.zeros(4, ">f4")}
    return pickle.dumps({"AlexNet_0": {f"Conv_{j}": layer for j in range(5)}}, protocol)


SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "ncnn": lambda: [ncnn(FP16), ncnn(FP32)],
    "pickles": lambda: [arrays(protocol) for protocol in range(5)],
    "weights": lambda: [torch_file(True), torch_file(False), safetensors.torch.save(weights(), {"run": "{}"})],
    "scenes": lambda: [
        b'"scenes": [[0, 9], [12, 20]], "take": [0, 1]',
        b'"ends": [1.5, 3], "stride": 2',
        b'"scenes": "detect"',
        b'"scenes": null, "stride": 3, "max_frames": 5',
    ],
}


@pytest.fixture(scope="module")
def atheris() -> None:
    if not importlib.util.find_spec("atheris"):
        reason = f"atheris is not installed (it has {'' if HAS_WHEELS else 'no '}wheels for this platform)"
        (pytest.fail if HAS_WHEELS and os.environ.get("CI") else pytest.skip)(reason)


@pytest.mark.slow
@pytest.mark.usefixtures("atheris")
@pytest.mark.parametrize("parser", SEEDS)
def test_any_bytes_are_taken_or_refused_in_few_words(tmp_path, parser):
    (tmp_path / "corpus").mkdir()
    seeds = SEEDS[parser]()
    for i, seed in enumerate(seeds):
        (tmp_path / "corpus" / str(i)).write_bytes(seed)
    command = [
        sys.executable, "-m", f"tests.fuzz.fuzz_{parser}", str(tmp_path / "corpus"), f"-max_total_time={SECONDS}",
        f"-max_len={2 * max(map(len, seeds))}", f"-artifact_prefix={tmp_path}/", "-timeout=20", "-rss_limit_mb=4096",
        "-seed=1",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    found = [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()]
    assert done.returncode == 0, (
        f"{done.stderr[-4000:]}\n{done.stdout[-4000:]}\ninput: {[data[:2000] for data in found]}"
    )
    assert "DONE" in done.stderr or "Done" in done.stderr  # it ran, and to its end
