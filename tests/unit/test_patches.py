"""Training patches: image, low resolution and weight belong together, and number k is always the same."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader

from sa_sr.config import Clips, Images
from sa_sr.data.patches import Part, Patches
from sa_sr.data.prepare import prepare
from sa_sr.data.resize import imresize
from sa_sr.edges import extract, extract_edges
from sa_sr.errors import UserError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Data file and edge maps of two photos."""
    place = tmp_path_factory.mktemp("photos")
    source = {"folder": str(place)}
    for name in ("chelsea.png", "coffee.png"):
        (place / name).write_bytes(Path(f"{skimage.__path__[0]}/data/{name}").read_bytes())
    prepare(Images(kind="images", sources=[source]), place, place / "data.h5")
    extract_edges(place / "data.h5", place / "edges.h5", "local_variance", {})
    return place / "data.h5", place / "edges.h5"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    place = tmp_path_factory.mktemp("clips")
    image = np.asarray(Image.open(f"{skimage.__path__[0]}/data/coffee.png"))
    (place / "pan").mkdir()
    for t in range(9):
        Image.fromarray(image[:200, 8 * t : 8 * t + 240]).save(place / "pan" / f"{t}.png")
    prepare(Clips(kind="clips", sources=[{"folder": str(place)}]), place, place / "data.h5")
    extract_edges(place / "data.h5", place / "edges.h5", "canny", {})
    return place / "data.h5", place / "edges.h5"


def hwc(tensor: torch.Tensor) -> np.ndarray:
    return tensor.movedim(-3, -1).numpy()


def test_flips_and_crops_keep_image_weight_and_low_resolution_together(photos):
    """Away from its border a patch's LR is the reduction of the patch, and its edges are those of the patch."""
    patches = Patches(*photos, patch=64, window=1, seed=1, length=12)
    for k in range(12):
        p = patches[k]
        assert p["hr"].shape == (3, 64, 64)
        assert p["lq"].shape == (3, 16, 16)
        reduced = imresize(hwc(p["hr"]), 0.25)
        # a transposed patch is reduced columns first, which may round the other way
        assert np.abs(reduced.astype(int) - hwc(p["lq"]))[3:-3, 3:-3].max() <= 1
        weight = extract(hwc(p["hr"]), "local_variance") * 255
        assert np.abs(weight - hwc(p["weight"]))[2:-2, 2:-2].max() <= 1


def test_all_eight_orientations_occur(photos):
    """With flips and transposes one place of the picture is seen in eight ways."""
    p = Patches(*photos, patch=64, window=1, seed=0, length=400)
    plain = Patches(*photos, patch=64, window=1, seed=0, length=400, augment=False)
    ways = set()
    for k in range(60):
        image, turned = hwc(plain[k]["hr"]), hwc(p[k]["hr"])
        for way in range(8):
            candidate = image[:, ::-1] if way & 1 else image
            candidate = candidate[::-1] if way & 2 else candidate
            candidate = candidate.swapaxes(0, 1) if way & 4 else candidate
            if np.array_equal(candidate, turned):
                ways.add(way)
                break
        else:
            pytest.fail(f"patch {k} is no flip or transpose of its place")
    assert ways == set(range(8))


def test_patch_k_depends_on_seed_and_k_alone(photos):
    again = Patches(*photos, patch=64, window=1, seed=3, length=50)
    for k in (0, 7, 49):
        torch.testing.assert_close(Patches(*photos, patch=64, window=1, seed=3, length=50)[k]["hr"], again[k]["hr"])
    other = Patches(*photos, patch=64, window=1, seed=4, length=50)
    assert not torch.equal(other[0]["hr"], again[0]["hr"])


def test_loader_workers_do_not_change_the_sequence(photos):
    def sequence(workers):
        patches = Patches(*photos, patch=64, window=1, seed=3, length=12)
        return torch.cat([b["hr"] for b in DataLoader(patches, 3, sampler=range(12), num_workers=workers)])

    torch.testing.assert_close(sequence(0), sequence(2))


def test_video_patches_are_five_bicubic_frames_around_the_target(clip):
    import h5py

    patches = Patches(*clip, patch=36, window=5, seed=0, length=8, augment=False)
    with h5py.File(clip[0]) as f:
        bicubic, hr = f["bicubic/pan"][...], f["hr/pan"][...]
    for k in range(8):
        p = patches[k]
        item, frame, x, y = (
            p["id"].replace(",", "").split()[0],
            *(int(p["id"].replace(",", "").split()[i]) for i in (2, 4, 6)),
        )
        assert item == "pan"
        assert 2 <= frame < 7
        np.testing.assert_array_equal(hwc(p["lq"]), bicubic[frame - 2 : frame + 3, y : y + 36, x : x + 36])
        np.testing.assert_array_equal(hwc(p["hr"]), hr[frame, y : y + 36, x : x + 36])
        assert p["weight"].shape == (1, 36, 36)


def test_a_picture_smaller_than_the_patch_is_named(photos):
    with pytest.raises(UserError, match="'chelsea' is 448x300 pixels, frames: 1; too small for a patch of 320"):
        Patches(*photos, patch=320, window=1, seed=0, length=1)


@given(st.text(min_size=1, max_size=8), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_every_place_is_for_training_or_for_validation(item, t, y, x):
    parts = [Part(0.2, validation) for validation in (False, True)]
    assert [part.has(item, t, y, x) for part in parts].count(True) == 1
    assert all(Part(0, validation).has(item, t, y, x) for validation in (False, True))


def test_patches_of_the_two_parts_never_come_from_the_same_place(photos):
    def places(**part):
        patches = Patches(*photos, patch=64, window=1, seed=1, length=400, part=Part(**part))
        return [patches[k]["id"] for k in range(400)]

    training, validation = places(share=0.2), places(share=0.2, validation=True)
    assert not set(training) & set(validation)
    # patch k stays where it was, unless its place is for validation: about one in five moves
    moved = sum(before != after for before, after in zip(places(), training, strict=True))
    assert 0.1 * 400 < moved < 0.3 * 400


def test_a_part_without_a_place_is_said_to_be_empty(tmp_path):
    """A picture of the patch's size has one place, which is for training or for validation."""
    Image.fromarray(np.asarray(Image.open(f"{skimage.__path__[0]}/data/coffee.png"))[:64, :64]).save(tmp_path / "a.png")
    prepare(Images(kind="images", sources=[{"folder": str(tmp_path)}]), tmp_path, tmp_path / "data.h5")
    extract_edges(tmp_path / "data.h5", tmp_path / "edges.h5", "none", {})
    validation = not Part(0.2, validation=True).has("a", 0, 0, 0)
    patches = Patches(tmp_path / "data.h5", tmp_path / "edges.h5", 64, 1, 0, 1, part=Part(0.2, validation))
    with pytest.raises(UserError, match=r"data\.h5: no place for .* was found in 10000 draws"):
        patches[0]


def test_maps_can_be_made_of_the_patch_itself(photos):
    canny = partial(extract, extractor="canny")
    turned = Patches(photos[0], canny, patch=64, window=1, seed=2, length=8)
    plain = Patches(photos[0], canny, patch=64, window=1, seed=2, length=8, augment=False)
    for k in range(8):
        np.testing.assert_array_equal(hwc(plain[k]["weight"]), extract(hwc(plain[k]["hr"]), "canny") * 255)
        assert turned[k]["weight"].sum() == plain[k]["weight"].sum()  # made first, then turned with the patch


def test_flat_patches_are_drawn_again(photos):
    plain = Patches(*photos, patch=64, window=1, seed=1, length=60, augment=False)
    least = float(np.median([plain[k]["hr"].double().var(correction=0) for k in range(60)])) / 255**2
    varied = Patches(*photos, patch=64, window=1, seed=1, length=60, augment=False, min_variance=least)
    for k in range(60):
        assert varied[k]["hr"].double().var(correction=0) / 255**2 >= least * (1 - 1e-6)
    kept = sum(torch.equal(plain[k]["hr"], varied[k]["hr"]) for k in range(60))
    assert 25 <= kept <= 35  # the others stay where they were
