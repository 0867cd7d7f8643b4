"""Weight files that are made to harm: refused in few words, without their code, and without the memory they ask for."""

import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa_sr import inference
from sa_sr.errors import UserError
from sa_sr.models import checkpoints, generators, vgg
from sa_sr.models.ncnn import load_realsr
from sa_sr.models.pickles import load_arrays
from sa_sr.models.rrdbnet import RRDBNet
from tests.fuzz.test_fuzz import arrays, ncnn
from tests.unit.test_networks import vgg_state

ARRAYS, NCNN = arrays(4), ncnn(0x01306B47)


def refused(read, file: Path) -> str:
    """The few words that are told."""
    with pytest.raises(UserError) as e:
        read(file)
    assert len(str(e.value)) < 1000
    return str(e.value)


# ----------------------------------------------------------------------------------------------------------- pickles


def laughs(times: int) -> list:
    part = [0]
    for _ in range(times):
        part = [part, part]
    return part


def test_a_pickle_that_numbers_its_parts_high_takes_no_memory(tmp_path):
    """Python's unpickler makes room for as many parts as the highest number says: 16 GB for these nine bytes."""
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02Nr\xff\xff\xff\x3f.")
    code = "import sys; from sa_sr.models.pickles import load_arrays\n"
    code += "from sa_sr.errors import UserError\ntry: load_arrays(sys.argv[1])\nexcept UserError as e: print(e)\n"
    code += "print(*(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    command = [sys.executable, "-c", code, str(tmp_path / "a.pkl")]
    message, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "a.pkl: not a readable pickle of arrays (part 1073741823 of a file of 9 bytes)" in message
    assert int(peak) < 2_000_000  # kB; torch, which is imported, takes 400,000


def test_a_pickle_whose_parts_occur_again_and_again_is_read_once_each(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(laughs(60)))
    read = load_arrays(tmp_path / "a.pkl")
    for _ in range(60):
        assert read[0] is read[1]
        read = read[0]
    assert read == [0]


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",  # bytes of a terabyte
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N.",  # a frame
        b"I" + b"9" * 5000 + b"\n.",
        b"]" * 100_000 + b"a" * 99_999 + b".",  # lists in lists
        b"]q\x00h\x00a.",  # a list in itself
        b"cos\n" + b"x" * 100_000 + b"\n.",  # a name without end
    ],
)
def test_a_pickle_that_asks_for_too_much_is_refused(tmp_path, data):
    (tmp_path / "a.pkl").write_bytes(data)
    assert "a.pkl: " in refused(load_arrays, tmp_path / "a.pkl")


def numbers_only(tree: object) -> bool:
    if isinstance(tree, dict):
        return all(map(numbers_only, tree.values()))
    if isinstance(tree, list | tuple):
        return all(map(numbers_only, tree))
    if isinstance(tree, np.ndarray):
        return tree.dtype.kind in "fiub"
    return tree is None or isinstance(tree, str | bytes | bytearray | int | float | complex | set | frozenset)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(ARRAYS) - 1), st.integers(0, 255)), min_size=1, max_size=12))
def test_a_changed_pickle_holds_numbers_or_is_refused(tmp_path_factory, changes):
    data = bytearray(ARRAYS)
    for place, value in changes:
        data[place] = value
    file = tmp_path_factory.getbasetemp() / "changed.pkl"
    file.write_bytes(data)
    try:
        assert numbers_only(load_arrays(file))
    except UserError as e:
        message = str(e)
        assert len(message) < 1000


# -------------------------------------------------------------------------------------------------------------- ncnn


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(NCNN) + 40), st.lists(st.tuples(st.integers(0, len(NCNN) - 1), st.binary(max_size=6))))
def test_a_changed_ncnn_file_has_all_weights_or_is_refused(tmp_path_factory, length, changes):
    data = bytearray(NCNN)
    for place, value in changes:
        data[place : place + len(value)] = value
    file = tmp_path_factory.getbasetemp() / "changed.bin"
    file.write_bytes(data[:length].ljust(length, b"\0"))
    try:
        state = load_realsr(file, num_block=0)
    except UserError:
        return
    assert length >= len(NCNN)
    assert {key: tuple(tensor.shape) for key, tensor in state.items() if key.startswith("conv_last")} == {
        "conv_last.weight": (3, 64, 3, 3),
        "conv_last.bias": (3,),
    }


# ------------------------------------------------------------------------------------------- networks and their sizes


def saved(path: Path, state: object) -> Path:
    torch.save(state, path)
    return path


def test_a_torch_file_that_would_grow_is_refused(tmp_path):
    """torch stores its numbers as they are; its reader inflates a packed file all the same."""
    saved(tmp_path / "g.pth", {"conv_first.weight": torch.zeros(1_000_000)})
    with zipfile.ZipFile(tmp_path / "g.pth") as old, zipfile.ZipFile(tmp_path / "bomb.pth", "w", 8) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert "bomb.pth: refused, it is a packed archive" in refused(generators.load, tmp_path / "bomb.pth")


@pytest.mark.parametrize(
    "state",
    [
        {1: torch.zeros(2)},
        {("a", "b"): torch.zeros(2)},
        {"a": 3},
        {"a": torch.zeros(3).to_sparse()},
        {"a": torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.quint8)},
        {"a": torch.zeros(3, device="meta")},
        [torch.zeros(2)],
        torch.zeros(2),
    ],
)
def test_a_torch_file_without_named_plain_weights_is_refused(tmp_path, state):
    file = saved(tmp_path / "g.pth", state)
    for read in (generators.load, vgg.load_vgg19):
        assert "g.pth: " in refused(read, file)


ONE, FIRST, BODY, FUSE = torch.tensor(1.0), "conv_first.weight", "body.0.rdb1.conv1.weight", "conv_fuse1.weight"
HUGE = [
    {BODY: torch.zeros(32, 64, 3, 3), FIRST: torch.zeros(200_000, 3, 1, 1)},
    {BODY: torch.zeros(1), FIRST: torch.zeros(1, 1).expand(10**6, 10**6)},
    {BODY: torch.zeros(2), FIRST: torch.zeros(2), f"body.{10**12}.x": torch.zeros(1)},
    {FUSE: torch.zeros(0, 5), FIRST: torch.zeros(5)},
    {FUSE: torch.zeros(3), FIRST: ONE},
    {BODY: ONE, FIRST: ONE},
]


@pytest.mark.parametrize("state", HUGE, ids=range(len(HUGE)))
def test_a_network_is_not_built_before_its_weights_fit(tmp_path, state):
    """Sizes come from the weights' shapes and names, so a few bytes could ask for a network of terabytes."""
    assert "g.pth: " in refused(generators.load, saved(tmp_path / "g.pth", state))


NAMES = [
    "conv_first.weight", "conv_fuse1.weight", "body.0.rdb1.conv1.weight", "body.7.x", "model.0.weight",
    "conv_last.weight", "upconv1.weight", "params", "0.weight", "layers.0.0.weight", "",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.integers(0, 4), max_size=5), min_size=1, max_size=6))
def test_weights_of_any_names_and_shapes_are_refused_in_few_words(tmp_path_factory, shapes):
    file = tmp_path_factory.getbasetemp() / "any.safetensors"
    checkpoints.save(file, {name: torch.zeros(shape) for name, shape in shapes.items()}, {})
    assert "any.safetensors: " in refused(generators.load, file)


@pytest.mark.parametrize(
    "run",
    ["", "[]", "{}", '{"generator": 3}', '{"generator": {"num_feat": "x"}}', '{"generator": {"nums": 3}}',
     '{"generator": {"num_block": 1000000000}}', '{"generator": {"num_feat": 1000000}}'],
)  # fmt: skip
def test_settings_in_a_weight_file_that_fit_no_network_are_named(tmp_path, run):
    checkpoints.save(tmp_path / "model.safetensors", RRDBNet(8, 1, 4).state_dict(), {"run": run})
    message = refused(lambda file: inference.generator(file, "esrgan"), tmp_path / "model.safetensors")
    assert "model.safetensors: " in message


@pytest.mark.parametrize(
    "change",
    [
        lambda key, tensor: torch.zeros(3) if key == "2.weight" else tensor,
        lambda key, tensor: tensor.T if key == "0.weight" else tensor,
        lambda key, tensor: tensor.int() if key == "0.bias" else tensor,
    ],
)
def test_vgg19_of_other_shapes_is_refused(tmp_path, change):
    state = {f"features.{key}": change(key, tensor) for key, tensor in vgg_state().items()}
    assert "g.pth: no VGG19 weights (" in refused(vgg.load_vgg19, saved(tmp_path / "g.pth", state))


def test_an_hdf5_file_with_groups_for_arrays_is_no_vgg19(tmp_path):
    with h5py.File(tmp_path / "vgg.h5", "w") as f:
        for conv in vgg.CONVS:
            name = vgg.block_name(conv)
            f.create_group(f"{name}/{name}_W_1:0")
            f[f"{name}/{name}_b_1:0"] = np.zeros(3)
    assert "vgg.h5: no VGG19 weights (" in refused(vgg.load_vgg19, tmp_path / "vgg.h5")
