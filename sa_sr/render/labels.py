"""How models, extractors and metrics are called in print: the paper's names."""

from dataclasses import dataclass

BICUBIC = "bicubic"
BASELINE = "none"

MODELS = {"esrgan": "ESRGAN", "vsrresfeatgan": "VSRResFeatGAN"}
EXTRACTORS = {"local_variance": "lv", "canny": "canny"}
EXTRACTORS_LONG = {"local_variance": "Local variance", "canny": "Canny", "none": "None"}


@dataclass(frozen=True)
class Metric:
    """A metric in print: its name, its digits after the point, its unit, and which direction is better."""

    label: str
    decimals: int
    higher_is_better: bool
    unit: str = ""

    @property
    def arrow(self) -> str:
        return "↑" if self.higher_is_better else "↓"


METRICS = {
    "psnr": Metric("PSNR", 2, True, "dB"),
    "ssim": Metric("SSIM", 4, True),
    "lpips": Metric("LPIPS", 4, False),
}
"""The columns of every table, in the paper's order and precision."""

SPACES = {"rgb": "RGB", "y": "Y (luma)"}
SSIM_WINDOWS = {"gaussian": "11 × 11 Gaussian window, σ = 1.5", "uniform": "7 × 7 uniform window, sample covariance"}
LPIPS_NETS = {"alex": "AlexNet", "vgg": "VGG16"}


def label(model: str, extractor: str = BASELINE) -> str:
    """Display name of a method: "Bicubic", "ESRGAN", "SA-ESRGAN (lv)", "SA-VSRResFeatGAN (canny)" ...

    Names that the paper does not know are printed as they are: "SA-ESRGAN (sobel)".
    """
    if model == BICUBIC:
        return "Bicubic"
    name = MODELS.get(model, model)
    return name if extractor == BASELINE else f"SA-{name} ({EXTRACTORS.get(extractor, extractor)})"


def extractor_label(extractor: str) -> str:
    """Display name of an edge extractor standing alone: "Local variance", "Canny", "Sobel" ..."""
    return EXTRACTORS_LONG.get(extractor, extractor.replace("_", " ").capitalize())
