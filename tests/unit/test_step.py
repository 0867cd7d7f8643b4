"""Step 1 of each reading of the paper, against the terms worked out by hand from the same networks and patches."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import softplus

from sa_sr.config import load
from sa_sr.training import trainer
from sa_sr.training.step import GanStage, out_of_range
from tests.unit.test_config import DEMO, changed
from tests.unit.test_training import ONE, SPEC, rows, with_plan, with_terms

torch.manual_seed(0)
BATCH = (torch.rand(3, 3, 8, 8), torch.rand(3, 3, 32, 32), torch.rand(3, 1, 32, 32))


def features(x: torch.Tensor) -> torch.Tensor:
    return 3 * x[:, :, ::2, ::2]


def stage(spec, seed=1) -> GanStage:
    recipe, fabric = trainer.find("models", "esrgan"), trainer.launch(spec, ONE)
    torch.manual_seed(seed)
    generator, discriminator = recipe.generator(**spec.generator), recipe.discriminator(num_feat=4, patch=32)
    return GanStage(fabric, spec, generator, discriminator, features)


def l1(u, v, epsilon):
    return (u - v).abs()


def charbonnier(u, v, epsilon):
    return ((u - v) ** 2 + epsilon**2).sqrt()


DISTANCES = {"l1": l1, "charbonnier": charbonnier}


@pytest.mark.parametrize("gan_type", ["ragan", "vanilla", "saturating"])
@pytest.mark.parametrize(("pixel", "feature", "epsilon"), [("l1", "charbonnier", 0.2), ("charbonnier", "l1", 0.05)])
def test_every_reading_of_the_loss_is_what_it_says(gan_type, pixel, feature, epsilon):
    terms = {"gan_type": gan_type, "pixel": pixel, "feature": feature, "epsilon": epsilon}
    spec = with_terms(**terms).model_copy(update={"beta2": 7.0})
    s = stage(spec)
    lq, hr, weight = BATCH
    with torch.no_grad():
        sr = s.generator(lq)
        _, found = s.loss(sr, BATCH)
        real, fake = s.discriminator(hr), s.discriminator(sr)
    pixels, maps = DISTANCES[pixel](sr, hr, epsilon), DISTANCES[feature](features(sr), features(hr), epsilon)
    gan = {
        "ragan": (softplus(real - fake.mean()).mean() + softplus(real.mean() - fake).mean()) / 2,
        "vanilla": softplus(-fake).mean(),
        "saturating": -softplus(fake).mean(),
    }[gan_type]
    t = spec.terms
    expected = {
        "l_g_pix": t.beta1 * pixels.mean(),
        "l_g_sa": 7 * (weight * pixels).mean(),
        "l_g_percep": t.percep * maps.mean(),
        "l_g_gan": t.gan * gan,
    }
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(found["l_g_total"], sum(expected.values()), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("gan_type", ["ragan", "vanilla", "saturating"])
def test_the_discriminator_s_outputs_are_those_that_its_loss_looks_at(gan_type):
    """A relativistic loss compares: by themselves the logits may lie anywhere."""
    s = stage(with_terms(gan_type=gan_type))
    with torch.no_grad():
        s.discriminator.module.linear2.bias += 20
        sr = s.generator(BATCH[0])
        real, fake = s.discriminator(BATCH[1]), s.discriminator(sr)
        assert min(real.min(), fake.min()) > 10
    found = s.turn_of_discriminator(sr, BATCH)
    if gan_type == "ragan":
        real, fake = real - fake.mean(), fake - real.mean()
        assert (found["d_real"] - 0.5) * (found["d_fake"] - 0.5) < 0
    assert found["d_real"] == pytest.approx(torch.sigmoid(real).mean().item(), abs=1e-6)
    assert found["d_fake"] == pytest.approx(torch.sigmoid(fake).mean().item(), abs=1e-6)
    share = 0.5 if gan_type == "ragan" else 1
    expected = share * (softplus(-real).mean() + softplus(fake).mean())
    assert found["l_d"] == pytest.approx(expected.item(), rel=1e-5)


def test_out_of_range_is_the_share_of_values_beyond_the_margin():
    """A little beyond black and white is no alarm; gradients do not pass."""
    sr = torch.tensor([-5.0, -0.11, -0.09, 0.0, 0.5, 1.0, 1.09, 1.11], requires_grad=True)
    share = out_of_range(sr)
    assert share.item() == 3 / 8
    assert not share.requires_grad


def test_validation_is_of_the_moving_average_and_with_the_running_statistics():
    s = stage(with_plan(ema=0.5))
    before = trainer.validate(s, [BATCH])
    assert trainer.validate(s, [BATCH]) == before  # nothing is learnt from it
    with torch.no_grad():
        s.generator.module.conv_last.bias += 1  # not what is kept
    assert trainer.validate(s, [BATCH]) == before
    s.discriminator.module.bn1_0.running_mean += 1
    assert trainer.validate(s, [BATCH])[0] != before[0]
    assert trainer.validate(s, [BATCH])[1] == before[1]
    with torch.no_grad():
        s.average.module.conv_last.bias += 1
    assert trainer.validate(s, [BATCH])[1] != before[1]
    assert s.discriminator.training


def test_a_validation_without_an_error_has_an_infinite_psnr():
    s = stage(SPEC)
    s.kept.eval()
    with torch.no_grad():
        s.kept.module.conv_last.weight.zero_()
        s.kept.module.conv_last.bias.zero_()
    assert trainer.validate(s, [(BATCH[0], torch.zeros_like(BATCH[1]), BATCH[2])])[1] == float("inf")


def test_a_baseline_whose_loss_is_nothing_has_no_share():
    """The method alone, `gan`, `percep` and `beta1` 0, whose baseline is the same with W = 0."""
    s = stage(SPEC.model_copy(update={"terms": SPEC.terms.model_copy(update={"gan": 0, "percep": 0, "beta1": 0})}))
    numbers = s.step((BATCH[0], BATCH[1], torch.zeros_like(BATCH[2])))
    assert numbers["l_g_total"] == numbers["sa_share"] == 0


@pytest.mark.parametrize(("select", "kept"), [("val_loss", 4), ("val_psnr", 2), ("last", 6)])
def test_the_chosen_criterion_decides_where_the_two_disagree(files, monkeypatch, select, kept):
    measured = iter([(0.5, 30.0), (0.4, 29.0), (0.6, 28.0)])
    monkeypatch.setattr(trainer, "validate", lambda *_: next(measured))
    trainer.train(with_plan(select=select), files, ONE)
    assert [row["step"] for row in rows(files.validations) if row["kept"]] == [kept]


def test_a_split_by_patch_keeps_training_and_validation_apart(files, monkeypatch):
    """One data set serves both: no place of a patch does."""
    spec = SPEC.model_copy(update={"val_share": 0.3, "optimise": SPEC.optimise.model_copy(update={"val_patches": 40})})
    one = replace(files, val_data=files.data, val_weights=files.weights)
    seen = {"training": [], "validation": []}
    place = trainer.Patches._place

    def remembered(self, random):
        found = place(self, random)
        seen["validation" if self.part.validation else "training"].append(found[:4])
        return found

    monkeypatch.setattr(trainer.Patches, "_place", remembered)
    trainer.train(spec, one, ONE)
    assert len(seen["validation"]) == 40
    assert len(seen["training"]) == 12
    assert not set(seen["training"]) & set(seen["validation"])


def test_a_calibration_sees_what_the_first_steps_see():
    config = load(changed(models__esrgan__train__batch=5, models__esrgan__min_variance=0.001))
    run = config.runs[1]
    measured, trained = config.calibrate_spec(run), config.train_spec(run)
    assert measured.optimise.batch == trained.optimise.batch == 5
    for key in ("seed", "patch", "val_share", "min_variance", "beta2", "generator", "feature_scale", "precision"):
        assert getattr(measured, key) == getattr(trained, key)
    assert load(DEMO).calibrate_spec(run) == load(changed(models__esrgan__train__steps=7)).calibrate_spec(run)
