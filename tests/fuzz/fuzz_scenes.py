"""The scenes of a source, as JSON, cut out of a video of 40 frames."""

import atheris
from pydantic import ValidationError

with atheris.instrument_imports(include=["sa_sr.config.data", "sa_sr.data.scenes", "sa_sr.data.video"]):
    from sa_sr.config import ClipSource
    from sa_sr.data.scenes import scenes_of
    from sa_sr.data.sources import Clip
    from sa_sr.data.video import read_clips

from tests.fuzz.harness import fuzz_one, start

FRAMES = 40


def cut(source: ClipSource) -> None:
    """What comes out of each scene is that slice of the video."""
    scenes = scenes_of(source, Clip("v", []))
    frames = ((lambda t=t: t) for t in range(FRAMES))
    clips = read_clips(frames, scenes, source.stride, source.max_frames, "v")  # type: ignore[arg-type]
    taken = [list(clip) for _, clip in clips]
    wanted = [range(FRAMES)[a:b][:: source.stride][: source.max_frames] for a, b in scenes or [(0, FRAMES)]]
    assert taken == [list(scene) for scene in wanted], f"{taken} is not {wanted}"


def one(data: bytes) -> None:
    try:
        source = ClipSource.model_validate_json(b'{"file": "v", ' + data + b"}")
    except ValidationError:
        return
    fuzz_one(lambda: cut(source))


if __name__ == "__main__":
    start(one)
