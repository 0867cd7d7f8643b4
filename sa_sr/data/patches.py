"""Random training patches and fixed validation patches, from the data file and the edge-map file."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from sa_sr.errors import UserError
from sa_sr.storage import h5_reader, open_h5

SCALE = 4


class Patches(Dataset):
    """Patch number k of an endless, reproducible sequence.

    Everything random about a patch comes from a counter-based generator with the key (seed, k). So the sequence depends
    neither on the number of loader workers nor on where training was interrupted.

    data, weights: data file and edge-map file; patch: side of the HR patch, pixels; window: 1 for the LR patch itself,
    5 for the bicubic frames t-2..t+2; augment: flip horizontally, vertically and transpose, each with probability 1/2.
    length: how many patches there are.

    An element is a dict of uint8 tensors: lq (3, patch/4, patch/4), or (5, 3, patch, patch) bicubic frames; hr
    (3, patch, patch); weight (C, patch, patch), 255 meaning 1; and id, a text that says where the patch is from.
    """

    def __init__(
        self, data: Path, weights: Path, patch: int, window: int, seed: int, length: int, augment: bool = True
    ):
        self.data, self.weights = Path(data), Path(weights)
        self.patch, self.window, self.seed, self.length, self.augment = patch, window, seed, length, augment
        with h5_reader(data) as f:
            self.items = sorted(f["hr"])
            self.shapes = [f["hr"][item].shape for item in self.items]
        for item, (frames, height, width, _) in zip(self.items, self.shapes, strict=True):
            if min(height, width) < patch or frames < window:
                raise UserError(
                    f"{data}: {item!r} has {frames} frames of {width}x{height} pixels,"
                    f" too small for a patch of {patch} and {window} frames"
                )
        pixels = np.array([(t - window + 1) * h * w for t, h, w, _ in self.shapes], dtype=float)
        self.bounds = np.cumsum(pixels) / pixels.sum()  # every position of every frame is equally likely

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: int) -> dict[str, torch.Tensor | str]:
        random = np.random.Generator(np.random.Philox(key=[self.seed, k]))
        i = int(np.searchsorted(self.bounds, random.random(), side="right"))
        item, (frames, height, width, _) = self.items[i], self.shapes[i]
        t = int(random.integers(self.window // 2, frames - self.window // 2))
        y, x = (int(random.integers(0, (side - self.patch) // SCALE + 1)) * SCALE for side in (height, width))
        flips = random.random(3) < 0.5 if self.augment else [False] * 3

        def cut(file: Any, name: str, times: slice | int, scale: int = 1) -> torch.Tensor:
            """A patch as (..., C, patch, patch), flipped and transposed as all others of this k."""
            rows, columns = slice(y // scale, (y + self.patch) // scale), slice(x // scale, (x + self.patch) // scale)
            array = np.moveaxis(file[name][times, rows, columns], -1, -3)
            if flips[0]:
                array = array[..., ::-1]
            if flips[1]:
                array = array[..., ::-1, :]
            if flips[2]:
                array = array.swapaxes(-1, -2)
            return torch.from_numpy(np.ascontiguousarray(array))

        data, weights = self._files
        if self.window == 1:
            lq = cut(data, f"lr/{item}", t, SCALE)
        else:
            lq = cut(data, f"bicubic/{item}", slice(t - self.window // 2, t + self.window // 2 + 1))
        return {
            "lq": lq,
            "hr": cut(data, f"hr/{item}", t),
            "weight": cut(weights, f"weight/{item}", t),
            "id": f"{item}, frame {t}, x {x}, y {y}",
        }

    @cached_property
    def _files(self) -> tuple[Any, Any]:
        """Opened in the process that reads: an HDF5 handle does not survive a fork."""
        return open_h5(self.data), open_h5(self.weights)
