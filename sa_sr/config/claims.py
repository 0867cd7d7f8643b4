"""config/claims.yaml: what the paper claims, in a form that results can be held against."""

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from sa_sr.config.reading import check, read
from sa_sr.config.section import Name, Section
from sa_sr.render.labels import BASELINE, METRICS, PAPER
from sa_sr.render.published import PUBLISHED


def _one_of(names: Collection[str], what: str) -> AfterValidator:
    def known(name: str) -> str:
        if name in names:
            return name
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(names)}"
        raise PydanticCustomError(
            "unknown", "no {what} {name}; {hint}", {"what": what, "name": repr(name), "hint": hint}
        )

    return AfterValidator(known)


VARIANTS = list(dict.fromkeys(e for table in PUBLISHED.values() for e in table.rows if e != BASELINE))
Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
PaperCell = tuple[
    Annotated[str, _one_of(PUBLISHED, "table of the paper")],
    Annotated[str, _one_of(VARIANTS, "extractor of the paper")],
]


class Claim(Section):
    """One claim of the paper: that a metric is better with the method, or what share of the loss the method takes."""

    statement: Text
    """The claim in one short sentence."""
    where: Text
    """Where the paper makes it."""
    metric: Annotated[str, _one_of(METRICS, "metric")] | None = None
    """What is better with the method, for each extractor in each table; PSNR and SSIM as the table prints them."""
    region: Literal["all", "edge", "texture", "flat"] = "all"
    """Part of the image on which the metric is measured."""
    exceptions: list[PaperCell] = []
    """Cells for which the paper doesn't claim it: [its table, extractor]."""
    share: tuple[Share, Share] | None = None
    """Instead of a metric: least and largest share of the spatially adaptive part in the loss, mean of a training."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.metric is None) == (self.share is None):
            raise PydanticCustomError("kind", "give either `metric` or `share`")
        only = {"noise": "flat"}.get(self.metric or "", "all")
        if self.metric and self.metric not in PAPER and self.region != only:
            raise PydanticCustomError(
                "region", "region: {metric} is measured in region {only} only", {"metric": self.metric, "only": only}
            )
        if self.metric and METRICS[self.metric].higher_is_better is None:
            raise PydanticCustomError("metric", "metric: {metric} ranks nobody", {"metric": self.metric})
        if self.share is not None and (self.region != "all" or self.exceptions):
            raise PydanticCustomError("share", "`region` and `exceptions` belong to a metric, not to a share")
        if self.share is not None and self.share[0] > self.share[1]:
            raise PydanticCustomError("share", "share: give the least first")
        return self


class Claims(Section):
    """A file of claims."""

    claims: dict[Name, Claim]
    """By a short name."""


def load_claims(file: Path) -> Claims:
    """The claims of a YAML file; UserError with a line for each mistake, led by the path of its key."""
    return check(Claims, read(file), str(file))
