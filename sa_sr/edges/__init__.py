"""Spatial information: extractors turn an image into the weights of the pixel loss.

One file per extractor, holding one function of the same name: extractor(image, **parameters), (H, W, 3) uint8 RGB in,
(H, W, 1) or (H, W, 3) float32 in [0, 1] out. Its keyword parameters, with their types and defaults, are the keys that
the configuration takes.
"""

import difflib
import inspect
import json
import reprlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from sa_sr import plugins
from sa_sr.errors import UserError
from sa_sr.progress import progress

FINITE = ConfigDict(allow_inf_nan=False)
"""Parameters are finite numbers: JSON, in which they travel, has no others."""


def extract(image: np.ndarray, extractor: str, **params: Any) -> np.ndarray:
    """Weights of one image.

    image: (H, W, 3) uint8 RGB. extractor: a file of sa_sr/edges/ or "package.module:function". params: its parameters,
    defaults for those not given. Returns (H, W, 1) or (H, W, 3) float32 in [0, 1].
    Raises ValueError for another kind of image, UserError for an extractor or parameter that does not exist and for an
    extractor that returns something else.
    """
    return _extract(image, extractor, check_parameters(extractor, params))


def extract_edges(data: Path, out: Path, extractor: str, params: dict[str, Any]) -> None:
    """Stage: the weights of every HR frame of a data file, as `weight/<item>` (T, H, W, C) uint8, 255 standing for 1.

    The root attributes of `out` name the extractor, its parameters (JSON, defaults filled in) and the dataset.
    Raises UserError, naming the item, where the data file is not one, and when the extractor fails its contract.
    """
    # imported here: the configuration checks parameters through this module and needs no HDF5
    from sa_sr.layout import h5_items
    from sa_sr.storage import h5_writer, put

    data, params = Path(data), check_parameters(extractor, params)
    attrs = {"extractor": extractor, "params": json.dumps(params, sort_keys=True), "dataset": data.stem}
    with h5_items(data, "hr") as source, h5_writer(out, **attrs) as target:
        for item in progress(sorted(source["hr"]), f"{extractor} of {data.stem}", len(source["hr"]), unit="items"):
            try:
                put(target, f"weight/{item}", _maps(source[f"hr/{item}"], extractor, params))
            except (UserError, ValueError) as e:
                raise UserError(f"{data}: hr/{item}: {e}") from e


def check_parameters(extractor: str, params: dict[str, Any]) -> dict[str, Any]:
    """All parameters of an extractor: those given, converted to their types, and the defaults of the others.

    The extractor is imported, not run. Raises UserError for one that does not exist, an unknown parameter, a missing
    one, or a value of the wrong type.
    """
    known = _parameters(extractor)
    for name in params.keys() - known.keys():
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UserError(f"extractor {extractor!r} has no parameter {name!r}{hint} (it has: {', '.join(known) or '-'})")
    checked = {}
    for name, (convert, default) in known.items():
        value = params.get(name, default)
        if value is inspect.Parameter.empty:
            raise UserError(f"extractor {extractor!r} needs parameter {name!r}")
        try:
            checked[name] = convert(value)
        except ValidationError as e:
            raise UserError(f"extractor {extractor!r}: {name} is {reprlib.repr(value)}: {e.errors()[0]['msg']}") from e
    return checked


@cache
def _parameters(extractor: str) -> dict[str, tuple[Callable[[Any], Any], Any]]:
    """Name of each parameter after the image: the conversion to its type, and its default."""
    function = plugins.find("edges", extractor)
    _, *parameters = inspect.signature(function, eval_str=True).parameters.values()
    types = {p.name: Any if p.annotation is p.empty else p.annotation for p in parameters}
    return {p.name: (TypeAdapter(types[p.name], config=FINITE).validate_python, p.default) for p in parameters}


def _extract(image: np.ndarray, extractor: str, params: dict[str, Any]) -> np.ndarray:
    """`extract` for checked parameters."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"an image is (H, W, 3) uint8; got {image.shape} {image.dtype}")
    weight = plugins.find("edges", extractor)(image, **params)
    height, width, _ = image.shape
    if getattr(weight, "shape", None) not in ((height, width, 1), (height, width, 3)) or weight.dtype != np.float32:
        got = f"{weight.shape} {weight.dtype}" if isinstance(weight, np.ndarray) else type(weight).__name__
        raise UserError(
            f"extractor {extractor!r} must return ({height}, {width}, 1) or ({height}, {width}, 3) float32; got {got}"
        )
    if not (weight.min() >= 0 and weight.max() <= 1):  # false for NaN too
        raise UserError(
            f"extractor {extractor!r} must return values in [0, 1]; got {weight.min():g} to {weight.max():g}"
        )
    return weight


def _maps(frames: Any, extractor: str, params: dict[str, Any]) -> Iterator[np.ndarray]:
    """The weights of each frame as uint8: [0, 1] becomes 0..255, rounded half up."""
    for frame in frames:
        yield (_extract(frame, extractor, params) * 255 + 0.5).astype(np.uint8)
