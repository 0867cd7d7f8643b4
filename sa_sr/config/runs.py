"""A run, and what one training job needs to know: the content of its run.json."""

import re
import reprlib
from dataclasses import dataclass
from typing import Any, Literal, Self

from sa_sr.config.models import LossTerms, Optimise
from sa_sr.config.section import Section, Weight
from sa_sr.errors import UserError
from sa_sr.plugins import module_name


@dataclass(frozen=True)
class Run:
    """One training: model x extractor x seed."""

    model: str
    extractor: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.model}-{self.extractor}-s{self.seed}"

    @classmethod
    def parse(cls, name: str) -> Self:
        """The run of a name; the parts themselves hold no hyphen. UserError where it is no such name."""
        parts = re.fullmatch(r"([^-]+)-([^-]+)-s([0-9]{1,10})", name)
        if not parts:
            raise UserError(f"{reprlib.repr(name)} is not the name of a run, which is <model>-<extractor>-s<seed>")
        return cls(parts[1], parts[2], int(parts[3]))


class PretrainSpec(Section):
    """The PSNR-oriented stage of one model and seed."""

    name: str
    model: str
    seed: int
    precision: str
    patch: int
    val_share: float
    """Share of the patches that are for validation alone; 0: train and validation sets are apart."""
    min_variance: float
    generator: dict[str, Any]
    optimise: Optimise

    @property
    def modules(self) -> list[str]:
        """Modules that the training finds by name: roots of its code fingerprint beside its own."""
        return [module_name("models", self.model)]


class TrainSpec(PretrainSpec):
    """The GAN stage of one run."""

    extractor: str
    extractor_params: dict[str, Any]
    discriminator: dict[str, Any]
    layer: str
    feature_scale: float
    terms: LossTerms
    beta2: Weight | Literal["auto"]
    """`auto` until `resolve` has put the calibrated value in its place."""

    @property
    def modules(self) -> list[str]:
        """The same; with `edge_scope: crop` the extractor is among them."""
        crop = self.terms.edge_scope == "crop"
        return super().modules + ([module_name("edges", self.extractor)] if crop else [])


class CalibrateSpec(TrainSpec):
    """The measurement of the spatially adaptive part's share, before the first step of one run."""

    share: float | None
    """Aimed at where beta2 is `auto`."""
    batches: int
