"""beta2 from a share: what the measurement promises is what the first step of the training finds."""

import json
from dataclasses import replace

import h5py
import pytest

from sa_sr.config import CalibrateSpec, TrainSpec
from sa_sr.errors import UserError
from sa_sr.training import trainer
from sa_sr.training.calibrate import calibrate
from sa_sr.training.resolve import resolve
from tests.unit.test_training import ONE, SPEC, rows


def measure(files: trainer.Files, init, tmp_path, **changes) -> dict:
    spec = CalibrateSpec(**SPEC.model_dump() | {"share": 0.15, "batches": 1} | changes)
    calibrate(spec, files.data, files.weights, init, files.features, tmp_path / "calibration.json", threads=2)
    return json.loads((tmp_path / "calibration.json").read_text())


@pytest.fixture
def init(files, tmp_path):
    """A generator to start from, which a training leaves behind."""
    plan = SPEC.optimise.model_copy(update={"steps": 2})
    trainer.pretrain(SPEC.model_copy(update={"optimise": plan}), files, ONE)
    return files.model.rename(tmp_path / "init.safetensors")


@pytest.mark.parametrize("share", [0.15, 0.5])
def test_the_first_step_has_the_share_that_was_asked_for(files, init, tmp_path, share):
    found = measure(files, init, tmp_path, beta2="auto", share=share)
    assert found["chosen"] == "auto"
    assert found["share"] == pytest.approx(share, rel=0.01)  # beta2 is rounded to three digits
    settings = SPEC.model_dump(mode="json") | {"beta2": "auto"}
    spec = TrainSpec.model_validate(resolve(settings, tmp_path / "calibration.json"))
    assert spec.beta2 == found["beta2"]
    trainer.train(spec, replace(files, init=init), ONE)
    assert rows(files.history)[0]["sa_share"] == pytest.approx(found["share"], rel=1e-3)


def test_a_fixed_beta2_stays_and_its_share_is_measured(files, init, tmp_path):
    found = measure(files, init, tmp_path, beta2=20.0)
    assert (found["beta2"], found["chosen"]) == (20.0, "fixed")
    terms = found["terms"]
    assert found["share"] == pytest.approx(terms["l_g_sa"] / sum(terms.values()))
    trainer.train(SPEC, replace(files, init=init), ONE)
    assert rows(files.history)[0]["sa_share"] == pytest.approx(found["share"], rel=1e-3)


def test_of_a_loss_that_is_negative_without_edges_no_beta2_gives_a_share(files, init, tmp_path):
    terms = SPEC.terms.model_copy(update={"gan_type": "saturating", "gan": 100.0}).model_dump()
    with pytest.raises(UserError, match=r"the loss without its spatially adaptive part is -\d.*give beta2 as a number"):
        measure(files, init, tmp_path, beta2="auto", terms=terms)


def test_the_measurement_is_the_same_every_time(files, init, tmp_path):
    assert measure(files, init, tmp_path, beta2="auto") == measure(files, init, tmp_path, beta2="auto")


def test_without_edges_no_beta2_gives_a_share(files, init, tmp_path):
    with h5py.File(files.weights, "r+") as f:
        f["weight/coffee"][...] = 0
    with pytest.raises(UserError, match="edge maps of 'local_variance' are empty on the first 1 batches"):
        measure(files, init, tmp_path, beta2="auto")


def test_auto_needs_its_calibration_and_numbers_do_not():
    with pytest.raises(UserError, match="--calibration"):
        resolve({"beta2": "auto"})
    assert resolve({"beta2": 5.0}) == {"beta2": 5.0}
