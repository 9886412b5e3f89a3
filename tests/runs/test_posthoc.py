"""Averages of any length after training, through the command line."""

import numpy as np
import program
import pytest

import score_sde
from score_sde.cli import ema
from score_sde.errors import UserError

pytestmark = pytest.mark.slow

SMALL = (
    "--config=configs/toy_moons.py",
    "--config.model.channels=16",
    "--config.model.depth=1",
    "--config.objective.denoising.uncertainty=True",
    "--config.optim.warmup=4",
    "--config.optim.decay=constant",
    "--config.optim.name=muon",
    "--config.training.steps=24",
    "--config.training.steps_per_call=4",
    "--config.training.batch_size=16",
    "--config.training.checkpoint_every=12",
    "--config.training.keep_last=2",
    "--config.training.ema_profiles=(0.05,0.1)",
    "--config.training.ema_snapshot_every=4",
    "--config.training.log_every=4",
    "--config.training.eval_every=0",
    "--config.training.sample_every=0",
    "--config.evaluation.metrics=('loss_by_time',)",
    "--config.evaluation.num_examples=32",
    "--config.evaluation.loss_by_time.points=4",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("posthoc") / "run"
    done = program.called(*SMALL, f"--workdir={workdir}", "--config.training.steps=12")
    assert done.returncode == 0, done.stderr
    again = program.called(*SMALL, f"--workdir={workdir}")  # which goes on
    assert again.returncode == 0, again.stderr
    return workdir


def weights(workdir, name, step=None):
    return score_sde.load(workdir, weights=name, step=step).params


def test_a_length_that_was_kept_is_itself(trained):
    kept, made = weights(trained, "power_0.1"), weights(trained, "posthoc:0.1")
    for name, array in kept.items():
        np.testing.assert_allclose(made[name], array, rtol=1e-5, atol=1e-6)
        assert made[name].dtype == array.dtype
    raw = weights(trained, "raw")
    assert any(np.abs(raw[name] - kept[name]).max() > 1e-4 for name in raw)


def test_what_the_objective_learns_is_averaged_with_the_network(trained):
    """Its arrays are named objective/, and have moved from 0."""
    for name in ("raw", "power_0.05", "posthoc:0.07"):
        found = weights(trained, name)
        assert np.abs(found["objective/kernel"]).max() > 0
        assert sum(path.startswith("objective/") for path in found) == 2


def test_another_length_lies_between_and_says_its_error(trained, capsys):
    """Snapshots of 4, 8, ... 24 are there, though the run stopped at 12 and went on."""
    short, made, long = (weights(trained, f"posthoc:{x}") for x in ("0.05", "0.07", "0.1"))
    said = capsys.readouterr().err
    assert "posthoc:0.07 is made of 12 averages of 6 steps: expected relative error" in said
    size = lambda a, b: sum(float(((a[n] - b[n]) ** 2).sum()) for n in a)  # noqa: E731
    assert 0 < size(made, short) < size(long, short)
    weights(trained, "posthoc:0.07", step=12)
    assert "is made of 6 averages of 3 steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("posthoc:0.001", "kept too little for posthoc:0.001: 12 averages of 6 steps: expected"),
        (
            "posthoc:0.5",
            "after posthoc: comes sigma_rel, a finite number, above 0 and at most 0.28",
        ),
        ("posthoc:x", "after posthoc: comes sigma_rel"),
        ("power_0.2", "choose from ema, raw, .*, power_0.05, power_0.1"),
    ],
)
def test_lengths_that_cannot_be_made(trained, asked, message):
    with pytest.raises(UserError, match=message):
        score_sde.load(trained, weights=asked)


def test_a_snapshot_that_is_damaged_is_an_error(trained, tmp_path):
    import shutil

    run = tmp_path / "run"
    shutil.copytree(trained, run)
    record = next((run / "ema_snapshots" / "20").glob("record/*"))
    record.write_text("{}")
    with pytest.raises(UserError, match=r"checkpoint 20 in .*ema_snapshots is damaged"):
        score_sde.load(run, weights="posthoc:0.07")


def test_the_table_has_a_row_for_each_length(trained):
    before = (trained / "evaluation.json").exists()
    done = program.called_command(
        ema.main,
        str(trained),
        "--lengths=0.05,0.07",
        "--config.evaluation.num_examples=16",
    )
    assert done.returncode == 0, done.stderr
    head, *rows = done.stdout.splitlines()[-3:]
    assert head.split() == ["sigma_rel", "loss_by_time"]
    assert [row.split()[0] for row in rows] == ["0.05", "0.07"]
    assert all(float(row.split()[1]) > 0 for row in rows)
    assert (trained / "evaluation.json").exists() == before
    refused = program.called_command(ema.main, str(trained), "--lengths=0.05,0.001")
    assert (refused.returncode, refused.stderr.count("error: ")) == (2, 1)
    assert refused.stdout == ""  # before the first is measured
