"""Read images: 8-bit pixels as RGB, upright, or a UserError that says why not."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, Any

import numpy as np

from sa_sr.data.archives import Member
from sa_sr.errors import UserError

IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
"""What a file with one of these suffixes may be. Pillow knows fifty formats more, and starts Ghostscript for one."""
EIGHT_BIT = {"1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr"}
"""Pillow's modes that turn into 8-bit RGB without loss of range."""
DEEP = (";16B", ";16L", ";16N")
"""How its names of 16-bit layouts end, which it would cut to 8 bits without a word where there are three channels."""
ORIENTATION, SIDEWAYS = 0x0112, {5, 6, 7, 8}
"""The EXIF tag that says how a picture was taken, and its values that exchange width and height."""
TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""What makes a picture upright, by that tag. Pillow's own function writes the EXIF anew, and fails where it is odd."""

File = Path | Member
"""An image or a video on disk, or an image in an archive."""


def is_image(name: str | PurePath) -> bool:
    """Whether a file is an image, by its suffix."""
    return PurePath(name).suffix.lower() in IMAGES


def read_image(file: File) -> np.ndarray:
    """One image as RGB, uint8 (H, W, 3), turned as its EXIF orientation says.

    Grayscale is replicated, palettes are looked up, CMYK is converted without a colour profile, alpha is dropped where
    it is opaque everywhere. Raises UserError, naming the file, for what can't be read or has more than Pillow's limit
    of 179 megapixels, and where nothing says which 8-bit picture is meant: 16 bits a channel, transparent pixels,
    several pictures in one file.
    """
    from PIL.Image import Transpose

    with _image(file) as image:
        turn = TURNS.get(_orientation(image))
        upright = image.transpose(Transpose[turn]) if turn else image
        if upright.has_transparency_data and np.asarray(upright.convert("RGBA"))[..., 3].min() < 255:
            raise UserError(f"{file}: has transparent pixels, which have no colour; put it on a background first")
        return np.asarray(upright.convert("RGB"))


def image_size(file: File) -> tuple[int, int]:
    """Width and height as `read_image` has them. Only the header is read; raises UserError as far as that tells."""
    with _image(file, whole=False) as image:
        return (image.height, image.width) if _orientation(image) in SIDEWAYS else (image.width, image.height)


def _orientation(image: Any) -> int:
    """How a picture was taken; 1 is upright, as where nothing is told."""
    # Pillow turns a TIFF itself, and decodes a PNG to look for EXIF behind its pixels, where hardly any has it
    told = image.format != "TIFF" and (image.format != "PNG" or "exif" in image.info)
    return image.getexif().get(ORIENTATION, 1) if told else 1


@contextmanager
def _image(file: File, whole: bool = True) -> Iterator[Any]:
    """Pillow's image; whole: false if no more than the header will be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), _stream(file, whole) as stream:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of half the limit: large photos
            with Image.open(stream, formats=FORMATS) as image:
                _admit(file, image)
                yield image
    except UserError:
        raise
    except Exception as e:  # a damaged file can fail in any way
        why = (
            f"not {', '.join(FORMATS)}, or of a kind that Pillow does not know"
            if isinstance(e, UnidentifiedImageError)
            else e
        )
        raise UserError(
            f"{file}: can't be read as an image ({why}); replace the file or take it out of the data set"
        ) from e


def _stream(file: File, whole: bool) -> IO[bytes]:
    return file.entry.open() if isinstance(file, Member) and not whole else file.open("rb")


def _admit(file: File, image: Any) -> None:
    """UserError for what its header says can't be one 8-bit picture."""
    if image.mode not in EIGHT_BIT or _layout(image).endswith(DEEP):
        raise UserError(
            f"{file}: has pixels of mode {_layout(image)}, not 8 bits a channel of gray, RGB or CMYK; convert it first"
        )
    # an MPO is a photo of a phone with previews behind it
    if image.format != "MPO" and (count := getattr(image, "n_frames", 1)) > 1:
        raise UserError(f"{file}: holds {count} pictures; save the one that is meant as a file of its own")


def _layout(image: Any) -> str:
    """Pillow's name for how the pixels lie in the file, else its mode."""
    args = image.tile[0].args if image.tile else image.mode
    return args if isinstance(args, str) else str(args[0])
