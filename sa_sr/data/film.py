"""Which frames a video file has, and when each is shown, as players have it: whoever reads videos asks here.

They are the frames of the default track that can be decoded from its beginning on, counted from 0. Second 0 is where
the file begins; its first frame may come later.
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from sa_sr.data.screen import UNTOLD, Picture, admit, oddities, picture, size, told_by
from sa_sr.errors import UserError

log = logging.getLogger("sa_sr")

CONTAINERS = "mov,matroska,avi,mpeg,mpegvideo,mpegts,m4v,h264,hevc,flv,asf,ogg,yuv4mpegpipe"
"""What a video may be, by libav's names. It knows playlists too, which make it read other files."""
TELLING = ("mov", "matroska", "avi")
"""Those that say how long a video is."""
SLACK = 0.75
"""Frames by which time stamps may be late: repeated fields are half a frame, and a lost frame is a whole one."""
VARYING = 0.1
"""The share of long steps between frames from which on a video has a varying rate; fewer are frames that were lost."""
FAR = 1 << 40
"""A time stamp behind the end of every video."""


def frame_size(path: Path) -> tuple[int, int]:
    """Width and height of the pictures of a video, in pixels. Its first frame is decoded."""
    with _opened(path) as film:
        return size(film.first_frame(), film.stream)


def seconds(path: Path) -> float | None:
    """How long a video is shown; None where nothing tells. Its header is read, at most its first and last frames."""
    with _opened(path) as film:
        stream, container = film.stream, film.container
        if stream.duration:
            return float(stream.duration * stream.time_base)
        if not film.is_in("matroska"):
            return container.duration / 1_000_000 if container.duration else None
        first = film.first_frame().pts or 0  # Matroska tells the end or the length, whichever its writer meant
        container.seek(FAR, stream=stream)
        ends = [packet.pts + packet.duration for packet in container.demux(stream) if packet.pts is not None]
        return float((max(ends) - first) * stream.time_base) if ends else None


def times(path: Path) -> list[float]:
    """The seconds at which the frames of a video are shown, ascending, and behind them those at which the last ends.

    One number more than there are frames. The whole file is read; nothing behind its first frame is decoded.
    """
    with _opened(path) as film:
        film.first_frame()
        for _ in film.packets():
            pass
        return film.times()


def pictures(path: Path) -> Iterator[Picture]:
    """The frames of a video, one after another. UserError names a file that can't be read, or that lacks frames.

    What is odd about the file, though it can be taken, is logged once.
    """
    # From the beginning and without seeking: what a scene holds must not depend on how well a container is indexed.
    with _opened(path) as film:
        told: set[str] = set()
        for frame in _gapless(film):
            admit(frame, path)
            new = [line for line in oddities(frame, film.stream) + film.left_out if line not in told]
            if new:
                _tell(f"{path}: {'; '.join(new)}")
                told.update(new)
            yield partial(picture, frame, film.stream)


@cache
def _tell(line: str) -> None:
    log.warning("%s", line)


class _Film:
    """A video file that is open and read once, from its beginning."""

    def __init__(self, path: Path, container: Any, stream: Any) -> None:
        self.path, self.container, self.stream = path, container, stream
        self.first: Any = None
        """The first frame, as soon as it is decoded."""
        self._colours = {name: getattr(stream.codec_context, name) for name in UNTOLD}
        """What the container says; the decoder will overwrite it."""
        self._key: Any = None
        """The packet of the first key frame, as soon as it is read."""
        self.left_out: list[str] = []
        """That frames were left out before the first one, if there were any."""
        self._stamps: list[tuple[Any, int]] = []
        """Time stamp and duration of what was read and would be shown, in the order of the file."""

    def is_in(self, container: str) -> bool:
        return self.container.format.name.startswith(container)

    def packets(self) -> Iterator[Any]:
        """The rest of the file, packet by packet. A clock that starts anew, as where files were joined, goes on."""
        shift, last = 0, -math.inf
        for packet in self.container.demux(self.stream):
            if packet.dts is not None:
                if packet.dts + shift < last:
                    shift = last + packet.duration - packet.dts
                last = packet.dts + shift
            if self._is_shown(packet):
                self._stamps.append((None if packet.pts is None else packet.pts + shift, packet.duration))
            yield packet

    def _is_shown(self, packet: Any) -> bool:
        hidden = self.stream.codec_context.name == "vp8" and packet.size and not memoryview(packet)[0] & 0x10
        return packet.size > 0 and not packet.is_discard and not hidden

    def frames(self) -> Iterator[Any]:
        """The frames that can be decoded. Those before the first key frame may need others that are not in the file."""
        import av.error

        for packet in self.packets():
            if self._key is None and packet.is_keyframe:
                self._key = packet
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                early = self.first is None if self._key is None else _is_before(packet, self._key)
                if not early:
                    raise
                decoded = []
            if decoded and self.first is None:
                self.first = decoded[0]
                if early := len(self._stamps) - len(self._from_first()):
                    self.left_out = [f"frames at its beginning that need others, which were cut off, left out: {early}"]
            for frame in decoded:
                told_by(self._colours, frame)
                yield frame
        if self.first is None:
            raise UserError(
                f"{self.path}: can't be read as a video (none of its frames can be decoded); replace the file or take "
                "it out of the data set"
            )

    def lacks_key_frame(self) -> bool:
        """Whether the first key frame was not decoded, though nothing says that it may be passed over."""
        listed = self.is_in("avi") or self.is_in("mov")
        return self._key is not None and not listed and _is_before(self._key, self.first)

    def first_frame(self) -> Any:
        """The first frame. UserError where it can't be shown."""
        frame = next(self.frames())
        admit(frame, self.path)
        return frame

    def times(self) -> list[float]:
        """As the function of that name, of what was read."""
        stamps, base = self._from_first(), self.stream.time_base
        start = Fraction(max(0, self.container.start_time or 0), 1_000_000)  # a sound may begin before 0
        if self._is_counted():
            rate = self.stream.average_rate
            if not rate:
                raise UserError(f"{self.path}: has neither time stamps nor a frame rate; encode it anew, as MP4")
            return [float(number / rate) for number in range(len(stamps) + 1)]
        stamps.sort()
        shown = [stamp for stamp, _ in stamps]
        end = shown[-1] + (stamps[-1][1] or shown[-1] - shown[-2 % len(shown)])  # MPEG does not tell the last duration
        return [float(stamp * base - start) for stamp in (*shown, end)]

    def _from_first(self) -> list[tuple[Any, int]]:
        """Time stamps and durations from the first frame on."""
        if self._is_counted():
            return self._stamps
        return [(stamp, duration) for stamp, duration in self._stamps if stamp >= self.first.pts]

    def _is_counted(self) -> bool:
        """Whether frames have no time stamps, as in AVI: libav's are out of order where frames are stored so."""
        return self.is_in("avi") or self.first.pts is None or any(stamp is None for stamp, _ in self._stamps)


def _is_before(packet: Any, other: Any) -> bool:
    """Whether the time stamp of a packet or frame is before another's. False where one has none."""
    return None not in (packet.pts, other.pts) and packet.pts < other.pts


@contextmanager
def _opened(path: Path) -> Iterator[_Film]:
    """A video at its beginning. UserError names a file that can't be read, then or later."""
    import av
    import av.error

    trusted = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        with av.open(str(path), options=trusted, metadata_errors="replace") as container:
            track = _track(path, container)
            track.codec_context.options = {"err_detect": "explode"}  # damage is an error, and not to be painted over
            yield _Film(path, container, track)
    except av.error.FFmpegError as e:
        why = f"none of {CONTAINERS}" if isinstance(e, av.error.ArgumentError) else e.strerror
        raise UserError(
            f"{path}: can't be read as a video ({why}); replace the file or take it out of the data set"
        ) from e


def _track(path: Path, container: Any) -> Any:
    """The video stream that players show: the first that is flagged as default, else the first. Covers are pictures."""
    from av.stream import Disposition

    tracks = [s for s in container.streams.video if s.codec_context and not s.disposition & Disposition.attached_pic]
    if not tracks:
        raise UserError(
            f"{path}: has no video in it, or of no known codec; replace the file or take it out of the data set"
        )
    return max(tracks, key=lambda track: bool(track.disposition & Disposition.default))


def _gapless(film: _Film) -> Iterator[Any]:
    """The frames of a video as long as none before them is missing, which would shift all later scenes."""
    rate = film.stream.average_rate
    least, longest, limit = 0, 1 / (rate * film.stream.time_base) if rate else 0, None  # steps between two frames
    before, number = None, 0
    for number, frame in enumerate(film.frames(), 1):
        step = 0 if before is None or frame.pts is None else frame.pts - before
        usual = frame.duration or least
        lost = frame.is_corrupt or (number == 1 and film.lacks_key_frame())
        if usual and step > (1 + SLACK) * usual and _is_timed(film):
            limit = limit or _longest_step(film.path)
            lost = lost or step * film.stream.time_base > limit
        if lost:
            raise UserError(
                f"{film.path}: damaged, or of a varying frame rate: frames are missing before or in frame "
                f"{number - 1}; replace the file, or encode it anew with a constant frame rate"
            )
        if step > 0:
            least, longest = min(least or step, step), max(longest, step)
        before = frame.pts
        yield frame
    told = _end_told(film)
    if told and before is not None and longest and told - before - (frame.duration or least) > SLACK * longest:
        raise UserError(
            f"{film.path}: breaks off after {number} frames, before the end that it tells; replace the file"
        )


def _is_timed(film: _Film) -> bool:
    """Whether a gap in the time stamps of a video may mean that a frame was lost.

    MP4 and MOV list all frames with the time of each, so a gap is meant. AVI has no time stamps, and those that libav
    makes up are out of order where frames are stored out of order.
    """
    reordered = film.is_in("avi") and film.stream.codec_context.has_b_frames
    return not film.is_in("mov") and not reordered


def _longest_step(path: Path) -> float:
    """Seconds between two frames beyond which another was lost between them; infinite where the rate varies."""
    steps = np.diff(times(path))
    limit = (1 + SLACK) * np.median(steps)
    return math.inf if np.mean(steps > limit) > VARYING else float(limit)


def _end_told(film: _Film) -> float | None:
    """The time stamp at which a video ends by its container, None where that would be libav's estimate.

    Matroska tells the end or the length: the end is never before the length, so a video that has reached what is told
    is complete.
    """
    stream, container = film.stream, film.container
    if not container.format.name.startswith(TELLING):
        return None
    if stream.duration:
        return (stream.start_time or 0) + stream.duration
    alone = container.duration and len(container.streams) == 1
    return float(container.duration / 1_000_000 / stream.time_base) if alone else None
