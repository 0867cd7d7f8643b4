"""The health rules: on rows made by hand, on trainings that are sick or well, and in the table."""

import csv
import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sa_sr import cli
from sa_sr.errors import UserError
from sa_sr.render.health import health
from sa_sr.training import trainer
from sa_sr.training.health import RULES, begun, findings
from sa_sr.training.log import History
from sa_sr.training.warn import warn
from tests.unit.test_training import ONE, elsewhere, rows, stop_after, with_plan

WELL = {"l_d": 0.5, "d_real": 0.7, "d_fake": 0.3, "grad_g": 6.0, "grad_d": 30.0, "out_of_range": 0.002}
SICK = {
    "the discriminator wins": {"l_d": 1e-5, "d_real": 1.0, "d_fake": 0.0},
    "the discriminator is blind": {"d_real": 0.5, "d_fake": 0.5, "l_d": 0.69},
    "the generator's gradient explodes": {"grad_g": 100.0},
    "the output leaves its range": {"out_of_range": 0.6},
}
PRETRAINING = ("grad_g", "out_of_range")


def history(count, interval=1, **sick):
    """Rows that are well; `sick` are columns with the value of some rows: {row: value}."""
    made = [{"step": interval * (i + 1), **WELL} for i in range(count)]
    for name, values in sick.items():
        for i, value in values.items():
            made[i][name] = value
    return made


def ill(count, symptoms, begin, end, interval=1):
    """Rows which have the symptoms from row `begin` to before row `end`."""
    return history(count, interval, **{name: dict.fromkeys(range(begin, end), v) for name, v in symptoms.items()})


def names(found):
    return [finding.rule.name for finding in found]


# --- rows ---


def test_every_rule_is_tried_here():
    assert list(SICK) == [rule.name for rule in RULES]


@pytest.mark.parametrize("name", SICK)
def test_an_illness_is_found_with_its_steps(name):
    (found,) = findings(ill(60, SICK[name], 20, 40))
    assert (found.rule.name, found.first, found.last) == (name, 21, 40)
    (lasting,) = findings(ill(60, SICK[name], 20, 60))
    assert (lasting.rule.name, lasting.first, lasting.last) == (name, 21, None)


@pytest.mark.parametrize("name", SICK)
def test_a_short_while_of_a_long_training_is_none_and_a_row_stands_for_its_steps(name):
    """Half a million steps in rows of 250: some thousand steps are nothing, some ten thousand are."""
    assert not findings(ill(2000, SICK[name], 1000, 1020, interval=250))
    (found,) = findings(ill(2000, SICK[name], 1000, 1120, interval=250))
    assert (found.first, found.last) == (250_001, 280_000)


@given(
    st.integers(0, 150),
    st.floats(0.01, 5),
    st.floats(0.02, 1),
    st.floats(1e-6, 1e6),
    st.floats(0, 0.1),
)
def test_what_is_steady_and_well_raises_no_alarm(count, l_d, advantage, grad_g, out_of_range):
    steady = {"l_d": l_d, "d_real": advantage, "d_fake": 0.0, "grad_g": grad_g, "out_of_range": out_of_range}
    assert not findings(ill(count, steady, 0, count))


@given(st.integers(0, 59), st.sampled_from(sorted(SICK)), st.floats(1, 1e9))
def test_a_single_step_that_is_far_off_raises_no_alarm(row, name, amount):
    symptoms = {k: v * amount if k in PRETRAINING else v for k, v in SICK[name].items()}
    assert not findings(ill(60, symptoms, row, row + 1))


def test_one_step_that_is_off_does_not_end_an_illness_and_a_whole_window_does():
    made = ill(100, SICK["the discriminator wins"], 20, 80)
    made[50]["l_d"] = 0.7
    (found,) = findings(made)
    assert (found.first, found.last) == (21, 80)
    for row in made[45:70]:
        row["l_d"] = 0.7
    assert [(found.first, found.last) for found in findings(made)] == [(21, 45), (71, 80)]


@given(st.lists(st.floats(0.01, 1000), min_size=10, max_size=60), st.sampled_from([2.0**k for k in range(-20, 21)]))
def test_the_unit_of_the_gradient_does_not_matter(norms, factor):
    plain, scaled = ([{"step": i + 1, "grad_g": f * g} for i, g in enumerate(norms)] for f in (1, factor))
    assert findings(plain) == findings(scaled)


@given(st.lists(st.sampled_from([None, *SICK]), min_size=10, max_size=12), st.integers(3, 12))
def test_what_the_log_says_is_what_the_table_says(phases, length):
    """Row by row every finding begins once, and they come in order."""
    made = []
    for phase in itertools.chain.from_iterable([p] * length for p in phases):
        made.append({"step": len(made) + 1, **WELL, **SICK.get(phase, {})})
    whole = findings(made)
    assert [f.first for f in whole] == sorted(f.first for f in whole)
    said = [f for end in range(len(made) + 1) for f in begun(made[:end], len(made))]
    assert sorted((f.rule.name, f.first) for f in said) == sorted((f.rule.name, f.first) for f in whole)


def test_nothing_is_said_of_trainings_that_are_too_short():
    assert not findings(ill(9, SICK["the discriminator is blind"], 0, 9))
    assert findings(ill(10, SICK["the discriminator is blind"], 0, 10))
    assert not findings([])


def test_pretraining_is_judged_by_what_it_has():
    made = ill(60, SICK["the output leaves its range"], 20, 40)
    only = [{name: row[name] for name in ("step", *PRETRAINING)} for row in made]
    assert names(findings(only)) == ["the output leaves its range"]


# --- trainings ---


@pytest.fixture
def said(caplog):
    """Health warnings of the log."""
    return lambda: [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]


def measured(path):
    return names(findings(rows(path)))


WELL_PLAN = with_plan(steps=30, lr=1e-4, val_every=30)
EXPLODING = with_plan(steps=30, lr=0.1, val_every=30)


def test_a_sound_training_raises_no_alarm(files, said):
    trainer.train(WELL_PLAN, files, ONE)
    assert measured(files.history) == said() == []


def test_an_exploding_generator_is_reported_once_and_goes_on_as_it_would(files, tmp_path, monkeypatch, said):
    trainer.train(EXPLODING, files, ONE)
    assert "the output leaves its range" in measured(files.history)
    assert len([line for line in said() if "the output leaves its range since step" in line]) == 1
    assert all(row["out_of_range"] <= 1 for row in rows(files.history))
    unwatched = elsewhere(files, tmp_path / "unwatched")
    monkeypatch.setattr(trainer, "warn", lambda *_: None)
    trainer.train(EXPLODING, unwatched, ONE)
    assert unwatched.model.read_bytes() == files.model.read_bytes()


def test_a_training_that_is_resumed_does_not_repeat_itself(files, monkeypatch, said):
    stop_after(20, monkeypatch, lambda: trainer.train(EXPLODING, files, ONE))
    before = said()
    assert any("the output leaves its range" in line for line in before)
    trainer.train(EXPLODING, files, ONE)
    assert said() == before
    assert len(rows(files.history)) == 30


@pytest.mark.parametrize(("length", "warnings"), [(30, 0), (120, 1)])
def test_the_log_of_a_long_training_speaks_once_and_of_what_lasts(said, length, warnings):
    """Rows of 20 steps; a window is a twentieth of all rows that there will be, not of those so far."""
    history = History(40_000)
    for step in range(1, 10_001):
        ill_now = 2_000 < step <= 2_000 + 20 * length
        history.add(step, WELL | (SICK["the output leaves its range"] if ill_now else {}))
        warn("a", history, step)
    assert len(said()) == warnings
    assert all(line.startswith("a: the output leaves its range since step 2,001 (") for line in said())


@pytest.mark.parametrize("gan_type", ["ragan", "vanilla"])
def test_a_dead_discriminator_is_reported(files, monkeypatch, said, gan_type):
    def dead(built):
        for parameter in built.discriminator.parameters():
            torch.nn.init.zeros_(parameter)

    spoil(monkeypatch, dead)
    terms = WELL_PLAN.terms.model_copy(update={"gan_type": gan_type})
    trainer.train(WELL_PLAN.model_copy(update={"terms": terms}), files, ONE)
    assert measured(files.history) == ["the discriminator is blind"]
    (line,) = said()
    assert line.startswith("esrgan-local_variance-s1: the discriminator is blind since step 1 (d_real - d_fake is")


@pytest.mark.parametrize("gan_type", ["ragan", "vanilla"])
def test_a_discriminator_that_never_errs_is_reported(files, monkeypatch, said, gan_type):
    """The generator makes black pictures and can't learn."""

    def black(built):
        last = built.generator.module.conv_last
        for parameter in last.parameters():
            torch.nn.init.zeros_(parameter)
            parameter.register_hook(torch.zeros_like)

    spoil(monkeypatch, black)
    spec = with_plan(steps=60, lr=3e-2, val_every=60)
    terms = spec.terms.model_copy(update={"gan_type": gan_type})
    trainer.train(spec.model_copy(update={"terms": terms}), files, ONE)
    assert "the discriminator wins" in measured(files.history)
    assert len([line for line in said() if "the discriminator wins since step" in line]) == 1


def spoil(monkeypatch, damage):
    """Trainings of networks with some damage."""
    build = trainer.gan_stage

    def damaged(*arguments):
        built = build(*arguments)
        damage(built)
        return built

    monkeypatch.setattr(trainer, "gan_stage", damaged)


# --- the table ---


@pytest.fixture
def trainings(tmp_path):
    """A pretraining, one of no steps, and two runs, one of them ill."""
    ended = ill(60, SICK["the output leaves its range"], 20, 40)
    pretraining = [{name: row[name] for name in ("step", *PRETRAINING)} for row in history(60)]
    made = {"esrgan-s1": pretraining, "vsrresfeatgan-s1": [], "esrgan-none-s1": history(60), "esrgan-canny-s2": ended}
    for name, content in made.items():
        (tmp_path / name).mkdir()
        with open(tmp_path / name / "history.csv", "w", newline="") as f:
            writer = csv.DictWriter(f, list(content[0]) if content else ["step"])
            writer.writeheader()
            writer.writerows(content)
    return [tmp_path / name / "history.csv" for name in made]


@pytest.fixture
def tables(tmp_path):
    return [tmp_path / f"results/tables/health.{kind}" for kind in ("csv", "md", "html")]


def test_a_row_for_each_training_with_its_verdict(trainings, tables):
    health(trainings, *tables)
    sound, well, sick = csv.DictReader(tables[0].open())
    assert (sound["training"], sound["d_real"], sound["verdict"]) == ("esrgan-s1", "", "healthy")
    assert well == {
        "training": "esrgan-none-s1", "steps": "60", "d_real": "0.7", "d_fake": "0.3", "l_d": "0.5",
        "grad_d": "30", "grad_d_peak": "1", "grad_g": "6", "grad_g_peak": "1", "out_of_range": "0.002",
        "findings": "0", "verdict": "healthy",
    }  # fmt: skip
    verdict = "the output leaves its range from step 21 to step 40 (60% of its values are far outside of [0, 1])"
    assert (sick["findings"], sick["verdict"]) == ("1", verdict)
    for file in tables[1:]:
        text = file.read_text()
        assert all(t in text for t in ("ESRGAN, pretraining", "SA-ESRGAN (canny)", "0.70", "0.2 %", "1×"))
        assert f"SA-ESRGAN (canny), seed 2: {verdict}. The generator no longer" in " ".join(text.split())
        assert "VSRResFeatGAN" not in text
        assert "nan" not in text.lower()


def test_numbers_are_of_the_last_quarter_and_peaks_of_the_whole(trainings, tables):
    made = history(40, d_real=dict.fromkeys(range(30, 40), 0.9), grad_g={3: 48.0})
    with open(trainings[2], "w", newline="") as f:
        writer = csv.DictWriter(f, list(made[0]))
        writer.writeheader()
        writer.writerows(made)
    health(trainings, *tables)
    row = list(csv.DictReader(tables[0].open()))[1]
    assert (row["d_real"], row["d_fake"], row["grad_g"], row["grad_g_peak"]) == ("0.9", "0.3", "6", "8")


def test_without_any_training_there_is_a_table_without_rows(trainings, tables):
    health([trainings[1]], *tables)
    assert list(csv.DictReader(tables[0].open())) == []


def test_a_short_training_is_not_called_healthy(trainings, tables):
    trainings[0].write_text("step,grad_g,out_of_range\n1,1,0\n2,1,0\n")
    health(trainings, *tables)
    row = next(csv.DictReader(tables[0].open()))
    assert (row["findings"], row["verdict"]) == ("0", "too short to judge, with fewer than 10 rows")


@pytest.mark.parametrize("text", ["step,grad_g\n1,x\n", "step,grad_g\n1\n", None])
def test_a_record_that_cannot_be_read_is_named(trainings, tables, text):
    trainings[1].unlink()
    if text is not None:
        trainings[1].write_text(text)
    with pytest.raises(UserError, match=r"vsrresfeatgan-s1/history\.csv: not a readable record of training"):
        health(trainings, *tables)
    assert not tables[0].exists()


def test_the_summary_has_a_line_for_each_that_is_ill_and_none_for_the_others(trainings, tables, capsys):
    results = tables[0].parents[1]
    tables[0].parent.mkdir(parents=True)
    (tables[0].parent / "table1.md").write_text("a table\n")
    (tables[0].parent / "table1.csv").touch()
    cli.summary(results)
    assert "health" not in capsys.readouterr().out  # of older results
    health(trainings, *tables)
    cli.summary(results)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("health:")]
    assert len(lines) == 1
    assert lines[0].startswith("health:  esrgan-canny-s2: the output leaves its range from step 21 to step 40")
