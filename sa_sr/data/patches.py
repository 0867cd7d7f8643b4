"""Random training patches and fixed validation patches, from the data file and the edge-map file."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sa_sr.damage import noticing_damage
from sa_sr.errors import UserError
from sa_sr.layout import h5_items
from sa_sr.storage import open_h5

SCALE = 4
DRAWS = 10_000
"""So many places are tried before a part of a data set is said to be empty."""

EdgeMaps = Path | Callable[[np.ndarray], np.ndarray]
"""A file of edge maps, or what makes them of a patch: (H, W, 3) uint8 to (H, W, C) float32 in [0, 1]."""


@dataclass(frozen=True)
class Part:
    """The training or the validation part of the places that a patch can have in one data set.

    share: of the validation part; 0 means that the whole data set is one part.
    """

    share: float = 0.0
    validation: bool = False

    def has(self, item: str, t: int, y: int, x: int) -> bool:
        """Whether a place belongs to this part: a hash decides, the same for every run."""
        place = hashlib.blake2b(f"{item} {t} {y} {x}".encode(), digest_size=8).digest()
        return not self.share or (int.from_bytes(place) < self.share * 2**64) == self.validation


class Patches(Dataset):
    """Patch number k of an endless, reproducible sequence.

    Everything random about a patch comes from a counter-based generator with the key (seed, k). So the sequence depends
    neither on the number of loader workers nor on where training was interrupted.

    data: data file; weights: its edge maps; patch: side of the HR patch, pixels; window: 1 for the LR patch itself,
    5 for the bicubic frames t-2..t+2; augment: flip horizontally, vertically and transpose, each with probability 1/2;
    length: how many patches there are; part: where they may lie; min_variance: of the HR pixels in [0, 1], below which
    a patch is drawn again.

    An element is a dict of uint8 tensors: lq (3, patch/4, patch/4), or (5, 3, patch, patch) bicubic frames; hr
    (3, patch, patch); weight (C, patch, patch), 255 meaning 1; and id, a text that says where the patch is from.
    Raises UserError naming an item that is smaller than a patch or whose edge maps do not fit it, and where a part has
    no place.
    """

    def __init__(
        self,
        data: Path,
        weights: EdgeMaps,
        patch: int,
        window: int,
        seed: int,
        length: int,
        augment: bool = True,
        part: Part = Part(),
        min_variance: float = 0.0,
    ):
        self.data, self.weights, self.part, self.min_variance = Path(data), weights, part, min_variance
        self.patch, self.window, self.seed, self.length, self.augment = patch, window, seed, length, augment
        with h5_items(data, "hr", "lr" if window == 1 else "bicubic") as f:
            self.items = sorted(f["hr"])
            self.shapes = [f["hr"][item].shape for item in self.items]
        if not callable(weights):
            self._check_weights(weights)
        for item, (frames, height, width, _) in zip(self.items, self.shapes, strict=True):
            if min(height, width) < patch or frames < window:
                raise UserError(
                    f"{data}: {item!r} is {width}x{height} pixels, frames: {frames}; "
                    f"too small for a patch of {patch} pixels, frames: {window}"
                )
        pixels = np.array([(t - window + 1) * h * w for t, h, w, _ in self.shapes], dtype=float)
        self.bounds = np.cumsum(pixels) / pixels.sum()  # every position of every frame is equally likely

    def _check_weights(self, weights: Path) -> None:
        with h5_items(weights, "weight") as f:
            sizes = {item: array.shape[:3] for item, array in f["weight"].items()}
        for item, shape in zip(self.items, self.shapes, strict=True):
            if sizes.get(item) != shape[:3]:
                found = sizes.get(item, "missing")
                raise UserError(
                    f"{weights}: weight/{item} is {found}, and hr/{item} of {self.data} {shape[:3]}; delete the older "
                    "file and run again"
                )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> dict[str, torch.Tensor | str]:
        maps = [] if callable(self.weights) else [self.weights]
        with noticing_damage(self.data, *maps):
            return self._element(k)

    def _element(self, k: int) -> dict[str, torch.Tensor | str]:
        random = np.random.Generator(np.random.Philox(key=[self.seed, k]))
        item, t, y, x, hr = self._place(random)
        flips = random.random(3) < 0.5 if self.augment else [False] * 3

        def turned(array: np.ndarray) -> torch.Tensor:
            """(..., H, W, C) as (..., C, H, W), flipped and transposed as all others of this k."""
            array = np.moveaxis(array, -1, -3)
            if flips[0]:
                array = array[..., ::-1]
            if flips[1]:
                array = array[..., ::-1, :]
            if flips[2]:
                array = array.swapaxes(-1, -2)
            return torch.from_numpy(np.ascontiguousarray(array))

        def cut(file: Any, name: str, times: slice | int, scale: int = 1) -> np.ndarray:
            rows, columns = slice(y // scale, (y + self.patch) // scale), slice(x // scale, (x + self.patch) // scale)
            return file[name][times, rows, columns]

        if self.window == 1:
            lq = cut(self._data, f"lr/{item}", t, SCALE)
        else:
            lq = cut(self._data, f"bicubic/{item}", slice(t - self.window // 2, t + self.window // 2 + 1))
        if callable(self.weights):
            weight = (self.weights(hr) * 255 + 0.5).astype(np.uint8)
        else:
            weight = cut(self._maps, f"weight/{item}", t)
        return {"lq": turned(lq), "hr": turned(hr), "weight": turned(weight), "id": f"{item}, frame {t}, x {x}, y {y}"}

    def _place(self, random: np.random.Generator) -> tuple[str, int, int, int, np.ndarray]:
        """An item, a frame, the top left corner of a patch in it (y, x), and the HR patch."""
        for _ in range(DRAWS):
            i = int(np.searchsorted(self.bounds, random.random(), side="right"))
            item, (frames, height, width, _) = self.items[i], self.shapes[i]
            t = int(random.integers(self.window // 2, frames - self.window // 2))
            y, x = (int(random.integers(0, (side - self.patch) // SCALE + 1)) * SCALE for side in (height, width))
            if self.part.has(item, t, y, x):
                hr = self._data[f"hr/{item}"][t, y : y + self.patch, x : x + self.patch]
                if not self.min_variance or hr.var() >= self.min_variance * 255**2:
                    return item, t, y, x, hr
        role = "validation" if self.part.validation else "training"
        raise UserError(
            f"{self.data}: no place for {role} was found in {DRAWS} draws; it is too small to be split by patches, or "
            f"varies less than min_variance {self.min_variance:g}"
        )

    # Opened in the process that reads: an HDF5 handle does not survive a fork.

    @cached_property
    def _data(self) -> Any:
        return open_h5(self.data)

    @cached_property
    def _maps(self) -> Any:
        assert isinstance(self.weights, Path)
        return open_h5(self.weights)
