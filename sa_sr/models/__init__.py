"""Networks, recipes and weight files. `load` builds the generator that a weight file holds."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    # by name and late: a stage that needs one network must not depend on the others' code
    if name == "load":
        return import_module("sa_sr.models.generators").load
    raise AttributeError(name)
