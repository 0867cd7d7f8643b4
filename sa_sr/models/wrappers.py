"""Find the weights of a network in what a tool saved around them: trainers, wrapper modules and moving averages."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

TRANSPARENT = {"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Modules around a module, of torch.compile, DataParallel, FSDP and checkpointing: at any place in a name."""

AVERAGED = (
    "params_ema", "params-ema", "state_dict_ema", "ema_state_dict", "net_g_ema", "netG_ema", "generator_ema", "g_ema",
    "ema_model", "model_ema", "ema", "shadow", "shadow_params",
)  # fmt: skip
"""Where a moving average of the weights lies: as a dictionary, or as the first part of the names."""

PARTS = (
    *AVERAGED, "params", "state_dict", "model_state_dict", "net_g", "netG", "generator", "model", "network", "net",
    "module",
)  # fmt: skip
"""Where the weights of a generator lie, beside other things of a training; what comes first is taken first."""

BOOKKEEPING = {"n_averaged", "num_updates", "decay", "initted", "step"}
"""Numbers that moving averages keep beside the weights."""

DEPTH = 8


def unwrapped(
    content: Mapping[Any, Any], depth: int = DEPTH, seen: dict[int, object] | None = None
) -> dict[str, Tensor]:
    """The tensors of a network by their names in it; empty where there are none.

    content: what a weight file holds, dictionaries in dictionaries or long names; depth: wrappers within wrappers;
    seen: dictionaries that were looked into, for a file may hold them often, or in themselves.
    """
    seen = {} if seen is None else seen
    seen[id(content)] = content  # and so it lives, and its id is no other's
    level = {_bare(key): value for key, value in content.items() if isinstance(key, str) and key not in BOOKKEEPING}
    for part in PARTS if depth else ():
        inner = _under(level, part)
        if not inner or id(inner) in seen or not (state := unwrapped(inner, depth - 1, seen)):
            continue
        return _named(state, unwrapped(_beside(level, part), depth - 1, seen)) if part in AVERAGED else state
    return {key: value for key, value in level.items() if isinstance(value, Tensor)}


def _bare(key: str) -> str:
    """A name without the modules that are only around others."""
    return ".".join(part for part in key.split(".") if part not in TRANSPARENT) or key


def _under(level: Mapping[str, Any], part: str) -> dict[Any, Any]:
    """What lies under a part, as a dictionary, as a list, or by the beginnings of names."""
    if isinstance(inner := level.get(part), dict):
        return inner
    if isinstance(inner, list | tuple):
        return {str(i): value for i, value in enumerate(inner)}
    inner = {key.removeprefix(f"{part}."): value for key, value in level.items() if key.startswith(f"{part}.")}
    if part == "model" and any(key[0].isdigit() for key in inner if key):
        return {}  # ESRGAN's own names of 2018: model.0.weight
    return inner


def _beside(level: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {key: value for key, value in level.items() if key.partition(".")[0] != part}


def _named(state: dict[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """An average under the names of its network, where it only numbers its weights, or leaves out the names' dots."""
    names = list(names)
    if len(names) == len(state) and all(map(str.isdigit, state)):
        return dict(zip(names, state.values(), strict=True))
    full = {name.replace(".", ""): name for name in names}
    return {full.get(key, key): value for key, value in state.items()}
