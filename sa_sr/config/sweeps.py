"""Section `sweeps`: one parameter at several values, and the variants of an extractor that this takes."""

import math
import reprlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter
from pydantic_core import PydanticCustomError

from sa_sr.config.section import Count, Section, Weight
from sa_sr.edges import check_parameters
from sa_sr.errors import UserError

if TYPE_CHECKING:
    from sa_sr.config import Config

BETA2 = "beta2"
"""The key that is of the loss and not of an extractor."""


def _is_value(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise PydanticCustomError("value", "{value} is no number, text, true or false", {"value": reprlib.repr(value)})
    return value


Value = Annotated[bool | int | float | str, BeforeValidator(_is_value)]


class Sweep(Section):
    """A parameter at several values, drawn as curves over them. Each value is one more run of that model for each seed,
    named `<model>-<extractor>.<key>_<value>-s<seed>` and tested on `dataset` alone; all else is as the configuration
    has it. The run of the extractor itself is a point of the curve too, and no value that it has is trained twice; nor
    is a value that two sweeps name. With another beta2 the edge maps are the same files; with `beta2: auto`, each value
    of an extractor's parameter is calibrated on its own."""

    model: Literal["esrgan", "vsrresfeatgan"]
    """Which model is trained with each value."""
    extractor: str
    """Whose parameter it is: one of extractors, and not `none`."""
    key: str
    """`beta2`, or a parameter of the extractor."""
    values: Annotated[list[Value], Field(min_length=1)]
    """What it is set to; 5 and 5.0 are one."""
    dataset: str
    """One of the model's test sets."""
    space: Literal["rgb", "y"] = "rgb"
    """Channels of PSNR and SSIM; one of evaluation.spaces."""
    border: Count = 4
    """Pixels cut off at each side before them; one of evaluation.borders."""
    subset: Literal["all", "interior"] = "all"
    """`interior` leaves out the first and last two frames of each clip."""


@dataclass(frozen=True)
class Variant:
    """An extractor with the settings that some runs of one model have. One of `extractors` has its own name."""

    name: str
    extractor: str
    parameters: dict[str, Any]
    beta2: float | Literal["auto"]
    edges: str
    """Name of the variant whose edge maps it learns from: itself, or that of the same parameters."""


def variants(config: "Config", model: str) -> dict[str, Variant]:
    """All variants of one model by name: the extractors, then what the sweeps take beside them."""
    beta2 = config.model(model).loss.beta2
    found = {name: Variant(name, name, parameters, beta2[name], name) for name, parameters in config.extractors.items()}
    for sweep in config.sweeps.values():
        if sweep.model == model:
            own = found[sweep.extractor]
            found |= {v.name: v for v in (_variant(own, sweep.key, x) for x in values(config, sweep)) if v != own}
    return found


def points(config: "Config", sweep: Sweep) -> list[tuple[str, Value]]:
    """Variant and value of each point of a sweep, the extractor's own among them; numbers ascend.

    The value is "auto" where only a calibration tells it.
    """
    own = config.variants[sweep.model][sweep.extractor]
    configured = own.beta2 if sweep.key == BETA2 else own.parameters[sweep.key]
    found = {_variant(own, sweep.key, value).name: value for value in values(config, sweep)} | {own.name: configured}
    if any(isinstance(value, str | bool) for value in found.values() if value != "auto"):
        return list(found.items())
    return sorted(found.items(), key=lambda point: float("inf") if point[1] == "auto" else point[1])


def values(config: "Config", sweep: Sweep) -> list[Any]:
    """The values of a sweep as the types of its key have them."""
    return [value_of(config, sweep, value) for value in sweep.values]


def value_of(config: "Config", sweep: Sweep, value: Value) -> Any:
    """One of them. Raises ValidationError or UserError for a value that the key can't have."""
    if sweep.key == BETA2 and isinstance(value, bool):
        raise UserError(f"{value} is no number")
    if sweep.key == BETA2:
        return TypeAdapter(Weight).validate_python(value)
    return check_parameters(sweep.extractor, config.extractors[sweep.extractor] | {sweep.key: value})[sweep.key]


def variant_name(extractor: str, key: str, value: Value) -> str:
    """Of the extractor with another value, `canny.beta2_5`: without hyphens, and without exponents that have them."""
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, int | float):
        text = format(Decimal(repr(value + 0)).normalize(), "f").replace("-", "minus")
    else:
        text = value
    return f"{extractor}.{key}_{text}"


def _variant(own: Variant, key: str, value: Any) -> Variant:
    """An extractor with another value; the extractor itself where that is the value that it has."""
    name = variant_name(own.extractor, key, value)
    if key == BETA2:
        return own if value == own.beta2 else Variant(name, own.extractor, own.parameters, value, own.edges)
    if value == own.parameters[key]:
        return own
    return Variant(name, own.extractor, own.parameters | {key: value}, own.beta2, name)
