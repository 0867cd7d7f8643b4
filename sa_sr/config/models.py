"""Section `models`: the two networks, their losses and their training.

A paragraph "Open:" says what the paper leaves open about a key, which alternatives there are, and what speaks for the
default; `sa-sr config-docs` collects them.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from sa_sr.config.section import LARGEST, Count, PositiveFloat, PositiveInt, Section, Weight

Player = Literal["generator", "discriminator"]
Decay = Annotated[float, Field(ge=0, lt=1)]


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
    conv_bias: bool = True
    """Bias in every convolution as in the code of 2018 (14,502,281 parameters), or in the first only (14,499,401).

    Open: the paper draws no biases. Evidence: the training is that of the code of 2018; batch norm cancels most."""


class VSRResNetSize(Section):
    """Generator of VSRResFeatGAN (Figure 6)."""

    num_feat: Annotated[int, Field(ge=3, le=LARGEST)] = 64
    """Channels; three of them carry the frame's colours at first."""
    num_block: PositiveInt = 15
    """Residual blocks."""
    share_first: bool = True
    """The five frames share the first convolution.

    Open: Figure 6 draws five convolutions. Evidence: only sharing gives the 34 that its authors count."""


class VSRDiscriminatorSize(Section):
    """Discriminator of VSRResFeatGAN (Figure 7)."""

    channels: tuple[PositiveInt, PositiveInt, PositiveInt] = (64, 128, 256)
    """Channels of the three groups conv + batch norm + leaky ReLU.

    Open: Figure 7 gives neither channels nor strides. Alternatives: any three numbers. Evidence: none."""


class Features(Section):
    """VGG19 features of the perceptual loss (eq. 15)."""

    asset: str
    """Weight file: vgg19-dcbb9e9d.pth (torchvision's), vgg19_oxford.h5 or vgg19_oxford_q8.bin (the original ones)."""
    layer: Annotated[str, StringConstraints(pattern=r"^(conv|relu)([12]_[12]|[345]_[1-4])$")] = "conv5_4"
    """`convL_K` is before the activation, `reluL_K` after it.

    Open: the layer of the video model. Alternatives: any layer, as `relu5_4`. Evidence: ESRGAN's code takes conv5_4
    before its activation."""
    scale: PositiveFloat = 1.0
    """Factor on the features. Features of the original Oxford weights are about twenty times torchvision's.

    Open: the size of the video model's features. Alternatives: any; config/paper.yaml has SRGAN's 1/12.75 = 0.0784.
    Evidence: with 1 the video model's beta2 would give a share of 1 %, with 0.0784 about the 15 % that the paper aims
    at; for ESRGAN 1 does."""


class LossTerms(Section):
    """What the variants of a model share."""

    gan: Weight
    """alpha (eq. 16, 18), alpha_1 (eq. 20, 22): adversarial loss."""
    percep: Weight
    """alpha_2 (eq. 20, 22), 1 in eq. 16 and 18: perceptual loss."""
    beta1: Weight
    """beta (eq. 17, 21), beta_1 (eq. 19, 23): plain pixel loss.

    Open: whether 0.01 is meant, beside a beta2 of 20. Alternatives: any. Evidence: with means over pixels it takes 20
    to reach the share of 15 %."""
    pixel: Literal["l1", "charbonnier"]
    """Distance of the pixel loss: eq. 4 or eq. 5."""
    feature: Literal["l1", "charbonnier"]
    """Distance of the perceptual loss (eq. 15).

    Open: eq. 15 has Charbonnier "without loss of generality". Evidence: ESRGAN's code has L1."""
    gan_type: Literal["ragan", "vanilla", "saturating"]
    """Adversarial loss: relativistic average, eq. 14 with the non-saturating generator, or eq. 14 to the letter.

    Open: eq. 14 is the standard loss, and ESRGAN "remains the same". Evidence: ESRGAN's code is
    relativistic; the saturating form's gradient fades where the discriminator is sure."""
    epsilon: PositiveFloat = 1e-3
    """Of Charbonnier's distance (eq. 5).

    Open: its value is given as an example. Alternatives: any. Evidence: "for example" 0.001 (below eq. 5); it is the
    number that is squared under the root."""
    reduction: Literal["mean", "sum"] = "mean"
    """Distances as means over pixels and channels, or as sums (and means over the batch).

    Open: eq. 4-7 are sums. Evidence: with sums the adversarial term would be 1e-6 of the loss; with means beta2 = 20
    gives 14 %; ESRGAN's code has means."""
    edge_scope: Literal["image", "crop"] = "image"
    """W of the whole HR picture, cut with the patch, or W of the patch alone.

    Open: the paper is silent. Evidence: none; they differ near the borders of a patch only."""
    order: tuple[Player, Player] = ("generator", "discriminator")
    """Who is updated first in each iteration.

    Open: "alternately". Alternatives: [discriminator, generator]. Evidence: ESRGAN's code."""

    @model_validator(mode="after")
    def _both_play(self) -> Self:
        if self.order[0] == self.order[1]:
            raise ValueError("order: the generator and the discriminator each have one turn")
        return self


class Loss(LossTerms):
    """Coefficients and readings of the generator loss (eq. 16-23)."""

    beta2: dict[str, Weight | Literal["auto"]]
    """beta_2 (eq. 19, 23): weight of the edges, a value for each extractor; `none` is the baseline, W = 0. `auto`: the
    value that gives the spatially adaptive part its `share` of the loss with the initial generator."""
    share: Annotated[float, Field(gt=0, lt=1)] = 0.15
    """Share of the spatially adaptive part in the generator loss that `auto` aims at.

    Open: when "around 15 %" holds. Alternatives: any share. Evidence: IV-C; it is measured at the start and logged at
    every step."""
    calibration_batches: PositiveInt = 16
    """First batches of the training over which the share is measured."""


class EsrganLoss(Loss):
    """Loss of ESRGAN and SA-ESRGAN (eq. 16-19)."""

    pixel: Literal["l1", "charbonnier"] = "l1"
    feature: Literal["l1", "charbonnier"] = "l1"
    gan_type: Literal["ragan", "vanilla", "saturating"] = "ragan"


class VsrResFeatGanLoss(Loss):
    """Loss of VSRResFeatGAN and SA-VSRResFeatGAN (eq. 20-23)."""

    pixel: Literal["l1", "charbonnier"] = "charbonnier"
    feature: Literal["l1", "charbonnier"] = "charbonnier"
    gan_type: Literal["ragan", "vanilla", "saturating"] = "vanilla"


class Optimise(Section):
    """One stage of optimisation with Adam."""

    steps: Count
    """Iterations; 0 keeps the initial weights.

    Open: how long the video model is pretrained, and how many patches its 40 epochs have. Alternatives: any. Evidence:
    weak; 100 epochs of 800,000 patches with the rate divided by 10 after 50 and 75, and a GAN of 500,000 iterations."""
    batch: PositiveInt
    """Patches per iteration."""
    lr: PositiveFloat = 1e-4
    """Learning rate of the generator and the discriminator."""
    milestones: list[PositiveInt] = []
    """Iterations at which the learning rate changes.

    Open: whether ESRGAN's rate is halved once more later. Alternatives: [50000, 100000, 200000, 300000, 400000].
    Evidence: the paper lists four, as the code of 2018 did."""
    gamma: PositiveFloat = 0.5
    """Factor on the learning rate at each milestone."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Adam's decay rates.

    Open: the paper is silent. Alternatives: [0.9, 0.99]. Evidence: ESRGAN's code of its time; 0.99 came later."""
    weight_decay: Weight = 0.0
    """Adam's L2 penalty.

    Open: the paper is silent. Alternatives: any; config/paper.yaml has 0.001 for the video model's GAN. Evidence: weak,
    a recollection of its authors' earlier work; ESRGAN's code has none."""
    ema: Decay = 0.0
    """Decay of a moving average of the generator's weights, which is then what is validated and kept; 0: none.

    Open: the paper is silent. Alternatives: 0.999. Evidence: ESRGAN's code of 2018 has none; later code has 0.999."""
    val_every: PositiveInt
    """Iterations between validations."""
    val_patches: PositiveInt = 16
    """Fixed patches of the validation set."""
    select: Literal["val_loss", "val_psnr", "last"] = "val_loss"
    """Which weights are kept: of the smallest validation loss, of the largest validation PSNR, or the last.

    Open: on what the "minimum validation loss" is measured. Evidence: the discriminator takes one size only, so it
    is measured on fixed patches, networks in evaluation mode."""


class Model(Section):
    """What both models have in common."""

    train_set: str
    """Data set to train on."""
    val_set: str
    """Data set whose fixed patches decide which weights are kept."""
    val_split: Literal["scene", "patch"] = "scene"
    """`scene`: train_set and val_set share no picture. `patch`: they are one data set, and `val_share` of the places
    that a patch can have are for validation.

    Open: "the training (80%) and validation (20%) datasets" of 53 scenes. Evidence: none; by scene nothing leaks."""
    val_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the places of patches that `val_split: patch` keeps for validation."""
    test_sets: Annotated[list[str], Field(min_length=1)]
    """Data sets to super-resolve and evaluate."""
    min_variance: Annotated[float, Field(ge=0, lt=0.25)] = 0.0
    """Training patches whose HR pixels, in [0, 1], vary less than this are drawn again; 0 takes all. No patch varies
    more than 0.25, half of it black and half white.

    Open: the paper is silent. Alternatives: any; config/paper.yaml has 0.0035 for the video model. Evidence: weak, the
    practice of its authors' earlier work."""
    patch: Annotated[int, Field(ge=32, le=LARGEST, multiple_of=4)]
    """Side of the square HR training patch, pixels.

    Open: for the video model. Alternatives: multiples of 4. Evidence: 36 is what other work of its time took."""
    init: str | None = None
    """Asset with generator weights to start from; null: the model's own initialisation.

    Open: whether the retrained ESRGAN baseline starts like the others. Alternatives: any weights of the generator, as
    RRDB_PSNR_x4.pth in config/paper.yaml. Evidence: IV-B names the
    PSNR-oriented weights of ESRGAN's authors; those of VSRResNet are not public, so it is pretrained here."""
    features: Features
    """The perceptual loss's features."""
    pretrain: Optimise
    """The PSNR-oriented stage before the GAN: L1 for ESRGAN, mean square error for VSRResFeatGAN."""
    train: Optimise
    """The GAN stage, one for each extractor and seed."""


class Esrgan(Model):
    """Single image super-resolution (III-D1)."""

    loss: EsrganLoss
    """The generator loss."""
    generator: RRDBNetSize = RRDBNetSize()
    """RRDBNet's sizes."""
    discriminator: VGGDiscriminatorSize = VGGDiscriminatorSize()
    """The discriminator's sizes."""


class VsrResFeatGan(Model):
    """Video super-resolution from five bicubic frames (III-D2)."""

    loss: VsrResFeatGanLoss
    """The generator loss."""
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
