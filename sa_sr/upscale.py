"""Command `upscale`: one picture of one's own, four times as large, with its colours and its notes."""

import logging
import struct
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from sa_sr.data.images import loaded, read_image
from sa_sr.errors import UserError
from sa_sr.files import atomic_path
from sa_sr.inference import upscale
from sa_sr.models.generators import load

log = logging.getLogger(__name__)

Base = ExifTags.Base
KEPT = {
    *(Base.ImageDescription, Base.Make, Base.Model, Base.Software, Base.DateTime, Base.Artist, Base.Copyright),
    *(Base.ExifOffset, Base.GPSInfo),
}
"""EXIF that is as true of the large picture. What says how pixels are stored, orientation and size too, is not."""
SIZES = (Base.ExifImageWidth, Base.ExifImageHeight)


def upscale_file(image: Path, model: Path, out: Path, tile: int) -> None:
    """Enlarge an image by 4.

    image: file that `read_image` takes; model: weights of an image network; out: PNG to write, with the colour profile
    and the EXIF of the image; tile: see `sa_sr.inference.upscale`. Raises UserError where a file is missing or does not
    fit, and where `out` is one of the other two.
    """
    if not image.is_file():
        raise UserError(f"{image}: no such file")
    if out.suffix.lower() != ".png":
        raise UserError(f"{out}: the result is a PNG; give a name that ends in .png")
    for path, what in ((image, "image"), (model, "file of weights")):
        if out.exists() and path.exists() and out.samefile(path):
            raise UserError(f"{out}: is the {what} that is read, and would be overwritten; give another name")
    network = load(model)
    if type(network).__name__ == "VSRResNet":
        raise UserError(f"{model}: a video network, which takes five frames; give the weights of an image network")
    large, kept = Image.fromarray(upscale(network, read_image(image), tile, model)), notes(image)
    with atomic_path(out) as temporary:
        large.save(temporary, format="PNG", **kept)


def notes(file: Path) -> dict[str, Any]:
    """What a PNG keeps of an image: its colours by ICC profile or by chunks of a PNG, and EXIF; as `save` takes it."""
    with loaded(file) as image:
        return {"icc_profile": _profile(file, image), "pnginfo": _colours(image), "exif": _exif(file, image)}


def _profile(file: Path, image: Any) -> bytes | None:
    """The ICC profile, unless it is one of gray or CMYK, which says nothing about RGB."""
    profile = image.info.get("icc_profile") or None
    if profile and (space := profile[16:20]) != b"RGB ":
        log.warning("%s: its colour profile is for %s and not kept, for the PNG is RGB", file, space.decode("latin-1"))
        return None
    return profile


def _colours(image: Any) -> PngInfo:
    """Gamma, primaries and sRGB's intent, which a PNG may tell instead of a profile; whole numbers of 1/100,000."""
    found, info = PngInfo(), image.info if image.format == "PNG" else {}
    numbers = {b"gAMA": [info["gamma"]] if "gamma" in info else [], b"cHRM": info.get("chromaticity", [])}
    for chunk, values in numbers.items():
        if values:
            found.add(chunk, struct.pack(f">{len(values)}I", *(round(100_000 * value) for value in values)))
    if "srgb" in info:
        found.add(b"sRGB", bytes([info["srgb"]]))
    return found


def _exif(file: Path, image: Any) -> bytes | None:
    """The EXIF that is KEPT, None where there is none."""
    try:
        exif = image.getexif()
        for tag in set(exif) - KEPT:
            del exif[tag]
        for tag in SIZES:
            exif.get_ifd(Base.ExifOffset).pop(tag, None)
        return exif.tobytes() if exif else None
    except Exception as e:  # EXIF can be odd in any way
        log.warning("%s: its EXIF can't be read and is not kept (%s)", file, e)
        return None
