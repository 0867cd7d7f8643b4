"""Read images: 8-bit pixels as RGB, upright, or a UserError that says why not."""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, Any

import numpy as np

from sa_sr.data.archives import Member
from sa_sr.errors import UserError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM")
"""What an image may be, by Pillow's names. Pillow knows fifty formats more, and starts Ghostscript for one."""
IMAGES = {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".tif", ".tiff", ".webp"}
IMAGES |= {".pbm", ".pgm", ".ppm", ".pnm", ".pfm"}
"""The suffixes that Pillow has for these formats."""
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
    """One image as RGB, uint8 (H, W, 3), turned as its EXIF orientation says, or its XMP where there is no EXIF.

    Grayscale is replicated, palettes are looked up, CMYK is converted without a colour profile, alpha is dropped where
    it is opaque everywhere. Raises UserError, naming the file, for what can't be read or has more than Pillow's limit
    of 179 megapixels, for a JPEG with holes, and where nothing says which 8-bit picture is meant: 16 bits a channel,
    transparent pixels, several pictures in one file.
    """
    with loaded(file) as image:
        upright = _upright(image)
        if image.format in ("JPEG", "MPO"):
            _refuse_holes(file)
        if upright.has_transparency_data and np.asarray(upright.convert("RGBA"))[..., 3].min() < 255:
            raise UserError(f"{file}: has transparent pixels, which have no colour; put it on a background first")
        return np.asarray(upright.convert("RGB"))


def image_size(file: File) -> tuple[int, int]:
    """Width and height as `read_image` has them. Only the header is read; raises UserError as far as that tells."""
    with _image(file, whole=False) as image:
        if image.format == "PNG" and _notes_follow(image.fp):
            image.load()
        turned = image.format == "TIFF" and ORIENTATION in image.tag_v2  # Pillow has exchanged them
        sideways = not turned and _orientation(image) in SIDEWAYS
        return (image.height, image.width) if sideways else (image.width, image.height)


def _upright(image: Any) -> Any:
    """A loaded picture as it was meant to be seen."""
    from PIL.Image import Transpose

    turn = TURNS.get(_orientation(image)) if image.format != "TIFF" else None  # Pillow turns a TIFF itself
    return image.transpose(Transpose[turn]) if turn else image


def _orientation(image: Any) -> int:
    """How a picture was taken, as far as it was read; 1 is upright, as where nothing is told."""
    from PIL.Image import Image

    return Image.getexif(image).get(ORIENTATION, 1)  # a PNG's own function would decode it to look behind its pixels


def _notes_follow(stream: IO[bytes]) -> bool:
    """Whether a PNG has EXIF or XMP behind its pixels. The stream stays where it is."""
    here, pixels = stream.tell(), False
    stream.seek(8)
    try:
        while len(head := stream.read(8)) == 8:
            length, kind = struct.unpack(">I4s", head)
            data = stream.read(min(length, 21)) if kind in (b"iTXt", b"tEXt", b"zTXt") else b""
            if pixels and (kind == b"eXIf" or data.startswith((b"XML:com.adobe.xmp", b"Raw profile type exif"))):
                return True
            pixels |= kind == b"IDAT"
            stream.seek(length - len(data) + 4, 1)
        return False
    finally:
        stream.seek(here)


def _refuse_holes(file: File) -> None:
    """UserError for a JPEG with damaged or missing data, which Pillow fills; this library tells libjpeg's warnings."""
    import simplejpeg

    with file.open("rb") as stream:
        data = stream.read()
    try:
        colours = simplejpeg.decode_jpeg_header(data)[2]
        # an eighth of the size: the data are read in full, and hardly anything is computed
        simplejpeg.decode_jpeg(
            data, "CMYK" if colours in ("CMYK", "YCCK") else "GRAY", min_height=1, min_width=1, min_factor=8
        )
    except ValueError as e:
        raise UserError(
            f"{file}: parts of its data are damaged or missing ({e}); replace the file, save it anew if it looks "
            "right, or take it out of the data set"
        ) from e


@contextmanager
def loaded(file: File) -> Iterator[Any]:
    """Pillow's image with all that the file tells. Raises UserError as `read_image` does for what is in the header."""
    with _image(file) as image:
        image.load()  # a PNG may tell something behind its pixels
        yield image


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
    if image.format != "MPO" and getattr(image, "is_animated", False):  # counting them reads all of them
        raise UserError(f"{file}: holds several pictures; save the one that is meant as a file of its own")


def _layout(image: Any) -> str:
    """Pillow's name for how the pixels lie in the file, else its mode."""
    args = image.tile[0].args if image.tile else image.mode
    name = args if isinstance(args, str) else str(args[0])
    return f"{name};16B" if image.format == "PPM" and args[-1] in range(256, 1 << 16) else name  # its largest value
