"""What the trainings take, at a rate that is measured."""

import time
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from sa_sr.check.networks import shapes
from sa_sr.check.part import Part
from sa_sr.config import Config, PretrainSpec, TrainSpec
from sa_sr.errors import UserError
from sa_sr.models.recipe import Recipe
from sa_sr.models.vgg import CONVS, WIDTHS, VGG19Features
from sa_sr.plugins import find
from sa_sr.training.devices import frozen
from sa_sr.training.step import Batch, GanStage, PixelStage
from sa_sr.training.trainer import Machine, initial_generator, launch


@dataclass(frozen=True)
class Effort:
    """How many steps are timed, after how many that are not."""

    warm_up: int
    steps: int


ON_GPU, ON_CPU = Effort(3, 10), Effort(1, 1)


@dataclass(frozen=True)
class Rate:
    """A stage of a model: steps of each of its trainings, how many trainings there are, and seconds of a step."""

    model: str
    stage: str
    steps: int
    trainings: int
    seconds: float

    @property
    def hours(self) -> float:
        return self.steps * self.trainings * self.seconds / 3600


def rates(config: Config, model: str, effort: Effort) -> list[Rate]:
    """Time the stages of one model that have steps, at full batch on random patches and with random feature weights.

    All is done on one thread, as the workflow does it where there is no GPU. Raises RuntimeError where a batch does not
    fit into memory.
    """
    recipe, runs = find("models", model), [run for run in config.runs if run.model == model]
    run = runs[0]
    train = config.train_spec(run).model_copy(update={"beta2": 1.0})  # `auto` has no value yet
    stages = (
        ("pretrain", config.pretrain_spec(model, run.seed), len(config.seeds)),
        ("train", train, len(runs)),
    )
    timed = []
    for name, spec, trainings in stages:
        if spec.optimise.steps:
            fabric = launch(spec, Machine(threads=1))
            stage, batch = new_stage(fabric, recipe, spec), random_batch(fabric, recipe.window, spec)
            seconds = seconds_per_step(stage, batch, effort)
            timed.append(Rate(model, name, spec.optimise.steps, trainings, seconds))
    return timed


def new_stage(fabric: Fabric, recipe: Recipe, spec: PretrainSpec) -> PixelStage | GanStage:
    """A stage before its first step; the GAN's features have random weights, which take as long as the real ones."""
    generator = initial_generator(recipe, spec, None)
    if not isinstance(spec, TrainSpec):
        return PixelStage(fabric, generator, spec.optimise, recipe.pretrain)
    discriminator = recipe.discriminator(**spec.discriminator, patch=spec.patch)
    features = frozen(fabric, VGG19Features(random_vgg19(), spec.layer, spec.feature_scale))
    return GanStage(fabric, spec, generator, discriminator, features)


def random_vgg19() -> dict[str, Tensor]:
    """VGG19's convolutions with random weights that keep the size of what passes through them."""
    state, width = {}, 3
    for conv, index in CONVS.items():
        wider = WIDTHS[int(conv[4]) - 1]
        state[f"{index}.weight"] = nn.init.kaiming_normal_(torch.empty(wider, width, 3, 3))
        state[f"{index}.bias"] = torch.zeros(wider)
        width = wider
    return state


def random_batch(fabric: Fabric, window: int, spec: PretrainSpec) -> Batch:
    """Patches and edge maps of three channels, in [0, 1]."""
    lq, hr = shapes(window, spec.optimise.batch, spec.patch)
    return tuple(torch.rand(shape, device=fabric.device) for shape in (lq, hr, hr))  # type: ignore[return-value]


def seconds_per_step(stage: PixelStage | GanStage, batch: Batch, effort: Effort) -> float:
    """Mean time of a step, on one batch again and again."""
    for _ in range(effort.warm_up):
        stage.step(batch)
    start = _now()
    for _ in range(effort.steps):
        stage.step(batch)
    return (_now() - start) / effort.steps


def _now() -> float:
    """Seconds, when all that a GPU was told to do is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def part(config: Config, where: str, measure: bool) -> Part:
    """What all trainings take, at the rate that is measured here."""
    device = "GPU" if torch.cuda.is_available() else "CPU"
    if device == "CPU" and not measure:
        hint = (
            f"Not measured, for there is no GPU here. Run `sa-sr check {where}` on the machine that will train, or add "
            "--measure for the hours of this CPU."
        )
        return Part("GPU hours", "", [], [hint], [])
    rows, total, problems = [("", "stage", "steps", "trainings", "s/step", "hours")], 0.0, []
    for model in config.chosen_models:
        try:
            timed = rates(config, model, ON_GPU if device == "GPU" else ON_CPU)
        except (UserError, ValueError, TypeError, RuntimeError) as e:  # as in `build`, and memory that runs out
            problems.append(f"{model} can't be trained here: {str(e).partition(chr(10))[0]}")
            continue
        for r in timed:
            rows.append((r.model, r.stage, f"{r.steps:,}", str(r.trainings), f"{r.seconds:.3g}", _about(r.hours)))
        whole = sum(r.hours for r in timed)
        rows.append((model, "all", "", "", "", _about(whole)))
        total += whole
    rows.append(("total", "", "", "", "", _about(total)))
    note = "Steps of the networks alone: reading patches, validating and super-resolving come on top."
    return Part(f"{device} hours", "<<>>>>", rows, [note, *problems], problems)


def _about(hours: float) -> str:
    return f"about {hours:,.1f}" if hours >= 1 else f"about {hours:.1g}"
