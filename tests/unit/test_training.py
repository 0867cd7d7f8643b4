"""The trainer on small real photos: what it learns from, what it keeps, and how it goes on after a stop."""

import csv
import itertools
import os
import resource
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from sa_sr.config import Optimise, PretrainSpec, TrainSpec
from sa_sr.errors import UserError
from sa_sr.models import checkpoints
from sa_sr.training import trainer
from sa_sr.training.log import History
from sa_sr.training.state import StateFolder

ONE = trainer.Machine(threads=1)
PLAN = Optimise(steps=6, batch=2, lr=1e-3, val_every=2, val_patches=2)
COMMON = {
    "seed": 1,
    "precision": "32-true",
    "val_share": 0,
    "min_variance": 0,
    "generator": {"num_feat": 8, "num_block": 1, "num_grow_ch": 4},
}
SPEC = TrainSpec(
    **COMMON, name="esrgan-local_variance-s1", model="esrgan", patch=32, optimise=PLAN, extractor="local_variance",
    extractor_params={}, discriminator={"num_feat": 4}, layer="conv2_2", feature_scale=0.01,
    terms={"gan": 0.005, "percep": 1, "beta1": 0.01, "pixel": "l1", "feature": "l1", "gan_type": "ragan"}, beta2=20.0,
)  # fmt: skip


def with_terms(**terms) -> TrainSpec:
    return SPEC.model_copy(update={"terms": SPEC.terms.model_copy(update=terms)})


def with_plan(**plan) -> TrainSpec:
    return SPEC.model_copy(update={"optimise": PLAN.model_copy(update=plan)})


def rows(path: Path) -> list[dict[str, float]]:
    return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(path.open())]


def elsewhere(files: trainer.Files, folder: Path) -> trainer.Files:
    """The same inputs, other results."""
    folder.mkdir()
    names = {key: folder / getattr(files, key).name for key in ("state", "model", "history", "validations")}
    return replace(files, **names)


def stop_after(steps: int, monkeypatch, work: Callable[[], None]) -> None:
    """Let a training be terminated in the middle of its work, as a cluster does."""
    add = History.add

    def add_then_terminate(self, step, terms):
        add(self, step, terms)
        if step == steps:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(History, "add", add_then_terminate)
        with pytest.raises(SystemExit) as stop:
            work()
    assert stop.value.code == 128 + signal.SIGTERM


def test_history_has_every_term_and_they_add_up(files):
    trainer.train(SPEC, files, ONE)
    history = rows(files.history)
    assert [row["step"] for row in history] == [1, 2, 3, 4, 5, 6]
    for row in history:
        parts = row["l_g_pix"] + row["l_g_sa"] + row["l_g_percep"] + row["l_g_gan"]
        assert parts == pytest.approx(row["l_g_total"], rel=1e-4)
        assert row["sa_share"] == pytest.approx(row["l_g_sa"] / row["l_g_total"], rel=1e-4)
        assert 0 < row["d_real"] < 1
        assert row["lr"] == 1e-3
    assert [row["step"] for row in rows(files.validations)] == [2, 4, 6]


def test_the_weights_of_the_smallest_validation_loss_are_kept(files):
    trainer.train(SPEC, files, ONE)
    best = min(rows(files.validations), key=lambda row: row["val_loss"])
    assert int(checkpoints.load_state(files.model)[1]["step"]) == best["step"]
    assert [row["step"] for row in rows(files.validations) if row["kept"]] == [best["step"]]


def test_an_edge_map_that_is_altered_changes_the_loss(files, tmp_path):
    """Training reads the stored maps: it does not make its own."""
    trainer.train(SPEC, files, ONE)
    before = rows(files.history)
    with h5py.File(files.weights, "r+") as f:
        f["weight/coffee"][...] = 255 - f["weight/coffee"][...]
    again = elsewhere(files, tmp_path / "again")
    trainer.train(SPEC, again, ONE)
    after = rows(again.history)
    assert after[0]["l_g_percep"] == before[0]["l_g_percep"]  # the first step still meets the same pictures
    assert after[0]["l_g_sa"] > 1.5 * before[0]["l_g_sa"]


def test_the_same_seed_gives_the_same_bits_and_another_seed_other_ones(files, tmp_path):
    trainer.train(SPEC, files, ONE)
    again, other = elsewhere(files, tmp_path / "again"), elsewhere(files, tmp_path / "other")
    trainer.train(SPEC, again, ONE)
    trainer.train(SPEC.model_copy(update={"seed": 2}), other, ONE)
    assert files.model.read_bytes() == again.model.read_bytes()
    assert files.model.read_bytes() != other.model.read_bytes()


def test_a_stopped_training_goes_on_and_ends_with_the_same_bits(files, tmp_path, monkeypatch):
    trainer.train(SPEC, files, ONE)
    stopped = elsewhere(files, tmp_path / "stopped")
    stop_after(3, monkeypatch, lambda: trainer.train(SPEC, stopped, ONE))
    assert not stopped.model.exists()
    trainer.train(SPEC, stopped, ONE)
    assert stopped.model.read_bytes() == files.model.read_bytes()
    without_rate = [[{**row, "samples_per_s": 0} for row in rows(f.history)] for f in (files, stopped)]
    assert without_rate[0] == without_rate[1]
    assert files.validations.read_bytes() == stopped.validations.read_bytes()


def test_a_moving_average_is_what_is_kept_and_survives_a_stop(files, tmp_path, monkeypatch):
    spec, plain = with_plan(ema=0.9, select="last"), elsewhere(files, tmp_path / "plain")
    trainer.train(with_plan(select="last"), plain, ONE)
    stopped = elsewhere(files, tmp_path / "stopped")
    stop_after(3, monkeypatch, lambda: trainer.train(spec, stopped, ONE))
    trainer.train(spec, stopped, ONE)
    trainer.train(spec, files, ONE)
    assert files.model.read_bytes() == stopped.model.read_bytes()
    average, last = load_file(files.model), load_file(plain.model)
    # Adam moves each weight by at most about lr a step, and the average lags behind
    lag = max(np.abs(average[key] - last[key]).max() for key in last)
    assert 0 < lag <= 6 * PLAN.lr


@pytest.mark.parametrize("select", ["val_psnr", "last"])
def test_the_choice_of_the_weights_can_be_another(files, select):
    trainer.train(with_plan(select=select), files, ONE)
    validations = rows(files.validations)
    expected = validations[-1] if select == "last" else max(validations, key=lambda row: row["val_psnr"])
    assert int(checkpoints.load_state(files.model)[1]["step"]) == expected["step"]


def test_who_is_updated_first_matters_from_the_first_step_on(files, tmp_path):
    trainer.train(SPEC, files, ONE)
    other = elsewhere(files, tmp_path / "other")
    trainer.train(with_terms(order=("discriminator", "generator")), other, ONE)
    ours, theirs = rows(files.history)[0], rows(other.history)[0]
    assert ours["l_d"] == theirs["l_d"]  # the discriminator meets the same pictures
    assert ours["l_g_percep"] == theirs["l_g_percep"]
    assert ours["l_g_gan"] != theirs["l_g_gan"]  # which a discriminator one step further judges otherwise


def test_maps_of_the_patch_alone_differ_from_those_of_the_picture_at_its_border_only(files, tmp_path):
    trainer.train(SPEC, files, ONE)
    crop = replace(elsewhere(files, tmp_path / "crop"), weights=None, val_weights=None)
    trainer.train(with_terms(edge_scope="crop"), crop, ONE)
    ours, theirs = rows(files.history)[0], rows(crop.history)[0]
    assert ours["l_g_percep"] == theirs["l_g_percep"]
    assert ours["l_g_sa"] != theirs["l_g_sa"]
    assert ours["l_g_sa"] == pytest.approx(theirs["l_g_sa"], rel=0.1)
    assert "sa_sr.edges.local_variance" in with_terms(edge_scope="crop").modules


def test_sums_leave_nothing_to_the_adversarial_term(files, tmp_path):
    """Eq. 4-7 to the letter: the reason for means."""
    trainer.train(SPEC, files, ONE)
    sums = elsewhere(files, tmp_path / "sums")
    trainer.train(with_terms(reduction="sum"), sums, ONE)
    ours, theirs = rows(files.history)[0], rows(sums.history)[0]
    assert theirs["l_g_pix"] == pytest.approx(ours["l_g_pix"] * 3 * 32 * 32, rel=1e-4)
    assert theirs["l_g_gan"] == pytest.approx(ours["l_g_gan"], rel=1e-4)
    assert theirs["l_g_gan"] < 1e-4 * theirs["l_g_total"]


def test_state_of_other_settings_is_set_aside(files):
    trainer.train(SPEC, files, ONE)
    first = files.model.read_bytes()
    trainer.train(SPEC.model_copy(update={"beta2": 0.0}), files, ONE)
    assert files.model.read_bytes() != first
    assert (files.state / "stale.pt").exists()


@pytest.mark.parametrize("lost", [None, "last.pt"])
def test_settings_that_change_back_and_forth_lose_nothing(files, lost):
    """Each goes on from its own state, though the newest file of the other may have been damaged."""
    seen = []
    for settings in ("a", "b", "a", "b", "a"):
        with StateFolder(files.state, settings) as folder:
            seen.append(folder.load())
            for step in (1, 2):
                folder.save({"is": f"{settings}{step}"})
        if lost:
            (files.state / lost).write_bytes(b"damaged")
    kept = "1" if lost else "2"
    assert seen == [None, None, {"is": f"a{kept}"}, {"is": f"b{kept}"}, {"is": f"a{kept}"}]


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("killed_after", [0, 1, 2, 3, 4])
def test_what_is_trained_to_its_end_survives_a_change_of_settings_and_a_kill_in_it(
    files, monkeypatch, last, killed_after
):
    """Such a training saves no more when its settings come back."""
    for settings in ("a", "b"):
        with StateFolder(files.state, settings) as folder:
            folder.load()
            folder.save({"is": f"{settings}1"})
            folder.save({"is": settings})
            folder.finish()
    if not last:  # b's newest file was damaged, and the one before it is what there is
        (files.state / "last.pt").rename(files.state / "previous.pt")
    renames = itertools.count(1)
    replace, unlink = os.replace, Path.unlink

    def killed(work):
        def until(*arguments, **options):
            if next(renames) > killed_after:
                raise KeyboardInterrupt
            work(*arguments, **options)

        return until

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt), StateFolder(files.state, "a") as folder:
        patch.setattr(os, "replace", killed(replace))
        patch.setattr(Path, "unlink", killed(unlink))
        folder.load()
    for settings in ("b", "a", "a", "b"):
        with StateFolder(files.state, settings) as folder:
            assert folder.load() == {"is": settings}
            folder.finish()


def test_a_gradient_that_is_not_finite_stops_before_the_update_and_names_the_patches(files, monkeypatch):
    """The loss itself is finite; the state of the step before is kept."""
    monkeypatch.setattr(trainer.StateFolder, "due", lambda _: True)
    stage = trainer.gan_stage

    def spoilt_at_step_3(*arguments):
        built, steps = stage(*arguments), itertools.count(1)
        bias = built.generator.module.conv_last.bias
        bias.register_hook(lambda gradient: gradient / (0 if next(steps) == 3 else 1))
        return built

    monkeypatch.setattr(trainer, "gan_stage", spoilt_at_step_3)
    with pytest.raises(UserError, match=r"step 3: grad_g became (inf|nan); this step is not kept") as stop:
        trainer.train(SPEC, files, ONE)
    assert str(stop.value).count("coffee, frame 0, x ") == PLAN.batch
    assert not files.model.exists()
    with StateFolder(files.state, trainer.fingerprint(SPEC, files)) as folder:
        assert folder.load()["step"] == 2


@pytest.mark.parametrize("damage", ["truncated", "altered", "emptied"])
def test_a_damaged_state_is_set_aside_and_the_one_before_it_is_used(files, tmp_path, monkeypatch, caplog, damage):
    trainer.train(SPEC, files, ONE)
    stopped = elsewhere(files, tmp_path / "stopped")
    stop_after(4, monkeypatch, lambda: trainer.train(SPEC, stopped, replace(ONE, save_seconds=0)))
    last = stopped.state / "last.pt"
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes({"truncated": content[:-1000], "altered": content, "emptied": b""}[damage])
    with caplog.at_level("INFO", logger="sa_sr"):
        trainer.train(SPEC, stopped, ONE)
    assert "last.pt is damaged: set aside as damaged-last.pt" in caplog.text
    assert "resuming after step 3 of 6" in caplog.text
    assert stopped.model.read_bytes() == files.model.read_bytes()
    assert sorted(path.name for path in stopped.state.iterdir()) == ["damaged-last.pt", "last.pt", "lock"]


def test_a_full_disk_during_a_save_keeps_the_states_that_are_there(tmp_path):
    state = {"step": 1, "weights": torch.zeros(100_000)}
    with StateFolder(tmp_path, "a") as folder:
        folder.save(state)
        folder.save(state | {"step": 2})
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # so that a write beyond the limit is an error
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
            with pytest.raises(UserError, match=r"last\.pt: the state can't be saved \(.*\); make room"):
                folder.save(state | {"step": 3})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
        assert folder.load()["step"] == 2


def test_loader_workers_change_nothing(files, tmp_path):
    trainer.train(SPEC, files, ONE)
    other = elsewhere(files, tmp_path / "other")
    trainer.train(SPEC, other, replace(ONE, workers=2))
    assert other.model.read_bytes() == files.model.read_bytes()


def test_a_folder_in_use_is_refused_with_its_holder(tmp_path):
    with (
        StateFolder(tmp_path, "a"),
        pytest.raises(UserError, match=f"in use by process {os.getpid()}"),
        StateFolder(tmp_path, "a"),
    ):
        pass
    with StateFolder(tmp_path, "a"):  # free again
        pass


def test_a_loss_that_is_not_finite_stops_before_the_update(files):
    spec = SPEC.model_copy(update={"feature_scale": float("inf")})
    with pytest.raises(UserError, match=r"l_g_total became|l_g_percep became"):
        trainer.train(spec, files, ONE)
    assert not files.model.exists()


@pytest.mark.parametrize("select", ["val_loss", "last"])
def test_an_update_that_breaks_the_network_is_seen_by_the_validation(files, select):
    """The loss was finite before it; no step follows that could see it."""
    plan = {"steps": 1, "val_every": 1, "lr": 1e30, "select": select}
    with pytest.raises(UserError, match=r"step 1: the loss of the validation became (nan|inf); lower the"):
        trainer.train(with_plan(**plan), files, ONE)
    assert not files.model.exists()


def test_the_discriminator_gives_the_generator_a_gradient_and_keeps_its_own_weights(files):
    """Only the adversarial term is on: what moves the generator has come through the discriminator."""
    fabric = trainer.launch(SPEC, ONE)
    recipe = trainer.find("models", "esrgan")
    generator, discriminator = recipe.generator(**SPEC.generator), recipe.discriminator(num_feat=4, patch=32)
    spec = with_terms(percep=0.0, beta1=0.0).model_copy(update={"beta2": 0.0})
    stage = trainer.GanStage(fabric, spec, generator, discriminator, lambda x: x)
    batch = trainer.validation_batches(fabric, SPEC, recipe, files)[0]
    stage.discriminator.requires_grad_(False)
    before = {k: v.clone() for k, v in discriminator.named_parameters()}
    loss, _ = stage.loss(stage.generator(batch[0]), batch)
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in generator.parameters())
    assert all(torch.equal(before[k], v) and v.grad is None for k, v in discriminator.named_parameters())


@pytest.mark.parametrize("gamma", [0.5, 0.1])
def test_learning_rates_fall_by_gamma_after_each_milestone(gamma):
    plan = PLAN.model_copy(update={"milestones": [2, 4], "gamma": gamma})
    stage = type("Stage", (), {"optimisers": [torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])]})()
    rates = [trainer.set_learning_rate(stage, plan, s) for s in (1, 2, 3, 4, 5)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3 * gamma, 1e-3 * gamma, 1e-3 * gamma**2])


def test_pretraining_lowers_the_error(files):
    plan = PLAN.model_copy(update={"steps": 30, "batch": 4, "val_every": 5, "lr": 2e-3})
    spec = PretrainSpec(**COMMON, name="esrgan-s1", model="esrgan", patch=32, optimise=plan)
    trainer.pretrain(spec, files, ONE)
    losses = [row["l_g_total"] for row in rows(files.history)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert load_file(files.model)["conv_first.weight"].shape == (8, 3, 3, 3)


def test_long_trainings_leave_a_readable_history(tmp_path):
    history = History(10_000)
    for step in range(1, 10_001):
        history.add(step, {"l_g_total": float(step)})
    history.write(tmp_path / "history.csv", tmp_path / "val.csv")
    written = rows(tmp_path / "history.csv")
    assert len(written) == 2000
    assert written[0] == {"step": 5, "l_g_total": 3.0}
