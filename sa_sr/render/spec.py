"""What one table shows, and which of all measurements these are."""

from typing import Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict

from sa_sr.config.results import LpipsChoice
from sa_sr.errors import UserError
from sa_sr.evaluation import WHOLE
from sa_sr.render.labels import BASELINE, BICUBIC, PAPER, label
from sa_sr.render.published import PUBLISHED, PublishedTable

CHOSEN = ("psnr", "ssim")
"""Metrics that are measured on several channels, with several borders: each table takes one."""


class Quantity(NamedTuple):
    """What was measured: a metric in a region, on some channels, without some border, over some frames."""

    metric: str
    region: str
    space: str
    border: int
    subset: str

    @classmethod
    def of(cls, row: dict[str, str]) -> "Quantity":
        """That of a row of means.csv or differences.csv; KeyError and ValueError as they come."""
        return cls(row["metric"], row["region"], row["space"], int(row["border"]), row["subset"])


class Choice(Protocol):
    """What decides which measurements belong to a table."""

    @property
    def space(self) -> str: ...
    @property
    def border(self) -> int: ...
    @property
    def subset(self) -> str: ...


def belongs(quantity: Quantity, table: Choice) -> bool:
    """Whether a table is about it: its frames and, where there is a choice, its channels and border."""
    measured_so = quantity.metric not in CHOSEN or (quantity.space, quantity.border) == (table.space, table.border)
    return measured_so and quantity.subset == table.subset


class TableSpec(BaseModel):
    """What one table shows, and the facts of the protocol that its header states."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: str
    """Name of the table, "table1" ...: LaTeX label and, where it is one of the paper's, its number."""
    model: str
    dataset: str
    """Name of the data set in means.csv."""
    dataset_label: str
    """The data set's name in print, honest about what it is: "City scene B (stands in for Vid4)"."""
    extractors: tuple[str, ...] = (BASELINE, "local_variance", "canny")
    """The rows below bicubic, in this order; differences refer to `none`."""
    space: Literal["rgb", "y"] = "rgb"
    """Channels of the printed PSNR and SSIM."""
    border: int = 4
    """Pixels cut off at each side before the printed PSNR and SSIM."""
    subset: Literal["all", "interior"] = "all"
    """`interior`: without the first and last two frames of each clip."""
    ssim: Literal["gaussian", "uniform"] = "gaussian"
    """Window of SSIM."""
    lpips: LpipsChoice = LpipsChoice()
    """Network and version of LPIPS."""
    published: str | None = None
    """The paper's table to print beside ours."""
    same_data: bool = False
    """Whether the paper measured the same data set: then the difference to it is printed too."""
    kind: Literal["images", "clips"] = "clips"
    """What the data set holds."""
    strides: tuple[int, ...] = (1,)
    """Every n-th frame of the footage was taken; more than one number where the sources differ."""

    @property
    def rows(self) -> tuple[str, ...]:
        return (BICUBIC, *self.extractors)

    @property
    def paper(self) -> PublishedTable | None:
        if self.published is None:
            return None
        if self.published not in PUBLISHED:
            there = ", ".join(PUBLISHED)
            raise UserError(f"tables.{self.name}.published: the paper has no {self.published!r}, only {there}")
        return PUBLISHED[self.published]

    @property
    def number(self) -> str:
        """ "Table II", where it is one of the paper's."""
        return f"Table {self.paper.number}" if self.paper else ""

    def method(self, extractor: str) -> str:
        """The name of a row in print."""
        return label(BICUBIC) if extractor == BICUBIC else label(self.model, extractor)

    @property
    def methods(self) -> list[str]:
        """The names of all rows."""
        return [self.method(extractor) for extractor in self.rows]

    def prints(self, quantity: Quantity) -> bool:
        """Whether the table shows it: the paper's metrics, of whole images."""
        return quantity.metric in PAPER and quantity.region == WHOLE and belongs(quantity, self)
