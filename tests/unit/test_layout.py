"""Every stage refuses a file that is not what it takes, naming the file and the item, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sa_sr import inference
from sa_sr.config import Evaluation
from sa_sr.data.bicubic import bicubic
from sa_sr.data.patches import Patches
from sa_sr.edges import extract_edges
from sa_sr.errors import UserError
from sa_sr.evaluation.protocol import evaluate
from sa_sr.layout import GROUPS, h5_items
from sa_sr.render.figures import figure_comparison, figure_edge_maps
from tests.unit.test_prepare import photo

PAN = np.stack([photo("coffee.png")[40:104, 4 * t : 4 * t + 64] for t in range(5)])
FITTING = {
    "hr": PAN,
    "lr": np.ascontiguousarray(PAN[:, ::4, ::4]),
    "bicubic": PAN,
    "weight": np.ascontiguousarray(PAN[..., :1]),
    "sr": PAN,
}


def written(path: Path, border: str | None = "clamp", **groups: np.ndarray | None) -> Path:
    """A file of one clip `pan` in every group; groups: others in their place, None leaves one out."""
    with h5py.File(path, "w") as f:
        if border:
            f.attrs["border"] = border
        for group, array in (FITTING | groups).items():
            if array is not None:
                f[f"{group}/pan"] = array
    return path


@pytest.fixture
def good(tmp_path) -> Path:
    return written(tmp_path / "good.h5")


class Nearest(nn.Module):
    """Enlarges by repeating pixels, or takes the middle one of five frames."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 2] if x.ndim == 5 else x.repeat_interleave(4, -1).repeat_interleave(4, -2)


Stage = Callable[[Path, Path, Path], object]
"""stage(file, a good file, file to write)."""


def edges(file: Path, good: Path, out: Path) -> None:
    extract_edges(file, out, "none", {})


def enlarge(file: Path, good: Path, out: Path) -> None:
    bicubic(file, out)


def image_network(file: Path, good: Path, out: Path) -> None:
    inference.super_resolve(file, Path("run/model"), "esrgan", out, 1)


def video_network(file: Path, good: Path, out: Path) -> None:
    inference.super_resolve(file, Path("run/model"), "vsrresfeatgan", out, 1)


def measure(sr: Path, data: Path, out: Path) -> None:
    evaluate(sr, data, out, Evaluation(), "bicubic", "bicubic", None, None, "set")


def measured_against(file: Path, good: Path, out: Path) -> None:
    measure(good, file, out)


def image_patches(file: Path, good: Path, out: Path) -> None:
    Patches(file, good, 32, 1, 0, 1)[0]


def video_patches(file: Path, good: Path, out: Path) -> None:
    Patches(file, good, 32, 5, 0, 1)[0]


def weighted(file: Path, good: Path, out: Path) -> None:
    Patches(good, file, 32, 1, 0, 1)[0]


def figure1(file: Path, good: Path, out: Path) -> None:
    figure_edge_maps(good, {"lv": file}, "pan", 0, out)


def figure8(file: Path, good: Path, out: Path) -> None:
    figure_comparison(good, {"Bicubic": file, "ESRGAN": good}, "pan", 0, out)


READS: dict[Stage, tuple[str, ...]] = {
    edges: ("hr",),
    enlarge: ("lr",),
    image_network: ("hr", "lr"),
    video_network: ("hr", "bicubic"),
    measure: ("sr",),
    measured_against: ("hr",),
    image_patches: ("hr", "lr"),
    video_patches: ("hr", "bicubic"),
    weighted: ("weight",),
    figure1: ("weight",),
    figure8: ("sr",),
}
CASES = [pytest.param(stage, group, id=f"{stage.__name__}-{group}") for stage in READS for group in READS[stage]]


@pytest.fixture
def refused(tmp_path, good, monkeypatch):
    """refused(stage, file): the words of the one error, after which nothing was written."""
    monkeypatch.setattr(inference, "generator", lambda _, recipe: (1 if recipe == "esrgan" else 5, Nearest()))

    def run(stage: Stage, file: Path) -> str:
        with pytest.raises(UserError) as e:
            stage(file, good, tmp_path / "out" / "out")
        assert not list((tmp_path / "out").glob("*"))
        return str(e.value)

    return run


@pytest.mark.parametrize("stage", READS)
def test_a_file_as_it_should_be_is_taken(refused, good, tmp_path, stage):
    stage(good, good, tmp_path / "out")


@pytest.mark.parametrize(("stage", "group"), CASES)
def test_a_group_that_is_missing_is_named(refused, tmp_path, stage, group):
    assert f"bad.h5: has no group '{group}'" in refused(stage, written(tmp_path / "bad.h5", **{group: None}))


@pytest.mark.parametrize(("stage", "group"), CASES)
@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.astype(np.float32),
        lambda a: a[0],
        lambda a: a[:0],
        lambda a: a[..., [0, 0]],
        lambda a: np.uint8(0),
        lambda a: np.array([b"text"]),
    ],
    ids=["float", "no frames axis", "no frames", "two channels", "scalar", "text"],
)
def test_pixels_of_another_kind_are_named(refused, tmp_path, stage, group, change):
    message = refused(stage, written(tmp_path / "bad.h5", **{group: change(FITTING[group])}))
    assert f"bad.h5: {group}/pan is " in message
    assert "expected uint8 (frames, height, width, " in message


@pytest.mark.parametrize(("stage", "group"), CASES)
def test_what_is_no_array_is_named(refused, tmp_path, stage, group):
    bad = written(tmp_path / "bad.h5", **{group: None})
    with h5py.File(bad, "a") as f:
        f.create_group(f"{group}/pan")
    assert f"bad.h5: {group}/pan is no array of this file" in refused(stage, bad)


@pytest.mark.parametrize("kind", ["soft", "external", "dangling", "raw", "virtual"])
def test_pixels_of_another_file_are_not_read(refused, tmp_path, good, kind):
    """An HDF5 file may name others, and h5py reads /etc/passwd as an image."""
    bad = written(tmp_path / "bad.h5", hr=None)
    with h5py.File(bad, "a") as f:
        if kind == "raw":
            f.create_dataset("hr/pan", PAN.shape, "u1", external=[(str(good), 0, h5py.h5f.UNLIMITED)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout(PAN.shape, "u1")
            layout[:] = h5py.VirtualSource(str(good), "hr/pan", PAN.shape)
            f.create_virtual_dataset("hr/pan", layout)
        else:
            links = {"soft": h5py.SoftLink("/sr/pan"), "external": h5py.ExternalLink(str(good), "/hr/pan")}
            f["hr/pan"] = links.get(kind, h5py.SoftLink("/nowhere"))
    assert "bad.h5: hr/pan is no array of this file" in refused(edges, bad)


def test_a_group_of_another_file_is_not_read(refused, tmp_path, good):
    bad = written(tmp_path / "bad.h5", hr=None)
    with h5py.File(bad, "a") as f:
        f["hr"] = h5py.ExternalLink(str(good), "/hr")
    assert "bad.h5: has no group 'hr'" in refused(edges, bad)


@pytest.mark.parametrize(
    ("stage", "groups", "message"),
    [
        (
            image_network,
            {"lr": PAN[:, ::8, ::8]},
            "bad.h5: the sizes of 'pan' do not fit each other: hr (5, 64, 64, 3)",
        ),
        (image_patches, {"lr": FITTING["lr"][:3]}, "lr (3, 16, 16, 3)"),
        (video_patches, {"bicubic": PAN[:, :60]}, "bicubic (5, 60, 64, 3)"),
        (weighted, {"weight": FITTING["weight"][:, :32]}, "bad.h5: weight/pan is (5, 32, 64), and hr/pan of"),
        (figure1, {"weight": FITTING["weight"][:, :32]}, "bad.h5: pan is (32, 64), in"),
    ],
)
def test_sizes_that_do_not_fit_are_named(refused, tmp_path, stage, groups, message):
    assert message in refused(stage, written(tmp_path / "bad.h5", **groups))


@pytest.mark.parametrize(("stage", "group"), [(image_patches, "lr"), (video_network, "bicubic"), (weighted, "weight")])
def test_an_item_that_only_one_group_has_is_named(refused, tmp_path, stage, group):
    bad = written(tmp_path / "bad.h5")
    with h5py.File(bad, "a") as f:
        f.move(f"{group}/pan", f"{group}/tour")
    message = refused(stage, bad)
    assert "bad.h5: " in message
    assert "pan" in message


def test_a_file_without_items_is_named(refused, tmp_path):
    with h5py.File(tmp_path / "bad.h5", "w") as f:
        f.create_group("hr")
    assert "bad.h5: its group 'hr' is empty" in refused(edges, tmp_path / "bad.h5")


@pytest.mark.parametrize("chunks", [None, (1, 64, 64, 3)])
def test_an_array_without_its_data_is_named_and_not_read_as_black(refused, tmp_path, chunks):
    bad = written(tmp_path / "bad.h5", hr=None)
    with h5py.File(bad, "a") as f:
        f.create_dataset("hr/pan", PAN.shape, "u1", chunks=chunks)
        if chunks:
            f["hr/pan"][:4] = PAN[:4]
    assert "bad.h5: hr/pan lacks data" in refused(edges, bad)


@pytest.mark.parametrize("border", [None, "wrap"])
def test_a_data_file_that_does_not_tell_its_border_is_named(refused, tmp_path, border):
    assert f"bad.h5: its attribute `border` is {border!r}" in refused(enlarge, written(tmp_path / "bad.h5", border))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=30))
def test_a_file_whose_structure_is_damaged_is_read_or_named(tmp_path_factory, changes):
    """Only headers and indices: what is in the pixels is another matter."""
    place = tmp_path_factory.getbasetemp()
    with h5py.File(place / "bad.h5", "w", libver="v112") as f:
        for group, array in FITTING.items():
            f.create_dataset(f"{group}/pan", data=array[:1, :4, :4], chunks=(1, 4, 4, array.shape[3]), compression=1)
    data = bytearray((place / "bad.h5").read_bytes())
    for at, value in changes:
        data[int(at * len(data))] = value
    (place / "bad.h5").write_bytes(data)
    for group in GROUPS:
        try:
            with h5_items(place / "bad.h5", group) as f:
                assert f[group]["pan"].dtype == np.uint8
        except UserError as e:
            message = str(e)
            assert "bad.h5" in message
