"""Stage `bicubic`: the baseline of every table."""

from pathlib import Path

from sa_sr.data.resize import imresize
from sa_sr.errors import UserError
from sa_sr.layout import MEND, h5_items
from sa_sr.progress import progress
from sa_sr.storage import description, h5_writer, put

SCALE = 4


def bicubic(data: Path, out: Path) -> None:
    """Enlarge the LR frames of a data file by MATLAB's bicubic imresize: sr/<item> (T, H, W, 3) uint8.

    What imresize finds beyond the border is what it found there when the data file was made. Raises UserError where it
    is no data file.
    """
    with h5_items(data, "lr") as f, h5_writer(out, method="bicubic") as result:
        border = description(f, "border")
        if border not in ("clamp", "mirror"):
            raise UserError(f"{data}: its attribute `border` is {border!r}, expected clamp or mirror; {MEND}")
        for item in progress(sorted(f["lr"]), f"bicubic {data.stem}", len(f["lr"]), unit="items"):
            put(result, f"sr/{item}", (imresize(frame, SCALE, border) for frame in f["lr"][item]))
