"""The real training loop where losses are not finite or spike, and where examples are damaged."""

import json
import re
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from program import called, called_until, metrics

import score_sde
from score_sde import data, fields
from score_sde.runs import train
from score_sde.training import stability

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("compilation_cache")]

SEED = 0
GIVEN = (
    "--config=configs/toy_moons.py",
    f"--config.seed={SEED}",
    "--config.model.channels=16",
    "--config.model.depth=1",
    "--config.training.batch_size=16",
    "--config.training.steps=12",
    "--config.training.steps_per_call=2",
    "--config.training.log_every=2",
    "--config.training.eval_every=0",
    "--config.training.sample_every=0",
    "--config.training.checkpoint_every=4",
    "--config.training.skip_nonfinite=1",
)


@pytest.fixture(autouse=True)
def four_steps_are_typical(monkeypatch):
    monkeypatch.setattr(stability, "WINDOW", 4)


@pytest.fixture
def spoil(monkeypatch):
    """Multiply the losses of a batch by what a function of (key, step) says."""

    def of(factor):
        make = train.make_train_step

        def spoilt(loss, *arguments, **options):
            def other(key, params, constants, space, batch, step):
                return factor(key, step) * loss(key, params, constants, space, batch, step)

            return make(other, *arguments, **options)

        monkeypatch.setattr(train, "make_train_step", spoilt)

    return of


def once(key, step):
    """A spike in step 8 with the key of a run that never went back; step 10 is never finite."""
    first = jax.random.fold_in(jax.random.fold_in(jax.random.key(SEED), 1), 7)
    spikes = jnp.all(jax.random.key_data(key) == jax.random.key_data(first))
    return jnp.where(step == 9, jnp.nan, jnp.where(spikes, 1e6, 1.0))


def saved(workdir):
    """What the checkpoint of the last step says of the arrays, and of all else."""
    folder = workdir / "checkpoints" / "12"
    arrays = json.loads((folder / "record" / "metadata").read_text())
    return arrays, json.loads((folder / "data" / "metadata").read_text())


def test_a_spike_goes_back_past_its_batch_and_a_killed_run_goes_the_same_way(tmp_path, spoil):
    """Killed as it goes back and again later; a stop leaves a checkpoint that it must not take."""
    spoil(once)
    given = (*GIVEN, "--config.training.rewind=100")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    result = called(*given, f"--workdir={whole}")
    assert result.returncode == 0, result.stderr
    (line,) = (line for line in result.stdout.splitlines() if "back to" in line)
    assert line.startswith("the loss spikes at step 8: ")
    assert line.endswith(": back to checkpoint 4, with other batches and noise")

    assert re.search(r"^step 12/12 .* left, skipped 1, rewinds 1$", result.stdout, re.MULTILINE)
    rows = metrics(whole)
    assert [row["step"] for row in rows] == ["2", "4", "6", "8", "10", "12"]
    assert [row["rewinds"] for row in rows] == ["0", "0", "1", "1", "1", "1"]
    assert [row["skipped"] for row in rows] == ["0", "0", "0", "0", "1", "1"]
    assert score_sde.load(whole).step == 12
    place = saved(whole)[1]
    assert place["next_index"] == 12 + 4  # those of steps 5 to 8 were passed over
    assert (place["watch"]["rewinds"], place["watch"]["skipped"]) == (1, 1)

    acts = {"step 6/": stopped_here, "back to": killed_here, "step 10/": killed_here}
    said = [called_until(*act, *given, f"--workdir={killed}").stdout for act in acts.items()]
    assert "stopped by SIGTERM at step 6" in said[0]
    assert "going on from step 6" in said[1]
    assert "going on from step 4" in said[2]
    result = called(*given, f"--workdir={killed}")
    assert "going on from step 8" in result.stdout
    assert "back to" not in result.stdout
    assert saved(killed) == saved(whole)
    columns = ("step", "loss", "grad_norm", "skipped", "rewinds")
    assert [[row[n] for n in columns] for row in metrics(killed)] == [
        [row[n] for n in columns] for row in rows
    ]


def test_damage_that_is_found_in_training_costs_no_step(tmp_path):
    """The step before it is saved, and the run goes on as one with others in their place does."""
    batches = data.train_batches(source(), batch_size=16, seed=SEED)
    due = [next(batches)["x"][:, 0] for _ in range(7)]
    batches.close()
    index, damaged = int(due[6][3]), set()  # due in step 7
    data.register("mine", lambda split: source(damaged))
    given, replace = (*GIVEN, "--config.data.name=mine"), "--config.data.replace_damaged=True"
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"

    def begun(*arguments):  # what was measured before is of them all
        damaged.clear()
        return called_until("parameters", lambda: damaged.add(index), *given, *arguments)

    result = begun(f"--workdir={stopped}")
    assert result.returncode == 2
    assert result.stderr == (
        f"error: example {index} is damaged; or give {replace} to train on with another in its "
        "place. Step 6 is saved\n"
    )
    results = [
        called(*given, replace, f"--workdir={stopped}"),
        begun(replace, f"--workdir={whole}"),
    ]
    assert "going on from step 6" in results[0].stdout
    for result in results:
        assert result.returncode == 0, result.stderr
        assert result.stderr.count(f"warning: example {index} is damaged. Example ") == 1
    assert saved(stopped) == saved(whole)


def source(damaged=()):
    """Points of the plane, of which some cannot be read."""

    def read(indices):
        if found := set(indices.tolist()) & set(damaged):
            raise data.DataError(f"example {min(found)} is damaged")
        return {"x": np.stack([indices, indices % 7], axis=1).astype(np.float32)}

    info = data.Info("mine", "train", 400, (fields.vector(2, "x"),))
    return data.Source(info, read, cache_bytes=0)


def stopped_here():
    signal.raise_signal(signal.SIGTERM)


def killed_here():
    """Nothing is saved of what was done since the last checkpoint."""
    raise KeyboardInterrupt


def test_training_does_not_go_back_for_ever(tmp_path, spoil):
    """Where it is not finite whatever is drawn, in more steps in a row than may be."""
    spoil(lambda key, step: jnp.where((step == 5) | (step == 6), jnp.nan, 1.0))
    workdir = tmp_path / "unstable"
    result = called(*GIVEN, f"--workdir={workdir}", "--config.training.rewind=1e6")
    assert result.returncode == 1
    said = "the loss or its gradient is not finite at step 6 and in the 1 after it"
    assert result.stderr == (
        f"error: {said}, though training went back 3 times; nothing was saved since. Last good "
        f"checkpoint: {workdir / 'checkpoints' / '4'}. Try a smaller config.optim.learning_rate, "
        "or config.model.dtype=float32.\n"
    )
    back = [line for line in result.stdout.splitlines() if "back to" in line]
    where = f"{said}: back to checkpoint 4"
    assert back == [
        f"{where}{again}, with other batches and noise"
        for again in ("", ", 2 of 3 times", ", 3 of 3 times")
    ]
