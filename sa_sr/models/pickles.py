"""Read arrays out of a pickle without running anything that it names."""

import pickle
import pickletools
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from sa_sr.errors import UserError


class _Dtype:
    """Stands in for numpy.dtype: remembers the type code and the byte order."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def real(self) -> np.dtype:
        dtype = np.dtype(f"{self.order}{self.code}")
        if dtype.kind not in "fiub":
            raise ValueError(f"arrays of type {dtype} are not numbers")
        return dtype


class _Array:
    """Stands in for numpy.ndarray: builds a plain array from its bytes, by our own code."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self.array = np.frombuffer(data, dtype.real()).reshape(shape, order="F" if fortran else "C")


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """How pickles of protocol 2 write bytes."""
    return text.encode("latin1")


ADMITTED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _latin1,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("numpy.core.multiarray", "_reconstruct"): lambda *_: _Array(),
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(),
}


class _Reader(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return ADMITTED[module_name, global_name]
        except KeyError:
            name = f"{module_name}.{global_name}"[:80]
            raise UserError(f"it asks for {name}, and only numeric arrays are read") from None


def _arrays(node: Any, done: dict[int, Any]) -> Any:
    """The tree with the stand-ins replaced by their arrays; done: parts that are finished, for some occur often."""
    if id(node) not in done:
        new = node.array if isinstance(node, _Array) else node
        if isinstance(node, dict):
            new = {key: _arrays(value, done) for key, value in node.items()}
        elif isinstance(node, list | tuple):
            new = type(node)(_arrays(value, done) for value in node)
        done[id(node)] = new
    return done[id(node)]


def _check_memo(data: bytes) -> None:
    """ValueError where a part is numbered beyond the file's length: Python makes room for as many parts at once."""
    for code, number, _ in pickletools.genops(data):
        if "PUT" in code.name and isinstance(number, int) and number > len(data):
            raise ValueError(f"part {number} of a file of {len(data)} bytes")


def load_arrays(path: str | Path) -> Any:
    """Nested dicts, lists and tuples of numeric numpy arrays from the pickle at `path`; nothing in it is executed.

    Raises UserError when the pickle names anything else (the message says what), is damaged or can't be read.
    """
    try:
        data = Path(path).read_bytes()
        _check_memo(data)
        return _arrays(_Reader(BytesIO(data)).load(), {})
    except UserError as e:
        raise UserError(f"{path}: refused to unpickle: {e}") from e
    except FileNotFoundError as e:
        raise UserError(f"{path}: no such file") from e
    except Exception as e:  # a damaged pickle can fail in any way
        raise UserError(f"{path}: not a readable pickle of arrays ({str(e)[:200]})") from e
