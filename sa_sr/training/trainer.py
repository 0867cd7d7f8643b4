"""The stages `pretrain` and `train`, and the loop that both share."""

import itertools
import json
import logging
import math
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.utils.data import DataLoader

from sa_sr.config import Optimise, PretrainSpec, TrainSpec
from sa_sr.data.patches import EdgeMaps, Part, Patches
from sa_sr.edges import extract
from sa_sr.errors import UserError
from sa_sr.models import checkpoints
from sa_sr.models.recipe import Recipe
from sa_sr.models.vgg import VGG19Features, load_vgg19
from sa_sr.plugins import find
from sa_sr.progress import progress
from sa_sr.provenance import digest, modules
from sa_sr.rank import own_cpus
from sa_sr.training.devices import agreed, frozen, leave, others_may_fail, start, texts_of_all
from sa_sr.training.log import History
from sa_sr.training.state import SAVE_SECONDS, StateFolder
from sa_sr.training.step import Batch, GanStage, NotFinite, PixelStage
from sa_sr.training.stop import Stop, ignore
from sa_sr.training.warn import warn

log = logging.getLogger("sa_sr")


@dataclass(frozen=True)
class Files:
    """What a training reads and writes.

    data, weights: data file and edge maps to train on; val_data, val_weights: those to validate on; the maps are None
    where they are made from the patches (`edge_scope: crop`); init: initial weights of the generator or None; features:
    VGG19 weights, None in pretraining; state: folder of the training state; model, history, validations: the results.
    """

    data: Path
    weights: Path | None
    val_data: Path
    val_weights: Path | None
    init: Path | None
    features: Path | None
    state: Path
    model: Path
    history: Path
    validations: Path


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How a training runs; none of it changes the result.

    devices: GPUs that share a training, or processes that share the CPU where there is no GPU; 0: the CPU; threads:
    of all devices together, that compute on a CPU, or load patches for a GPU; where `srun` has started the processes,
    each has the CPUs that it was given instead; workers: processes of each device that load patches, by default none on
    a CPU and its threads on a GPU; save_seconds: between two saves.
    """

    devices: int = 1
    threads: int = 2
    workers: int | None = None
    save_seconds: float = SAVE_SECONDS


def pretrain(spec: PretrainSpec, files: Files, machine: Machine) -> None:
    """Train a generator by its pixel distance alone, from `files.init` or from its own initial weights."""
    fabric, recipe = launch(spec, machine), find("models", spec.model)
    generator = initial_generator(recipe, spec, files.init)
    fit(fabric, spec, recipe, PixelStage(fabric, generator, spec.optimise, recipe.pretrain), files, machine)


def train(spec: TrainSpec, files: Files, machine: Machine) -> None:
    """Train one run as a GAN, from the pretrained generator."""
    assert files.features is not None
    fabric, recipe = launch(spec, machine), find("models", spec.model)
    fit(fabric, spec, recipe, gan_stage(fabric, spec, recipe, files.init, files.features), files, machine)


def gan_stage(fabric: Fabric, spec: TrainSpec, recipe: Recipe, init: Path | None, features: Path) -> GanStage:
    """The two networks of a run before their first step, and the features of its perceptual loss."""
    generator = initial_generator(recipe, spec, init)
    discriminator = recipe.discriminator(**spec.discriminator, patch=spec.patch)
    vgg = VGG19Features(load_vgg19(features), spec.layer, spec.feature_scale)
    return GanStage(fabric, spec, generator, discriminator, frozen(fabric, vgg))


def fit(
    fabric: Fabric, spec: PretrainSpec, recipe: Recipe, stage: PixelStage | GanStage, files: Files, machine: Machine
) -> None:
    """Train to the last step, keep the weights that the validation chooses, and write the results.

    Where several processes train, each does the same with its share of a batch; the first one alone saves and writes.
    """
    plan, history = spec.optimise, History(spec.optimise.steps)
    done, best = 0, {"score": -math.inf, "step": 0, "weights": weights_of(stage)}
    with ExitStack() as ending:
        ending.enter_context(others_may_fail())
        folder = None
        if fabric.is_global_zero:
            state = StateFolder(files.state, fingerprint(spec, files), machine.save_seconds)
            folder = ending.enter_context(state)
        if saved := fabric.broadcast(folder and folder.load()):
            done, best = saved["step"], saved["best"]
            history.load_state_dict(saved["history"])
            for name, part in stage.parts.items():
                part.load_state_dict(saved["parts"][name])
            log.info("%s: resuming after step %d of %d", spec.name, done, plan.steps)

        validation = validation_batches(fabric, spec, recipe, files)
        stop = ending.enter_context(Stop())
        loaded = ending.enter_context(closing(training_batches(fabric, spec, recipe, files, done, machine, folder)))
        now = time.monotonic()
        for step, found in progress(enumerate(loaded, done + 1), f"train {spec.name}", plan.steps, done, "steps"):
            rate = set_learning_rate(stage, plan, step)
            try:
                terms = stage.step(to_device(fabric, found))
            except NotFinite as e:
                ids = texts_of_all(fabric, found["id"])
                raise leave(fabric, UserError(_not_finite(spec, step, ids, e))) from e
            now, before = time.monotonic(), now
            history.add(step, terms | {"lr": rate, "samples_per_s": plan.batch / (now - before)})
            warn(spec.name, history, step)
            if step % plan.val_every == 0 or step == plan.steps:
                loss, psnr = validate(stage, validation)
                if not math.isfinite(loss):  # the last update broke the network: no later step may find that out
                    lost = f"{spec.name}, step {step}: the loss of the validation became {loss}"
                    raise leave(fabric, UserError(f"{lost}; lower the learning rate. The last saved state is kept"))
                history.validations.append({"step": step, "val_loss": loss, "val_psnr": psnr})
                score = {"val_loss": -loss, "val_psnr": psnr, "last": step}[plan.select]
                if score > best["score"]:
                    best = {"score": score, "step": step, "weights": weights_of(stage)}
                now = time.monotonic()
            stopped = agreed(fabric, stop.signal)
            if folder and (folder.due() or stopped or step == plan.steps):
                parts = {name: part.state_dict() for name, part in stage.parts.items()}
                folder.save({"step": step, "parts": parts, "history": history.state_dict(), "best": best})
            if stopped and step < plan.steps:
                log.error("%s: stopped by signal %d; step %d is saved", spec.name, stopped, step)
                raise leave(fabric, SystemExit(128 + stopped))

        if folder:
            folder.finish()

    if fabric.is_global_zero:
        history.write(files.history, files.validations, best["step"])
        save_generator(files.model, stage, spec, best)


def _not_finite(spec: PretrainSpec, step: int, ids: list[str], error: NotFinite) -> str:
    return (
        f"{spec.name}, step {step}: {error}; this step is not kept, the last saved state is. Lower the learning rate, "
        f"or look at the data of this batch: {'; '.join(ids)}"
    )


def save_generator(path: Path, stage: PixelStage | GanStage, spec: PretrainSpec, best: dict[str, Any]) -> None:
    """Write the chosen weights, with all that is needed to rebuild the network and to know where they are from."""
    metadata = {
        "architecture": type(stage.generator.module).__name__,
        "run": spec.canonical(),
        "step": str(best["step"]),
    }
    checkpoints.save(path, best["weights"], metadata)


def launch(spec: PretrainSpec, machine: Machine) -> Fabric:
    """Devices, precision and seed. On a CPU the threads compute; on a GPU they load patches.

    Raises UserError where the devices are not there, or can't share a batch equally.
    """
    if machine.devices and spec.optimise.batch % machine.devices:
        raise UserError(
            f"{spec.name}: a batch of {spec.optimise.batch} patches can't be shared equally by {machine.devices} "
            "devices; take a number that divides it"
        )
    precision = spec.precision
    if precision == "auto":
        precision = "bf16-mixed" if machine.devices and bf16() else "32-true"
    fabric = start(machine.devices, precision)
    torch.set_num_threads(own_cpus() or max(1, machine.threads // fabric.world_size))
    torch.manual_seed(spec.seed)
    others = f", one of {fabric.world_size}" if fabric.world_size > 1 else ""
    log.info("%s: %s on %s%s", spec.name, precision, fabric.device, others)
    return fabric


def bf16() -> bool:
    """Whether there is a GPU that computes in bfloat16."""
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def initial_generator(recipe: Recipe, spec: PretrainSpec, init: Path | None) -> torch.nn.Module:
    """The generator with its own initial weights, or those of a file, whose surplus residual blocks are left out."""
    generator = recipe.generator(**spec.generator)
    if init is not None:
        state = checkpoints.rename_rrdb(checkpoints.load_state(init)[0])
        checkpoints.fill(generator, checkpoints.cut(state, spec.generator["num_block"], init), init)
    return generator


def fingerprint(spec: PretrainSpec, files: Files) -> str:
    """A text that is equal for two trainings only if they must end in the same weights."""
    read = [files.data, files.weights, files.val_data, files.val_weights, files.init, files.features]
    parts = {
        "spec": spec.canonical(),
        "code": modules("sa_sr.training.trainer", *spec.modules),
        "files": [digest(path) if path else None for path in read],
    }
    return json.dumps(parts, sort_keys=True)


def edge_maps(spec: PretrainSpec, stored: Path | None) -> EdgeMaps:
    """Where the weights of a patch come from."""
    if isinstance(spec, TrainSpec) and spec.terms.edge_scope == "crop":
        return partial(extract, extractor=spec.extractor, **spec.extractor_params)
    if stored is None:
        raise UserError(f"{spec.name}: give its edge maps, --weights and --val-weights; `edge_scope: crop` has none")
    return stored


def training_batches(
    fabric: Fabric,
    spec: PretrainSpec,
    recipe: Recipe,
    files: Files,
    done: int,
    machine: Machine,
    folder: StateFolder | None,
) -> Generator[dict[str, Any], None, None]:
    """Of batches done+1, done+2, ... of the reproducible sequence of patches this process's share, with their ids."""
    batch, steps = spec.optimise.batch, spec.optimise.steps
    part = Part(spec.val_share, validation=False)
    weights = edge_maps(spec, files.weights)
    patches = Patches(
        files.data,
        weights,
        spec.patch,
        recipe.window,
        spec.seed,
        steps * batch,
        part=part,
        min_variance=spec.min_variance,
    )
    workers = machine.workers
    if workers is None:
        workers = torch.get_num_threads() if fabric.device.type == "cuda" else 0

    def in_worker(_: int) -> None:
        ignore()
        if folder:
            folder.let_go()

    size = batch // fabric.world_size
    first = fabric.global_rank * size
    loader = DataLoader(
        patches,
        batch_sampler=(range(k + first, k + first + size) for k in range(done * batch, steps * batch, batch)),  # type: ignore[arg-type]
        num_workers=workers,
        pin_memory=fabric.device.type == "cuda",
        worker_init_fn=in_worker,
        multiprocessing_context="fork" if workers else None,
    )
    return _loaded(loader)


def _loaded(loader: DataLoader) -> Generator[dict[str, Any], None, None]:
    """The batches of a loader.

    A UserError of a loader process says again what it said there: torch wraps a traceback around it. And however the
    training ends, the processes end with it: as they ignore signals, whoever waits for them later waits for ever.
    """
    batches = iter(loader)
    try:
        yield from batches
    except UserError as e:
        raise UserError(str(e).rpartition(f"{UserError.__module__}.{UserError.__name__}: ")[2].rstrip()) from e
    finally:
        if loader.num_workers:
            batches._shutdown_workers()  # pyright: ignore[reportAttributeAccessIssue]


def validation_batches(fabric: Fabric, spec: PretrainSpec, recipe: Recipe, files: Files) -> list[Batch]:
    """The same patches at every validation, of every variant and seed."""
    plan, part = spec.optimise, Part(spec.val_share, validation=True)
    weights = edge_maps(spec, files.val_weights)
    patches = Patches(files.val_data, weights, spec.patch, recipe.window, 0, plan.val_patches, augment=False, part=part)
    return [to_device(fabric, found) for found in DataLoader(patches, plan.batch)]


def to_device(fabric: Fabric, batch: dict[str, Any]) -> Batch:
    """uint8 to floats in [0, 1] on the device."""
    lq, hr, weight = (batch[key].to(fabric.device, non_blocking=True).float() / 255 for key in ("lq", "hr", "weight"))
    return lq, hr, weight


@torch.no_grad()
def validate(stage: PixelStage | GanStage, batches: list[Batch]) -> tuple[float, float]:
    """Generator loss (eq. 16, 18, 20, 22) in evaluation mode, and RGB PSNR in dB; means over the patches."""
    networks = [part for part in stage.parts.values() if isinstance(part, torch.nn.Module)]
    for network in networks:
        network.eval()
    loss = error = count = 0.0
    for batch in batches:
        with stage.fabric.autocast():  # a moving average is no module of Fabric's
            sr = stage.kept(batch[0])
        value, _ = stage.loss(sr.float(), batch)
        n = len(sr)
        loss, error, count = (
            loss + value.item() * n,
            error + (sr.clamp(0, 1) - batch[1]).square().mean().item() * n,
            count + n,
        )
    for network in networks:
        network.train()
    return loss / count, -10 * math.log10(error / count) if error else math.inf


def set_learning_rate(stage: PixelStage | GanStage, plan: Optimise, step: int) -> float:
    """Multiply the rate by gamma at each milestone that lies behind."""
    rate = plan.lr * plan.gamma ** sum(step > milestone for milestone in plan.milestones)
    for group in itertools.chain.from_iterable(o.param_groups for o in stage.optimisers):
        group["lr"] = rate
    return rate


def weights_of(stage: PixelStage | GanStage) -> dict[str, torch.Tensor]:
    """A copy of the weights that would be kept, on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in stage.kept.state_dict().items()}
