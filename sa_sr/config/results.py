"""Sections `evaluation`, `tables` and `figures`: what is measured and shown."""

import unicodedata
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sa_sr.config.section import LARGEST, Box, Count, Name, PositiveFloat, Section


class LpipsChoice(Section):
    """Which LPIPS."""

    net: Literal["alex", "vgg"] = "alex"
    """Network whose features are compared.

    Open: the paper is silent. Evidence: the default of the official package."""
    version: Literal["0.1", "0.0"] = "0.1"
    """Of the package's linear layers; 0.0 does not scale its input, and has smaller values.

    Open: the paper is silent. Evidence: 0.1 is the default since 2018; the paper's values on Vid4 look low for it."""

    @property
    def asset(self) -> str:
        """The weight file of the network."""
        return {"alex": "alexnet.ckpt", "vgg": "vgg16.ckpt"}[self.net]


class Regions(Section):
    """Which pixels are edge, texture and flat: the standard deviation of the ground truth's luma around each decides
    (docs/metrics.md). No extractor's code or parameters: the judge must not be the party."""

    window: Annotated[int, Field(ge=3, le=LARGEST)] = 5
    """Side of the uniform window, odd, in HR pixels; the noise of flat areas is measured in the same one."""
    texture: PositiveFloat = 5.0
    """Standard deviation, in gray levels, from which a pixel is texture; below it is flat."""
    edge: PositiveFloat = 25.0
    """Standard deviation from which a pixel is edge; above `texture`."""


class Edges(Section):
    """How edges of result and truth are found and compared: Canny on the 8-bit luma of both (docs/metrics.md)."""

    low: PositiveFloat = 50.0
    """Lower threshold, of OpenCV's Canny with the Euclidean norm of the gradient."""
    high: PositiveFloat = 100.0
    """Upper threshold, not below `low`."""
    tolerance: Annotated[int, Field(ge=0, le=32)] = 1
    """HR pixels, horizontally and vertically, within which an edge counts as found."""


class Evaluation(Section):
    """What is measured on every frame (V)."""

    spaces: Annotated[list[Literal["rgb", "y"]], Field(min_length=1)] = ["rgb", "y"]
    """PSNR and SSIM on all three channels and on the luma of BT.601.

    Open: the paper is silent. Alternatives: one of the two. Evidence: its Tables I and II fit RGB, III and IV the luma;
    both are measured, each table prints one."""
    borders: Annotated[list[Count], Field(min_length=1)] = [4, 8]
    """Pixels cut off at each side before PSNR and SSIM.

    Open: the paper is silent. Alternatives: any. Evidence: ESRGAN's test code cuts 4; 8 is common for video."""
    ssim: Literal["gaussian", "uniform"] = "gaussian"
    """SSIM's window: 11 x 11 Gaussian (sigma 1.5), or 7 x 7 uniform as scikit-image's default.

    Open: the paper is silent. Evidence: ESRGAN's test code, and MATLAB's original."""
    lpips: LpipsChoice = LpipsChoice()
    """Which LPIPS."""
    regions: Regions = Regions()
    """Which pixels are edge, texture and flat."""
    edges: Edges = Edges()
    """How edges are found and compared."""


class Table(Section):
    """The variants of one model on one test set: one of the paper's Tables I-IV, or another."""

    model: Literal["esrgan", "vsrresfeatgan"]
    """Whose variants are the rows."""
    dataset: str
    """One of the model's test sets."""
    label: str
    """How the data set is named in the caption."""
    space: Literal["rgb", "y"]
    """Channels of PSNR and SSIM; one of evaluation.spaces."""
    border: Count
    """Pixels cut off at each side; one of evaluation.borders."""
    subset: Literal["all", "interior"] = "all"
    """`interior` leaves out the first and last two frames of each clip, where the five-frame window is incomplete.

    Open: the paper is silent. Evidence: none; with `all`, the frames beyond the ends repeat the last one, so the
    video model's tables in config/paper.yaml take `interior`."""
    same_data: bool = False
    """Whether the data set is that of the published table: then the difference to it is printed as well."""
    published: Literal["table1", "table2", "table3", "table4"] | None = None
    """The paper's table to print beside ours."""


class EdgeMaps(Section):
    """Figure 1: an image and its edge maps."""

    dataset: str
    """Data set of the picture."""
    item: Annotated[str, AfterValidator(partial(unicodedata.normalize, "NFC"))]
    """Name of the photo's file without its ending, or of the clip."""
    frame: Count = 0
    """Frame of a clip, from 0."""


class Comparison(EdgeMaps):
    """Figures 8-10: ground truth, bicubic and the variants of one model, with a magnified crop."""

    model: Literal["esrgan", "vsrresfeatgan"]
    """Whose variants are compared."""
    crop: Box | None = None
    """x, y, width, height in HR pixels; null: where there is detail and the variants differ most."""
    space: Literal["rgb", "y"] = "rgb"
    """Channels of the PSNR under each result; one of evaluation.spaces."""
    border: Count = 4
    """Pixels cut off at each side before it; one of evaluation.borders."""


class Figures(Section):
    """The paper's figures; training curves and the perception-distortion plane are drawn besides."""

    edge_maps: dict[Name, EdgeMaps] = {}
    """Figures like the paper's Figure 1, by file name."""
    comparisons: dict[Name, Comparison] = {}
    """Figures like the paper's Figures 8-10, by file name."""
