"""The losses, against values worked out by hand."""

import math

import numpy as np
import pytest
import torch

from sa_sr.edges import extract
from sa_sr.errors import UserError
from sa_sr.losses import (
    SpatiallyAdaptiveLoss,
    charbonnier,
    distance,
    l1,
    perceptual,
    relativistic,
    saturating,
    squared_error,
    standard,
    total,
)

SR = torch.tensor([[[[0.1, 0.5], [0.9, 0.2]]]]).expand(1, 3, 2, 2)
HR = torch.tensor([[[[0.2, 0.5], [0.5, 0.0]]]]).expand(1, 3, 2, 2)
W = torch.tensor([[[[1.0, 0.0], [0.5, 0.0]]]])


def test_l1_part_is_the_weighted_mean_of_absolute_differences():
    # |d| = .1, 0, .4, .2; W|d| = .1, 0, .2, 0
    loss = SpatiallyAdaptiveLoss(l1, beta1=0.01, beta2=20)(SR, HR, W)
    assert loss.item() == pytest.approx(0.01 * 0.7 / 4 + 20 * 0.3 / 4, rel=1e-6)


def test_charbonnier_part_adds_epsilon_under_the_root():
    d = [math.sqrt(e**2 + 1e-6) for e in (0.1, 0.0, 0.4, 0.2)]
    loss = SpatiallyAdaptiveLoss(charbonnier, beta1=0.001, beta2=5)(SR, HR, W)
    assert loss.item() == pytest.approx(0.001 * sum(d) / 4 + 5 * (d[0] + 0.5 * d[2]) / 4, rel=1e-5)


@pytest.mark.parametrize("distance", [l1, charbonnier, squared_error])
def test_a_weight_of_ones_is_the_plain_loss(distance):
    plain = SpatiallyAdaptiveLoss(distance, beta1=3.0, beta2=0.0)(SR, HR, W)
    ones = SpatiallyAdaptiveLoss(distance, beta1=0.0, beta2=3.0)(SR, HR, torch.ones_like(W))
    assert ones.item() == pytest.approx(plain.item())
    assert plain.item() == pytest.approx(3 * distance(SR, HR).mean().item())


def test_a_weight_of_zeros_is_the_baseline():
    loss = SpatiallyAdaptiveLoss(l1, beta1=0.01, beta2=20)(SR, HR, torch.zeros_like(W))
    assert loss.item() == pytest.approx(0.01 * 0.7 / 4)


def test_beta2_scales_the_edges_and_not_the_mean_of_the_weights():
    """A mean divided by the sum of the weights would cancel beta2."""
    once, twice = (SpatiallyAdaptiveLoss(l1, 0.0, beta2)(SR, HR, W) for beta2 in (1, 2))
    assert twice.item() == pytest.approx(2 * once.item())


def test_the_weight_map_can_be_made_from_the_ground_truth():
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    hr = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    sr = hr + 0.1
    made = SpatiallyAdaptiveLoss(l1, 0.01, 20, "local_variance", window=3, delta=0.03)(sr, hr)
    weight = torch.from_numpy(extract(image, "local_variance", window=3, delta=0.03)).permute(2, 0, 1)[None]
    assert made.item() == pytest.approx(0.1 * (0.01 + 20 * weight.mean().item()), rel=1e-5)


def test_an_extractor_that_does_not_exist_is_told_at_once():
    with pytest.raises(UserError, match=r"no edges plugin 'cany'; did you mean 'canny'\?"):
        SpatiallyAdaptiveLoss(l1, 0.01, 20, extractor="cany")
    assert "beta2=20" in repr(SpatiallyAdaptiveLoss(l1, 0.01, 20, extractor="canny"))


def test_parameters_without_an_extractor_are_a_mistake():
    with pytest.raises(UserError, match="has no parameter reducton, and no extractor"):
        SpatiallyAdaptiveLoss(l1, 0.01, 20, reducton="sum")


def test_without_map_and_extractor_the_loss_says_what_it_needs():
    with pytest.raises(ValueError, match="weight map"):
        SpatiallyAdaptiveLoss(l1, 0.01, 20)(SR, HR)


def test_standard_adversarial_losses():
    fake, real = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [3.0]])
    softplus = lambda x: math.log1p(math.exp(x))  # noqa: E731
    assert standard.generator(fake, None).item() == pytest.approx((softplus(0) + softplus(-2)) / 2, rel=1e-5)
    expected = (softplus(-1) + softplus(-3)) / 2 + (softplus(0) + softplus(2)) / 2
    assert standard.discriminator(fake, real).item() == pytest.approx(expected, rel=1e-5)


def test_the_saturating_generator_lowers_what_the_discriminator_raises():
    fake, real = torch.tensor([[0.0], [2.0]], requires_grad=True), torch.tensor([[1.0], [3.0]])
    loss = saturating.generator(fake, None)
    # eq. 14: the mean of log(1 - sigmoid(fake))
    assert loss.item() == pytest.approx((math.log(0.5) + math.log(1 - 1 / (1 + math.exp(-2)))) / 2, rel=1e-5)
    loss.backward()
    assert (fake.grad < 0).all()  # it wants larger logits, as the non-saturating one does
    assert saturating.discriminator(fake, real) == standard.discriminator(fake, real)


def test_sums_are_over_pixels_and_means_over_the_batch():
    sr, hr = SR.repeat(5, 1, 1, 1), HR.repeat(5, 1, 1, 1)
    loss = SpatiallyAdaptiveLoss(l1, beta1=0.01, beta2=20, reduction=total)(sr, hr, W)
    assert loss.item() == pytest.approx(3 * (0.01 * 0.7 + 20 * 0.3), rel=1e-5)


def test_distances_have_the_names_of_the_configuration():
    assert torch.equal(distance("l1")(SR, HR), l1(SR, HR))
    assert torch.equal(distance("charbonnier", 0.1)(SR, HR), charbonnier(SR, HR, 0.1))
    assert not torch.equal(distance("charbonnier", 0.1)(SR, HR), charbonnier(SR, HR))


def test_relativistic_losses_compare_with_the_average_of_the_others():
    fake, real = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [3.0]])  # means 1 and 2
    softplus = lambda x: math.log1p(math.exp(x))  # noqa: E731
    # real - mean fake = 0, 2; fake - mean real = -2, 0
    generator = ((softplus(0) + softplus(2)) / 2 + (softplus(2) + softplus(0)) / 2) / 2
    discriminator = ((softplus(0) + softplus(-2)) / 2 + (softplus(-2) + softplus(0)) / 2) / 2
    assert relativistic.generator(fake, real).item() == pytest.approx(generator, rel=1e-5)
    assert relativistic.discriminator(fake, real).item() == pytest.approx(discriminator, rel=1e-5)


def test_perceptual_loss_is_the_mean_distance_of_features_and_only_sr_gets_a_gradient():
    sr, hr = SR.clone().requires_grad_(), HR.clone().requires_grad_()
    loss = perceptual(lambda x: 2 * x, sr, hr, l1)
    loss.backward()
    assert loss.item() == pytest.approx(2 * 0.7 / 4)
    assert sr.grad is not None
    assert hr.grad is None
