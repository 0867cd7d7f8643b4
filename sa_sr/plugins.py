"""Find an extractor or a model by name: a file of this package, or "package.module:attribute"."""

import difflib
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from sa_sr import plan
from sa_sr.errors import UserError
from sa_sr.provenance import modules

FOUND: set[str] = set()
"""Modules of the plugins that a stage has used: they are part of what made its results."""


def module_name(kind: str, name: str) -> str:
    """Dotted module that holds plugin `name` of `kind` ("edges" or "models"); nothing is imported."""
    return name.partition(":")[0] if ":" in name else f"sa_sr.{kind}.{name}"


def find(kind: str, name: str) -> Any:
    """The plugin itself: attribute `name` of sa_sr/<kind>/<name>.py, or the attribute after the colon.

    Raises UserError with the names that exist when there is no such file, and why one that is there can't be used.
    """
    attribute = name.partition(":")[2] or name
    tags = modules(module_name(kind, name))  # the code as it is imported
    try:
        plugin = getattr(import_module(module_name(kind, name)), attribute)
    except (ImportError, AttributeError) as e:
        known = names(kind)
        if name in known:
            raise UserError(f"{module_name(kind, name)}: can't be used as the {kind} plugin {name!r} ({e})") from e
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f" ({e})"
        there = f"there is: {', '.join(known)}, or give package.module:attribute"
        raise UserError(f"no {kind} plugin {name!r}{hint}; {there}") from e
    FOUND.add(module_name(kind, name))
    plan.check(tags)
    return plugin


def names(kind: str) -> list[str]:
    """The plugins of one kind that come along, sorted."""
    return sorted(module.name for module in iter_modules(import_module(f"sa_sr.{kind}").__path__))
