"""Stage `calibrate`: what share of the generator loss the spatially adaptive part has before the first step.

The paper chose beta2 by hand, so that this part "took up around 15 %" of the loss (IV-C). All other terms do not depend
on beta2, and this one is proportional to it; so one measurement gives the beta2 of any share.
"""

import json
import logging
from pathlib import Path
from statistics import fmean

import torch
from torch.utils.data import DataLoader

from sa_sr.config import CalibrateSpec
from sa_sr.data.patches import Part, Patches
from sa_sr.errors import UserError
from sa_sr.files import write_text
from sa_sr.plugins import find
from sa_sr.progress import progress
from sa_sr.training.step import finite
from sa_sr.training.trainer import Machine, edge_maps, gan_stage, launch, to_device

log = logging.getLogger("sa_sr")
LOW, HIGH = 0.08, 0.22
"""Shares outside of these are no "around 15 %"."""
DIGITS = 3
"""Significant digits of a beta2 that is calculated: the share itself is known to no more."""


def calibrate(
    spec: CalibrateSpec, data: Path, weights: Path | None, init: Path, features: Path, out: Path, threads: int
) -> None:
    """Measure the terms of the generator loss over the first `spec.batches` batches of a run, and write JSON.

    data, weights, init, features: as in `Files`. The networks are those of step 1: the pretrained generator and a
    discriminator that has learnt nothing. out: beta2 (that of the configuration, or with `auto` the one that gives
    `spec.share`), how it came about, the share that the spatially adaptive part has with it, and the mean terms.
    Raises UserError where the edge maps are empty, for then no beta2 gives a share.
    """
    fabric, recipe = launch(spec, Machine(threads=threads)), find("models", spec.model)
    unit = spec.model_copy(update={"beta2": 1.0})
    stage = gan_stage(fabric, unit, recipe, init, features)
    patches = Patches(
        data,
        edge_maps(spec, weights),
        spec.patch,
        recipe.window,
        spec.seed,
        spec.batches * spec.optimise.batch,
        part=Part(spec.val_share),
        min_variance=spec.min_variance,
    )
    loader = DataLoader(patches, spec.optimise.batch)
    measured = []
    with torch.no_grad():
        for found in progress(loader, f"calibrate {spec.name}", spec.batches, unit="batches"):
            batch = to_device(fabric, found)
            _, terms = stage.loss(stage.generator(batch[0]), batch)
            measured.append(finite(fabric, terms))
    mean = {name: fmean(terms[name] for terms in measured) for name in measured[0]}
    result = {"name": spec.name, "extractor": spec.extractor, **solve(spec, mean), "batches": spec.batches}
    write_text(out, json.dumps(result, indent=2) + "\n")
    log.info("%s: beta2 %g gives the SA part %.1f %% of the loss", spec.name, result["beta2"], 100 * result["share"])
    if not LOW <= result["share"] <= HIGH:
        log.warning(
            "%s: the paper aims at around 15 %%; `beta2: auto` finds the value for that, and `features.scale` sets the "
            "size of the perceptual loss beside it",
            spec.name,
        )


def solve(spec: CalibrateSpec, mean: dict[str, float]) -> dict:
    """beta2 and its share from the mean terms for beta2 = 1.

    With E the spatially adaptive part and R all the rest, the share s is beta2 E / (beta2 E + R), so beta2 is
    s R / ((1 - s) E).
    """
    edges, rest = mean["l_g_sa"], mean["l_g_percep"] + mean["l_g_gan"] + mean["l_g_pix"]
    beta2 = spec.beta2
    if beta2 == "auto":
        assert spec.share is not None
        if rest <= 0:
            raise UserError(
                f"{spec.name}: the loss without its spatially adaptive part is {rest:g}, so no beta2 gives a "
                "share; give beta2 as a number"
            )
        if edges <= 0:
            raise UserError(
                f"{spec.name}: the edge maps of {spec.extractor!r} are empty on the first {spec.batches} batches, so "
                "no beta2 gives a share; choose other parameters, more calibration_batches, or a number for beta2"
            )
        beta2 = float(f"{spec.share * rest / ((1 - spec.share) * edges):.{DIGITS}g}")
    whole = beta2 * edges + rest
    share = beta2 * edges / whole if whole else 0.0
    terms = {name: mean[name] for name in ("l_g_percep", "l_g_gan", "l_g_pix")} | {"l_g_sa": beta2 * edges}
    return {"beta2": beta2, "chosen": "auto" if spec.beta2 == "auto" else "fixed", "share": share, "terms": terms}
