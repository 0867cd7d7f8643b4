"""What libraries say when memory runs out, or a process is killed, is told in words for people."""

import os
import signal

import h5py
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sa_sr import damage
from sa_sr.errors import UserError, explained


class Killed(torch.utils.data.Dataset):
    """Ends the process that reads it, as a system without memory does."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, k: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return k


LARGE = 2**60


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda: np.empty(LARGE, np.uint8), "not enough memory (Unable to allocate 1.00 EiB"),
        (lambda: torch.empty(LARGE, dtype=torch.uint8), "not enough memory ("),
        (lambda: list(DataLoader(Killed(), 2, num_workers=1)), "a process that loads patches was ended from outside"),
        (lambda: np.zeros(3).reshape(2), ""),
    ],
    ids=["numpy", "torch", "loader", "a fault"],
)
def test_what_a_library_says_is_explained_however_it_is_wrapped(ask, told):
    with pytest.raises((MemoryError, RuntimeError, ValueError)) as caught:
        ask()
    assert explained(caught.value).startswith(told)
    wrapped = UserError("weights.pth: no VGG19 weights")
    wrapped.__cause__ = caught.value
    assert explained(wrapped) == explained(caught.value)


def test_a_file_that_does_not_fit_in_memory_is_no_damage(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as f:
        f["hr/a"] = np.zeros(3)
    monkeypatch.setattr(damage, "_read_all", lambda _: np.empty(LARGE, np.uint8))
    assert damage.find_damage(tmp_path / "a.h5") is None
