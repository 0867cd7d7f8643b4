"""What every section of the configuration has in common, and the types of its values."""

import difflib
import json
import re
import reprlib
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

LONGEST = 60
"""Letters of a name: three of them and more have to fit in the name of a file."""
LARGEST = 2**31 - 1
"""Whole numbers that every library takes."""


def _is_name(text: str) -> str:
    if len(text) > LONGEST or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.]*", text):
        raise PydanticCustomError(
            "name",
            "{text} can't be a name: at most {longest} letters, digits, _ and . are allowed, and no hyphen",
            {"text": reprlib.repr(text), "longest": LONGEST},
        )
    return text


Name = Annotated[str, AfterValidator(_is_name)]
"""Names become file names; a hyphen is left to the names of runs."""

PositiveInt = Annotated[int, Field(ge=1, le=LARGEST)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Box = tuple[Count, Count, PositiveInt, PositiveInt]
Scene = tuple[Count, PositiveInt]


def by_number(sections: dict[str, Any]) -> dict[str, Any]:
    """Sections in the order of the numbers in their names, figure9 before figure10: that of the file does not count."""

    def key(name: str) -> list[str | int]:
        return [int(part) if part.isdecimal() else part for part in re.split("([0-9]+)", name)]

    return {name: sections[name] for name in sorted(sections, key=key)}


class Section(BaseModel):
    """A mapping of the configuration file: frozen, and an unknown key is an error with a suggestion."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        for key in values if isinstance(values, dict) else ():
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(cls.model_fields)}"
                raise PydanticCustomError("unknown_key", "unknown key {key}; {hint}", {"key": repr(key), "hint": hint})
        return values

    def canonical(self, exclude: Any = None) -> str:
        """JSON with sorted keys: equal settings give equal text. exclude: what to leave out, as pydantic takes it."""
        return json.dumps(self.model_dump(mode="json", exclude=exclude), sort_keys=True)
