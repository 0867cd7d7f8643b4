"""Section `datasets`: photos and clips, and how LR is made from HR."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from sa_sr.config.section import LARGEST, Box, PositiveFloat, PositiveInt, Scene, Section


class Expect(Section):
    """What a file of one's own has to be; checked before the first job."""

    width: PositiveInt | None = None
    """Pixels, of the picture as it is shown, upright."""
    height: PositiveInt | None = None
    """Pixels, likewise."""
    seconds: tuple[PositiveFloat, PositiveFloat] | None = None
    """Shortest and longest duration of a video."""


class Source(Section):
    """Where the items of a data set come from: one `asset`, one `folder` or one `file`."""

    asset: str | None = None
    """Name of an asset: an image, a video, or a zip or tar archive of images."""
    folder: str | None = None
    """A folder of one's own: images, or for clips sub-folders of frames and video files. Names that begin with a dot
    are not looked at; what else is left out is told."""
    file: str | None = None
    """A file of one's own: an image, a video, or a zip or tar archive of images."""
    only: list[str] = []
    """Globs over the paths below the folder or inside the archive, of which one has to fit; none: take all."""
    omit: list[str] = []
    """Globs over the same paths: what fits one of them is left out."""
    reduce: PositiveInt = 1
    """HR is the source reduced by this factor (MATLAB bicubic), which hides the compression noise of 4K and JPEG."""
    crop: Box | None = None
    """x, y, width, height in pixels of the reduced frame; always trimmed to multiples of 4 at the right and bottom."""
    expect: Expect = Expect()
    """What the file has to be; without keys, anything."""
    note: Annotated[str, Field(exclude=True)] = ""
    """Where the file or folder is to be had; told to whoever lacks it."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.asset is None) + (self.folder is None) + (self.file is None) != 2:
            raise ValueError("give exactly one of asset, folder and file")
        return self

    @property
    def origin(self) -> str:
        """The asset, folder or file."""
        return self.asset or self.folder or self.file or ""


class ClipSource(Source):
    """A source of clips: which frames of a video make up which clip."""

    scenes: Annotated[list[Scene], Field(min_length=1)] | Literal["detect"] | None = None
    """List of [first, end) source frames, one clip each; `detect` cuts where the picture changes; null: one clip."""
    ends: list[PositiveFloat] = []
    """Seconds at which the scenes of a video end, ascending, by its time stamps: another way to give `scenes`."""
    take: Scene | None = None
    """[first, end) of the scenes, counted from 0; null: all of them.

    Open: which 6 of Myanmar's 59 scenes are for testing. Alternatives: any. Evidence: public code for the same video
    keeps the last 6, and trains on 53 like the paper."""
    stride: PositiveInt = 1
    """Take every n-th frame of a scene.

    Open: which frames the paper measured. Alternatives: any stride. Evidence: none; tables state how many there are."""
    max_frames: Annotated[int, Field(ge=5, le=LARGEST)] | None = None
    """Keep at most this many frames of each clip, after the stride."""

    @model_validator(mode="after")
    def _scenes(self) -> Self:
        if self.scenes is not None and self.ends:
            raise ValueError("give scenes or ends, not both")
        if any(later <= earlier for earlier, later in pairwise(self.ends)):
            raise ValueError("ends must ascend")
        known = len(self.scenes) if isinstance(self.scenes, list) else len(self.ends)
        if self.take and not (self.take[0] < self.take[1] and (self.scenes == "detect" or self.take[1] <= known)):
            raise ValueError(f"take is {list(self.take)}, but there are {known} scenes, counted from 0")
        return self


class Degradation(Section):
    """How LR is made from HR."""

    degradation: Literal["BI", "BD"] = "BI"
    """BI: MATLAB's bicubic imresize; BD: Gaussian blur (13 x 13, sigma 1.6), then every fourth pixel.

    Open: the paper says x4 only. Evidence: the official LR images of DIV2K, on which ESRGAN was trained, are BI."""
    border: Literal["clamp", "mirror"] = "clamp"
    """What imresize finds beyond the border: the border pixel again, or the mirrored image.

    Open: which MATLAB. Evidence: the published LR images of Set5 and Set14 come out bit for bit with `clamp`."""


class Images(Degradation):
    """A set of photos."""

    kind: Literal["images"]
    """Says that these are photos."""
    sources: Annotated[list[Source], Field(min_length=1)]
    """Where they come from."""


class Clips(Degradation):
    """A set of video clips, each of at least 5 frames."""

    kind: Literal["clips"]
    """Says that these are clips."""
    sources: Annotated[list[ClipSource], Field(min_length=1)]
    """Where they come from."""


Dataset = Annotated[
    Annotated[Images, Tag("images")] | Annotated[Clips, Tag("clips")],
    Discriminator(
        lambda section: section.get("kind") if isinstance(section, dict) else getattr(section, "kind", None),
        custom_error_type="kind",
        custom_error_message="a data set needs the key `kind`, which is images or clips",
    ),
]
