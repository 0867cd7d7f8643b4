"""Read a YAML file of the configuration: plain values and nothing else, from a file that nobody has to trust.

And settings in JSON, in which they reach the stages.
"""

import reprlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from sa_sr.errors import UserError

MOST = 1_000_000
"""Values that a configuration may have, aliases written out: those that come along have less than 2000."""
LINES, WIDTH, KEY = 12, 300, 70
"""Of the message about a configuration or settings, of a line and of a key in it: what is longer is cut."""
Model = TypeVar("Model", bound=BaseModel)


MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """YAML's plain types; a key that is given twice is an error, where PyYAML would forget the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for name, _ in node.value:
            key = None if name.tag == MERGE else self.construct_object(name, deep=True)
            if key is not None and isinstance(key, Hashable):
                if key in seen:
                    place = f"line {name.start_mark.line + 1}"
                    raise yaml.YAMLError(f"key {reprlib.repr(key)} is given twice, the second time in {place}")
                seen.add(key)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MOST:
            raise yaml.YAMLError(f"by its merge keys a mapping has more than {MOST} values")


def read(file: Path) -> dict[str, Any]:
    """The content of a YAML file: a mapping. UserError in one line where it is none, or no YAML that can be taken."""
    try:
        values = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except RecursionError:
        raise UserError(f"{file}: not a readable YAML file (nested too deeply)") from None
    except Exception as e:  # no YAML, not UTF-8, a number of thousands of digits, a tag whose value is none of its kind
        raise UserError(f"{file}: not a readable YAML file ({' '.join(str(e).split())[:400]})") from e
    if not isinstance(values, dict):
        raise UserError(f"{file}: a configuration is a mapping of keys to values; this is {type(values).__name__}")
    return values


def check_size(values: Any, where: str) -> None:
    """UserError where the values, aliases written out, are more than MOST; at once, however many they are."""
    sizes: dict[int, float] = {}

    def size(value: Any) -> float:
        """Known sizes of parts; infinite for what contains itself."""
        if not isinstance(value, dict | list | tuple | set):
            return 1
        if id(value) not in sizes:
            sizes[id(value)] = float("inf")
            parts = value.values() if isinstance(value, dict) else value
            sizes[id(value)] = 1 + sum(map(size, parts))
        return sizes[id(value)]

    try:
        most = size(values) <= MOST
    except RecursionError:
        raise UserError(f"{where} is not valid: it is nested too deeply") from None
    if not most:
        raise UserError(f"{where} is not valid: with its aliases written out it has more than {MOST} values")


def check(section: type[Model], values: Any, where: str) -> Model:
    """Values as the section that they are of.

    where: the file's name for the message. Raises UserError with one line for each mistake, led by the path of its key;
    long lines and long lists are cut.
    """
    check_size(values, where)
    try:
        return section.model_validate(values)
    except ValidationError as e:
        raise UserError(f"{where} is not valid:\n  " + "\n  ".join(_told(e))) from e


def parse(kind: Any, text: str | bytes, where: str) -> Any:
    """JSON as values of a type.

    where: the option or file for the message. Raises UserError in one line, with the path of each key that is wrong.
    """
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as e:
        raise UserError(f"{where}: {'; '.join(_told(e))}") from e


def _told(e: ValidationError) -> list[str]:
    """A line for each mistake, led by the path of its key."""
    lines = []
    for error in e.errors(include_url=False, include_context=False):
        path = ".".join(_cut(str(part), KEY) for part in error["loc"] if part not in ("images", "clips"))
        lines += (f"{path}: {error['msg']}" if path else error["msg"]).split("\n  ")
    more = [f"and {len(lines) - LINES} more"] if len(lines) > LINES else []
    return [_cut(line, WIDTH) for line in lines[:LINES]] + more


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
