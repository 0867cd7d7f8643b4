"""The numbers that the paper prints: Tables I-IV, and the share of the loss.

Source: X. Wang, S. Lopez-Tapia, A. Lucas, X. Wu, R. Molina, A. K. Katsaggelos, "A General Method to Incorporate
Spatial Information into Loss Functions for GAN-based Super-resolution Models", arXiv:2403.10589. Scale factor 4.
The paper does not say on which channels, with which border, or with which LPIPS network it measured.
"""

from dataclasses import dataclass
from typing import NamedTuple

SOURCE = "Wang et al., arXiv:2403.10589"
SHARE = 15
"""Per cent of the generator loss that the spatially adaptive part takes (IV-C)."""


class Scores(NamedTuple):
    """PSNR in dB, SSIM in 0..1 (both: higher is better), LPIPS (lower is better)."""

    psnr: float
    ssim: float
    lpips: float


@dataclass(frozen=True)
class PublishedTable:
    """One table of the paper: its Roman number, model, test set, and a row of scores for each extractor."""

    number: str
    model: str
    dataset: str
    rows: dict[str, Scores]


PUBLISHED = {
    "table1": PublishedTable(
        "I",
        "esrgan",
        "Myanmar",
        {
            "none": Scores(29.13, 0.8445, 0.0398),
            "local_variance": Scores(29.23, 0.8444, 0.0387),
            "canny": Scores(29.75, 0.8561, 0.0357),
        },
    ),
    "table2": PublishedTable(
        "II",
        "esrgan",
        "Vid4",
        {
            "none": Scores(21.53, 0.6349, 0.1022),
            "local_variance": Scores(22.14, 0.6581, 0.0953),
            "canny": Scores(22.32, 0.6674, 0.0955),
        },
    ),
    "table3": PublishedTable(
        "III",
        "vsrresfeatgan",
        "Vid4",
        {
            "none": Scores(24.71, 0.7199, 0.1045),
            "local_variance": Scores(25.09, 0.7344, 0.0992),
            "canny": Scores(24.74, 0.7192, 0.1027),
        },
    ),
    "table4": PublishedTable(
        "IV",
        "vsrresfeatgan",
        "Myanmar",
        {
            "none": Scores(32.22, 0.8887, 0.0545),
            "local_variance": Scores(32.48, 0.8918, 0.0540),
            "canny": Scores(32.36, 0.8890, 0.0539),
        },
    ),
}
