"""Read a YAML or JSON file of the configuration: plain values and nothing else, from a file that nobody has to trust.

And settings in JSON, in which they reach the stages.
"""

import json
import re
import reprlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from sa_sr.errors import UserError
from sa_sr.files import record_of

MOST = 1_000_000
"""Values that a configuration may have, aliases written out: those that come along have less than 2000."""
LINES, WIDTH, KEY = 12, 300, 70
"""Of the message about a configuration or settings, of a line and of a key in it: what is longer is cut."""
UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Signs that control a terminal, and halves of signs: they end a path or can't be written as UTF-8."""
Model = TypeVar("Model", bound=BaseModel)


MERGE = "tag:yaml.org,2002:merge"
ODD = {"tag:yaml.org,2002:timestamp": "a date", "tag:yaml.org,2002:value": "a sign", MERGE: "a sign"}
PLAIN = {
    "tag:yaml.org,2002:int": "[-+]?(0|[1-9][0-9]*)",
    "tag:yaml.org,2002:float": r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "tag:yaml.org,2002:bool": "true|True|TRUE|false|False|FALSE",
    **dict.fromkeys(ODD, "(?!)"),  # none of them
}
"""The words of each kind that mean what they seem to mean. YAML 1.1 has more: 0010 is 8, 1:30 is 90, `no` is false."""


class _Loader(yaml.SafeLoader):
    """YAML's plain types, written plainly; a key that is given twice is an error, and PyYAML forgets the first."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        plain = PLAIN.get(node.tag) if isinstance(node, yaml.ScalarNode) else None
        if plain and not re.fullmatch(plain, node.value):
            number = node.tag not in ODD
            value = json.dumps(super().construct_object(node, deep)) if number else ODD[node.tag]
            raise UserError(
                f"line {node.start_mark.line + 1}: YAML reads {_cut(node.value, KEY)} as {_cut(value, KEY)}; "
                f"if it is text, put it in quotes" + (f", else write {_cut(value, KEY)}" if number else "")
            )
        return super().construct_object(node, deep)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for name, _ in node.value:
            key = "<<" if name.tag == MERGE else self.construct_object(name, deep=True)
            if isinstance(key, Hashable):
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
    """The content of a YAML or JSON file: a mapping. UserError in one line where it is none, or can't be taken.

    Numbers in other bases, `yes`, `no` and dates are refused: whoever writes 0010 or 1:30 seldom means 8 or 90.
    """
    if record_of(file).is_file():
        raise UserError(
            f"{file}: a result, no configuration; `snakemake --configfile` takes all words up to the next option, "
            "so give targets before it"
        )
    try:
        values = _parsed(file.read_text(encoding="utf-8"))
    except RecursionError:
        raise UserError(f"{file}: not a readable YAML file (nested too deeply)") from None
    except UserError as e:
        raise UserError(f"{file}: {e}") from None
    except Exception as e:  # no YAML, not UTF-8, a number of thousands of digits, a tag whose value is none of its kind
        raise UserError(f"{file}: not a readable YAML file ({' '.join(str(e).split())[:400]})") from e
    if not isinstance(values, dict):
        raise UserError(f"{file}: a configuration is a mapping of keys to values; this is {type(values).__name__}")
    if "__use_yte__" in values:
        raise UserError(f"{file}: __use_yte__ makes Snakemake execute code in a configuration; write values alone")
    return values


def _parsed(text: str) -> Any:
    """Values of a text that is JSON or else YAML, as Snakemake does: not all JSON is YAML."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError:
        return yaml.load(text, _Loader)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping of JSON, whose keys may be given once."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"key {reprlib.repr(key)} is given twice")
        values[key] = value
    return values


def check_values(values: Any, where: str) -> None:
    """UserError where the values, aliases written out, are more than MOST, or a text has signs that are none.

    At once, however many they are.
    """
    sizes: dict[int, float] = {}

    def size(value: Any) -> float:
        """Known sizes of parts; infinite for what contains itself."""
        if isinstance(value, str) and (sign := UNWRITABLE.search(value)):
            raise UserError(f"{where} is not valid: {reprlib.repr(value)} holds {sign[0]!a}, which no text may hold")
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
    check_values(values, where)
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
        quotes = error["type"] == "string_type" and isinstance(error["input"], int | float)
        message = f"{error['msg']}; put {error['input']} in quotes" if quotes else error["msg"]
        lines += (f"{path}: {message}" if path else message).split("\n  ")
    more = [f"and {len(lines) - LINES} more"] if len(lines) > LINES else []
    return [_cut(line, WIDTH) for line in lines[:LINES]] + more


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
