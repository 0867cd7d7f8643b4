"""A decoded frame of a video as the picture that players show: turned, and in the right colours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sa_sr.errors import UserError

Picture = Callable[[], np.ndarray]
"""A frame that becomes RGB uint8 (H, W, 3) when it is called, which for those that nobody wants is never."""

# numbers of ITU-T H.273, which all codecs and containers use
UNTOLD = {"colorspace": 2, "color_trc": 2, "color_primaries": 2, "color_range": 0}
"""What libav calls the matrix, transfer, primaries and range of a stream or frame, and the number of "not told"."""
BT709 = 1
MATRICES = {1, 2, 4, 5, 6, 7, 9}
"""Matrices from YCbCr to RGB that libav has: BT.709, none told, FCC, BT.601 (two numbers), SMPTE 240M, BT.2020."""
TRANSFERS = {8: "linear light", 9: "logarithmic", 10: "logarithmic", 16: "PQ (HDR)", 17: "of cinemas", 18: "HLG (HDR)"}
"""Transfer functions whose values no screen shows as they are."""
WIDE = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
"""Primaries of which sRGB has a part only."""
HD = 1280, 577
"""Width and height of which one makes a video that tells no matrix be of BT.709; a smaller one is of BT.601."""
QUARTERS = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
"""a, b, c, d of the display matrix that turns a picture by so many degrees clockwise: x' = ax + cy, y' = bx + dy."""
ANGLE = (1, 1, 1, 1)
"""The same for any other angle."""
LEVEL = 0.02
"""By how much a display matrix may be off a quarter turn, for rounding: one degree."""


def told_by(container: dict[str, int], frame: Any) -> None:
    """Fill in what a frame does not tell of its colours and its container does."""
    for name, untold in UNTOLD.items():
        if getattr(frame, name) == untold:
            setattr(frame, name, container[name])


def admit(frame: Any, path: Path) -> None:
    """UserError for a frame whose colours can't be shown as 8-bit RGB by a plain conversion."""
    if frame.color_trc in TRANSFERS:
        raise UserError(
            f"{path}: its brightness is {TRANSFERS[frame.color_trc]}, which 8 bits of RGB can't show as it is; convert "
            "it to SDR of BT.709 first, by a tone mapping of your choice"
        )
    if _is_coded(frame) and frame.colorspace not in MATRICES:
        raise UserError(
            f"{path}: its colours are coded by matrix {frame.colorspace} of ITU-T H.273, which is not known here; "
            "convert it to BT.709 first"
        )


def oddities(frame: Any, stream: Any) -> list[str]:
    """What a frame loses, or shows in another way than players do, in a few words each."""
    bits, ratio = max(c.bits for c in frame.format.components), stream.sample_aspect_ratio
    odd = []
    if bits > 8:
        odd.append(f"{bits} bits a channel are reduced to 8")
    if frame.interlaced_frame:
        odd.append("interlaced, and taken as it is: every other line shows another moment; deinterlace it first")
    if ratio and ratio != 1:
        odd.append(
            f"taken as it is stored, {frame.width}x{frame.height} pixels, each {ratio.numerator}:{ratio.denominator} "
            "wide; players stretch it"
        )
    if frame.color_primaries in WIDE:
        odd.append(f"colours of {WIDE[frame.color_primaries]} are taken as those of sRGB, which makes them paler")
    if _turn(frame, stream) is None:
        odd.append("to be shown at an angle, and taken upright")
    return odd


def size(frame: Any, stream: Any) -> tuple[int, int]:
    """Width and height of its picture."""
    transposed, *_ = _turn(frame, stream) or (False,)
    return (frame.height, frame.width) if transposed else (frame.width, frame.height)


def picture(frame: Any, stream: Any) -> np.ndarray:
    """The picture, RGB uint8 (H, W, 3). Where no matrix is told the size decides; where no range is, it is limited."""
    if (
        _is_coded(frame)
        and frame.colorspace == UNTOLD["colorspace"]
        and (frame.width >= HD[0] or frame.height >= HD[1])
    ):
        frame.colorspace = BT709
    stored = frame.to_ndarray(format="rgb24")
    transposed, mirrored, upside_down = _turn(frame, stream) or (False, False, False)
    turned = stored.transpose(1, 0, 2) if transposed else stored
    return np.ascontiguousarray(turned[:: -1 if upside_down else 1, :: -1 if mirrored else 1])


def _is_coded(frame: Any) -> bool:
    """Whether its colours are luma and chroma."""
    return len(frame.format.components) > 2 and not frame.format.is_rgb


def _turn(frame: Any, stream: Any) -> tuple[bool, bool, bool] | None:
    """Whether players exchange rows and columns, then mirror left and right, then up and down. None: another angle.

    The display matrix of the frame decides, else the tag `rotate` of older files: degrees clockwise.
    """
    from av.sidedata.sidedata import Type

    side = frame.side_data.get(Type.DISPLAYMATRIX)
    if side is not None:
        a, b, _, c, d, *_ = np.frombuffer(side, np.int32).tolist()
    else:
        a, b, c, d = QUARTERS.get(_degrees(stream), ANGLE)
    straight, across = abs(a) + abs(d), abs(b) + abs(c)
    if min(straight, across) > LEVEL * max(straight, across):
        return None
    return (True, c < 0, b < 0) if across > straight else (False, a < 0, d < 0)


def _degrees(stream: Any) -> int:
    """What the tag says, 0 to 359; 0 where it is none, or no number."""
    told = {key.lower(): value for key, value in stream.metadata.items()}.get("rotate", "0")
    try:
        return round(float(told)) % 360
    except (ValueError, OverflowError):
        return 0
