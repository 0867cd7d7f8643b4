"""How models, extractors and metrics are called in print: the paper's names."""

from dataclasses import dataclass

BICUBIC = "bicubic"
BASELINE = "none"

MODELS = {"esrgan": "ESRGAN", "vsrresfeatgan": "VSRResFeatGAN"}
EXTRACTORS = {"local_variance": "lv", "canny": "canny"}
EXTRACTORS_LONG = {"local_variance": "Local variance", "canny": "Canny", "none": "None"}
SYMBOLS = {"beta2": ("β₂", r"$\beta_2$"), "delta": ("δ", "δ")}
"""Parameters that have a sign in the paper: as text, and for figures, whose letters lack the small 2."""


@dataclass(frozen=True)
class Metric:
    """A metric in print: its name, its digits after the point, its unit, and which direction is better."""

    label: str
    decimals: int
    higher_is_better: bool | None
    """None: it ranks nobody."""
    unit: str = ""

    @property
    def arrow(self) -> str:
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]


METRICS = {
    "psnr": Metric("PSNR", 2, True, "dB"),
    "ssim": Metric("SSIM", 4, True),
    "lpips": Metric("LPIPS", 4, False),
    "edge_precision": Metric("Edge precision", 3, True),
    "edge_recall": Metric("Edge recall", 3, True),
    "edge_f1": Metric("Edge F1", 3, True),
    "noise": Metric("Noise", 2, False, "gray levels"),
    "colour_shift": Metric("Colour shift", 2, False, "gray levels"),
    "warp": Metric("Warping error", 2, None, "gray levels"),  # blur lowers it below that of the truth
    "tof": Metric("tOF", 3, False, "pixels"),
    "tlpips": Metric("tLPIPS", 4, False),
}
"""Everything that is measured; docs/metrics.md defines it. `noise` is of flat areas; others than PAPER of the whole."""
PAPER = {name: METRICS[name] for name in ("psnr", "ssim", "lpips")}
"""The columns of every table, in the paper's order and precision."""

REGIONS = {"all": "Whole frame", "edge": "Edges", "texture": "Texture", "flat": "Flat areas"}
SPACES = {"rgb": "RGB", "y": "Y (luma)"}
SSIM_WINDOWS = {"gaussian": "11 × 11 Gaussian window, σ = 1.5", "uniform": "7 × 7 uniform window, sample covariance"}
LPIPS_NETS = {"alex": "AlexNet", "vgg": "VGG16"}


def label(model: str, extractor: str = BASELINE) -> str:
    """Display name of a method: "Bicubic", "ESRGAN", "SA-ESRGAN (lv)", "SA-VSRResFeatGAN (canny)" ...

    Names that the paper does not know are printed as they are: "SA-ESRGAN (sobel)". A variant of a sweep,
    "canny.low_50", says what is different: "SA-ESRGAN (canny, low 50)".
    """
    if model == BICUBIC:
        return "Bicubic"
    name = MODELS.get(model, model)
    own, changed, _ = extractor.partition(".")
    short = EXTRACTORS.get(own, own) + (f", {setting(extractor)}" if changed else "")
    return name if extractor == BASELINE else f"SA-{name} ({short})"


def setting(variant: str, mathtext: bool = False) -> str:
    """What a variant of a sweep has different: "low 50" of "canny.low_50", "β₂ 5" of "canny.beta2_5"."""
    key, _, value = variant.partition(".")[2].rpartition("_")
    return f"{symbol(key, mathtext)} {value.replace('minus', '−')}"


def symbol(key: str, mathtext: bool = False) -> str:
    """A parameter in print: its sign in the paper, or its name."""
    return SYMBOLS[key][mathtext] if key in SYMBOLS else key.replace("_", " ")


def extractor_label(extractor: str) -> str:
    """Display name of an edge extractor standing alone: "Local variance", "Canny", "Sobel" ..."""
    return EXTRACTORS_LONG.get(extractor, extractor.replace("_", " ").capitalize())
