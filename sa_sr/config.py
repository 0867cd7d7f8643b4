"""The configuration: every key with its type, unit, default and meaning.

`load` turns the parsed YAML into a frozen `Config` or raises one UserError that names each wrong key by its path. The
Snakefile calls it while it is parsed, so a dry run reports mistakes too; nothing here imports torch. config/schema.json
and config/README.md are generated from this file (`sa-sr config-docs`).
"""

import difflib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from sa_sr.consistency import problems
from sa_sr.data.assets import Asset, known
from sa_sr.edges import check_parameters
from sa_sr.errors import UserError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.]*$")]
"""Names of data sets and configurations become file names: letters, digits, `_` and `.` only."""

PositiveInt = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Box = tuple[Count, Count, PositiveInt, PositiveInt]
Scene = tuple[Count, PositiveInt]


class Section(BaseModel):
    """A mapping of the configuration file: frozen, and an unknown key is an error with a suggestion."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        for key in values if isinstance(values, dict) else ():
            if key not in cls.model_fields:
                near = difflib.get_close_matches(str(key), cls.model_fields, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(cls.model_fields)}"
                raise PydanticCustomError("unknown_key", "unknown key {key}; {hint}", {"key": repr(key), "hint": hint})
        return values

    def canonical(self) -> str:
        """JSON with sorted keys: equal settings give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)


# --- data ---


class Source(Section):
    """Where the items of a data set come from: one `asset` or one `folder`."""

    asset: str | None = None
    """Name of an asset: an image or a video file."""
    folder: str | None = None
    """A folder of one's own: images, or for clips sub-folders of frames and video files."""
    reduce: PositiveInt = 1
    """HR is the source reduced by this factor (MATLAB bicubic), which hides the compression noise of 4K and JPEG."""
    crop: Box | None = None
    """x, y, width, height in pixels of the reduced frame; always trimmed to multiples of 4 at the right and bottom."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.asset is None) == (self.folder is None):
            raise ValueError("give exactly one of asset and folder")
        return self


class ClipSource(Source):
    """A source of clips: which frames of a video make up which clip."""

    scenes: list[Scene] | Literal["detect"] | None = None
    """List of [first, end) source frames, one clip each; `detect` cuts where the picture changes; null: one clip."""
    stride: PositiveInt = 1
    """Take every n-th frame of a scene."""
    max_frames: Annotated[int, Field(ge=5)] | None = None
    """Keep at most this many frames of each clip, after the stride."""


class Images(Section):
    """A set of photos."""

    kind: Literal["images"]
    """Says that these are photos."""
    sources: Annotated[list[Source], Field(min_length=1)]
    """Where they come from."""


class Clips(Section):
    """A set of video clips, each of at least 5 frames."""

    kind: Literal["clips"]
    """Says that these are clips."""
    sources: Annotated[list[ClipSource], Field(min_length=1)]
    """Where they come from."""


Dataset = Annotated[Images | Clips, Field(discriminator="kind")]


# --- models ---


class RRDBNetSize(Section):
    """Generator of ESRGAN (Figure 4)."""

    num_feat: PositiveInt = 64
    """Channels of the trunk."""
    num_block: PositiveInt = 23
    """Residual-in-residual dense blocks."""
    num_grow_ch: PositiveInt = 32
    """Growth of the dense blocks, channels."""


class VGGDiscriminatorSize(Section):
    """Discriminator of ESRGAN (Figure 5)."""

    num_feat: PositiveInt = 64
    """Channels of the first convolution."""
    conv_bias: bool = False
    """Bias in every convolution as in the code of 2018 (14,502,281 parameters), or in the first only (14,499,401)."""


class VSRResNetSize(Section):
    """Generator of VSRResFeatGAN (Figure 6)."""

    num_feat: PositiveInt = 64
    """Channels."""
    num_block: PositiveInt = 15
    """Residual blocks."""
    share_first: bool = True
    """The five frames share the first convolution. The paper draws five; only sharing gives its 34 convolutions."""


class VSRDiscriminatorSize(Section):
    """Discriminator of VSRResFeatGAN (Figure 7)."""

    channels: tuple[PositiveInt, PositiveInt, PositiveInt] = (64, 128, 256)
    """Channels of the three groups conv + batch norm + leaky ReLU; the paper does not give them."""


class Features(Section):
    """VGG19 features of the perceptual loss (eq. 15)."""

    asset: str
    """Weight file: vgg19_oxford_q8.bin, vgg19_oxford.h5 or any vgg19 file of torchvision."""
    layer: Annotated[str, StringConstraints(pattern=r"^(conv|relu)([12]_[12]|[345]_[1-4])$")] = "conv5_4"
    """`convL_K` is before the activation, `reluL_K` after it."""
    scale: PositiveFloat = 1.0
    """Factor on the features. Features of the original Oxford weights are about twenty times torchvision's."""


class Loss(Section):
    """Coefficients of the generator loss (eq. 16-23)."""

    gan: Weight
    """alpha (eq. 16), alpha_1 (eq. 18, 20, 22): adversarial loss."""
    percep: Weight
    """alpha_2 (eq. 20, 22), 1 in eq. 16 and 18: perceptual loss."""
    beta1: Weight
    """beta (eq. 17, 21), beta_1 (eq. 19, 23): plain pixel loss."""
    beta2: dict[str, Weight]
    """beta_2 (eq. 19, 23): spatially adaptive pixel loss, a value for each extractor; `none` is the baseline, W = 0."""


class Optimise(Section):
    """One stage of optimisation with Adam."""

    steps: Count
    """Iterations; 0 keeps the initial weights."""
    batch: PositiveInt
    """Patches per iteration."""
    lr: PositiveFloat = 1e-4
    """Learning rate of the generator and the discriminator."""
    milestones: list[PositiveInt] = []
    """Iterations at which the learning rate is halved."""
    betas: tuple[Weight, Weight] = (0.9, 0.999)
    """Adam's decay rates; the paper is silent, these are of the ESRGAN code of its time."""
    val_every: PositiveInt
    """Iterations between validations; the weights of the smallest validation loss are kept."""
    val_patches: PositiveInt = 16
    """Fixed patches of the validation set."""


class Model(Section):
    """What both models have in common."""

    train_set: str
    """Data set to train on."""
    val_set: str
    """Data set whose fixed patches decide which weights are kept."""
    test_sets: Annotated[list[str], Field(min_length=1)]
    """Data sets to super-resolve and evaluate."""
    patch: Annotated[int, Field(ge=32, multiple_of=4)]
    """Side of the square HR training patch, pixels."""
    init: str | None = None
    """Asset with generator weights to start from; null: the model's own initialisation."""
    features: Features
    """The perceptual loss's features."""
    loss: Loss
    """Coefficients of the generator loss."""
    pretrain: Optimise
    """The PSNR-oriented stage before the GAN: L1 for ESRGAN, mean square error for VSRResFeatGAN."""
    train: Optimise
    """The GAN stage, one for each extractor and seed."""


class Esrgan(Model):
    """Single image super-resolution (III-D1)."""

    generator: RRDBNetSize = RRDBNetSize()
    """RRDBNet's sizes."""
    discriminator: VGGDiscriminatorSize = VGGDiscriminatorSize()
    """The discriminator's sizes."""


class VsrResFeatGan(Model):
    """Video super-resolution from five bicubic frames (III-D2)."""

    generator: VSRResNetSize = VSRResNetSize()
    """VSRResNet's sizes."""
    discriminator: VSRDiscriminatorSize = VSRDiscriminatorSize()
    """The discriminator's sizes."""


class Models(Section):
    """The models to train; leave one out to do without it."""

    esrgan: Esrgan | None = None
    """Images."""
    vsrresfeatgan: VsrResFeatGan | None = None
    """Video."""


# --- what one training job needs: the content of its run.json ---


class PretrainSpec(Section):
    """The PSNR-oriented stage of one model and seed."""

    name: str
    model: str
    seed: int
    precision: str
    patch: int
    generator: dict[str, Any]
    optimise: Optimise


class TrainSpec(PretrainSpec):
    """The GAN stage of one run."""

    extractor: str
    extractor_params: dict[str, Any]
    discriminator: dict[str, Any]
    layer: str
    feature_scale: float
    gan: float
    percep: float
    beta1: float
    beta2: float


# --- evaluation and rendering ---


class Evaluation(Section):
    """What is measured on every frame (V)."""

    spaces: list[Literal["rgb", "y"]] = ["rgb", "y"]
    """PSNR and SSIM on all three channels and on the luma of BT.601."""
    borders: list[Count] = [4, 8]
    """Pixels cut off at each side before PSNR and SSIM."""
    lpips: str = "alexnet.ckpt"
    """Asset with the AlexNet convolutions of LPIPS-alex v0.1."""


class Table(Section):
    """One of the paper's Tables I-IV."""

    model: Literal["esrgan", "vsrresfeatgan"]
    """Whose variants are the rows."""
    dataset: str
    """One of the model's test sets."""
    label: str
    """How the data set is named in the caption."""
    space: Literal["rgb", "y"]
    """Channels of PSNR and SSIM; one of evaluation.spaces."""
    border: Count
    """Pixels cut off at each side; one of evaluation.borders."""
    subset: Literal["all", "interior"] = "all"
    """`interior` leaves out the first and last two frames of each clip, where the five-frame window is incomplete."""
    published: Literal["table1", "table2", "table3", "table4"] | None = None
    """The paper's table to print beside ours."""


class EdgeMaps(Section):
    """Figure 1: an image and its edge maps."""

    dataset: str
    """Data set of the picture."""
    item: str
    """Name of the photo's file without its ending, or of the clip."""
    frame: Count = 0
    """Frame of a clip, from 0."""


class Comparison(EdgeMaps):
    """Figures 8-10: ground truth, bicubic and the variants of one model, with a magnified crop."""

    model: Literal["esrgan", "vsrresfeatgan"]
    """Whose variants are compared."""
    crop: Box | None = None
    """x, y, width, height in HR pixels; null: where there is detail and the variants differ most."""


class Figures(Section):
    """The paper's figures; training curves are drawn for every model besides."""

    edge_maps: dict[Name, EdgeMaps] = {}
    """Figures like the paper's Figure 1, by file name."""
    comparisons: dict[Name, Comparison] = {}
    """Figures like the paper's Figures 8-10, by file name."""


def _with_defaults(extractors: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """All parameters of each extractor, so that equal settings are equal text."""
    checked = {}
    for name, parameters in extractors.items():
        try:
            checked[name] = check_parameters(name, parameters)
        except UserError as e:
            raise PydanticCustomError("extractor", "{e}", {"e": str(e)}) from e
    return checked


@dataclass(frozen=True)
class Run:
    """One training: model x extractor x seed."""

    model: str
    extractor: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.model}-{self.extractor}-s{self.seed}"

    @classmethod
    def parse(cls, name: str) -> Self:
        """The run of a name; the parts themselves hold no hyphen."""
        model, extractor, seed = name.split("-")
        return cls(model, extractor, int(seed.removeprefix("s")))


class Config(Section):
    """A whole experiment, complete in itself."""

    name: Name
    """Results go to results/<name>/."""
    seeds: Annotated[list[Count], Field(min_length=1)] = [1]
    """Each run is trained once per seed."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """Arithmetic of training: auto is bf16-mixed on a GPU that has it and 32-true elsewhere."""
    assets: dict[Name, Asset] = {}
    """Further downloadable files by name, beside the built-in ones (sa_sr/data/assets.yaml)."""
    datasets: dict[Name, Dataset]
    """Photos and clips by name."""
    extractors: Annotated[dict[Name, dict[str, Any]], AfterValidator(_with_defaults)]
    """Edge extractors with their parameters, in the order of the tables: files of sa_sr/edges/."""
    models: Models
    """What is trained and how."""
    evaluation: Evaluation = Evaluation()
    """What is measured."""
    tables: dict[Name, Table] = {}
    """The tables, by file name."""
    figures: Figures = Figures()
    """The figures; training curves are drawn for every model besides."""

    def model(self, name: str) -> "Esrgan | VsrResFeatGan":
        """The section of one model."""
        return getattr(self.models, name)

    @cached_property
    def chosen_models(self) -> "dict[str, Esrgan | VsrResFeatGan]":
        """The models that the configuration has, by name."""
        return {name: self.model(name) for name in Models.model_fields if self.model(name) is not None}

    @cached_property
    def runs(self) -> list[Run]:
        """Every training of this experiment, in the order of the tables."""
        return [Run(m, e, s) for m in self.chosen_models for e in self.extractors for s in self.seeds]

    def pretrain_spec(self, model: str, seed: int) -> PretrainSpec:
        """What may change the initial generator of a model."""
        m = self.model(model)
        return PretrainSpec(optimise=m.pretrain, **self._common(m, model, seed), name=f"{model}-s{seed}")

    def train_spec(self, run: Run) -> TrainSpec:
        """What may change the result of a run."""
        m = self.model(run.model)
        return TrainSpec(
            **self._common(m, run.model, run.seed),
            name=run.name,
            optimise=m.train,
            extractor=run.extractor,
            extractor_params=self.extractors[run.extractor],
            discriminator=m.discriminator.model_dump(mode="json"),
            layer=m.features.layer,
            feature_scale=m.features.scale,
            **m.loss.model_dump(exclude={"beta2"}),
            beta2=m.loss.beta2[run.extractor],
        )

    def table_spec(self, name: str) -> dict[str, Any]:
        """What a table shows: its section, the rows in the order of `extractors`, and the kind of its data set."""
        table = self.tables[name].model_dump(mode="json")
        kind = self.datasets[table["dataset"]].kind
        return {
            "name": name,
            "dataset_label": table.pop("label"),
            "extractors": list(self.extractors),
            "kind": kind,
            **table,
        }

    def _common(self, m: "Esrgan | VsrResFeatGan", model: str, seed: int) -> dict[str, Any]:
        generator = m.generator.model_dump(mode="json")
        return {"model": model, "seed": seed, "precision": self.precision, "patch": m.patch, "generator": generator}

    def asset(self, name: str) -> Asset:
        """One asset by name; the configuration's own come before the built-in ones."""
        return self.assets.get(name) or known()[name]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := list(problems(self)):
            raise PydanticCustomError("inconsistent", "{problems}", {"problems": "\n  ".join(found)})
        return self


def load(values: dict[str, Any], where: str = "configuration") -> Config:
    """Validate parsed YAML.

    values: the mapping; where: the file's name for the message. Raises UserError with one line for each mistake, led by
    the path of its key.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as e:
        lines = []
        for error in e.errors(include_url=False, include_context=False):
            path = ".".join(str(part) for part in error["loc"] if part not in ("images", "clips"))
            lines.append(f"{path}: {error['msg']}" if path else error["msg"])
        raise UserError(f"{where} is not valid:\n  " + "\n  ".join(lines)) from e
