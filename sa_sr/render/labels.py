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
    "edge_precision": Metric("Edge precision", 3, True),
    "edge_recall": Metric("Edge recall", 3, True),
    "edge_f1": Metric("Edge F1", 3, True),
    "noise": Metric("Noise", 2, False, "gray levels"),
    "colour_shift": Metric("Colour shift", 2, False, "gray levels"),
    "warp": Metric("Warping error", 2, False, "gray levels"),
    "tof": Metric("tOF", 3, False, "pixels"),
    "tlpips": Metric("tLPIPS", 4, False),
}
"""Everything that is measured; docs/metrics.md defines it."""
PAPER = {name: METRICS[name] for name in ("psnr", "ssim", "lpips")}
"""The columns of every table, in the paper's order and precision."""

REGIONS = {"all": "Whole frame", "edge": "Edges", "texture": "Texture", "flat": "Flat areas"}
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
