"""Vectors through the command line, told a label and a number: train, sample, evaluate."""

import json

import numpy as np
import pytest

from score_sde import data
from score_sde.cli import flags
from score_sde.errors import UserError

pytestmark = pytest.mark.slow

RECIPE = """
import numpy as np

from configs import toy_moons
from score_sde import data
from score_sde.data import arrays


def draw(rng, n):
    label = rng.integers(0, 2, n)
    size = rng.random(n)
    vector = np.stack([label + size, size], 1) + 0.1 * rng.standard_normal((n, 2))
    return {"vector": vector, "label": label, "size": size}


def get_config():
    data.register("mine", lambda split: arrays.function(draw, 400, name="mine", split=split))
    config = toy_moons.get_config()
    config.data.name = "mine"
    config.conditions.fields = ("label", "size")
    config.conditions.label.dropout = 0.1
    config.model.channels = 16
    config.model.depth = 1
    config.model.init_scale = 1.0
    config.training.batch_size = 16
    config.training.steps = config.training.sample_every = config.training.eval_every = 4
    config.training.steps_per_call = config.training.log_every = 2
    config.training.checkpoint_every = 4
    config.sampling.num_samples = config.sampling.batch_size = 8
    config.evaluation.num_examples = config.evaluation.batch_size = 10
    config.evaluation.metrics = ("log_likelihood", "fid")
    config.evaluation.samples.num_samples = 8
    return config
"""


def test_a_model_of_vectors_that_is_told_a_label_and_a_number(main, tmp_path, capsys):
    workdir = tmp_path / "run"
    assert main("--config.sampling.predictor_corrector.snr=0.2") == 0
    said = capsys.readouterr().out
    assert "vector of 2" in said
    unread = "config.sampling.predictor_corrector.snr has no effect with config.sampling.sampler="
    assert said.count(f"note: {unread}") == 1
    found = json.loads((workdir / "config.json").read_text())["run"]
    mean = data.load("mine", "train").gather(np.arange(400))["vector"].mean(0)
    np.testing.assert_allclose(found["space"]["mean"], mean, rtol=1e-5)
    assert (workdir / "samples" / "4.png").exists()
    assert main("--mode=sample") == 0
    drawn = np.load(workdir / "samples.npz")
    assert drawn["samples"].shape == (8, 2)
    # What is not given is of an example, all of it of the same one.
    examples = data.load("mine", "train").gather(np.arange(400))
    pairs = set(zip(examples["label"].tolist(), examples["size"].tolist(), strict=True))
    assert set(zip(drawn["label"].tolist(), drawn["size"].tolist(), strict=True)) <= pairs
    for value in ("size=inf", "size=nan", "size=1e39", "label=4294967296"):
        before = (workdir / "samples.npz").read_bytes()
        assert main("--mode=sample", f"--condition={value}", "--overwrite") == 2
        assert (workdir / "samples.npz").read_bytes() == before
    samples = []
    for size in ("0.1", "0.9"):
        told = ("--condition=label=1", f"--condition=size={size}")
        assert main("--mode=sample", *told, "--overwrite") == 0
        drawn = np.load(workdir / "samples.npz")
        np.testing.assert_array_equal(drawn["size"], np.float32(size))
        np.testing.assert_array_equal(drawn["label"], 1)
        samples.append(drawn["samples"])
    assert np.abs(samples[0] - samples[1]).max() > 1e-3
    assert main("--mode=evaluate") == 0
    entries = json.loads((workdir / "evaluation.json").read_text())
    assert entries["log_likelihood"]["unit"] == "nats"
    assert np.isfinite([entry["value"] for entry in entries.values()]).all()
    # A run that goes on keeps what was measured when it began, and refuses other data.
    record = json.loads((workdir / "config.json").read_text())
    begun = record["run"]["space"]["mean"]
    del record["run"]["sha256"]  # as of a run that was begun before records had a checksum
    for moved, code in ((1e-6, 0), (0.1, 2)):
        record["run"]["space"]["mean"] = [begun[0] + moved, begun[1]]
        (workdir / "config.json").write_text(json.dumps(record))
        capsys.readouterr()
        assert main() == code
        kept = json.loads((workdir / "config.json").read_text())["run"]["space"]
        assert kept["mean"][0] == pytest.approx(begun[0] + moved, abs=1e-7)
    assert "was begun with other data than mine holds now" in capsys.readouterr().err
    assert main("--mode=evaluate", "--config.evaluation.metrics=('bits_per_dim',)") == 2
    assert "log_likelihood" in capsys.readouterr().err
    assert main("--mode=sample", "--task=inpaint") == 2
    assert "vectors in config.space.name=vectors, of which no part can" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.space.name=pixels"], "mine has no field of kind image"),
        (["--config.data.field=size"], "the field 'size' of mine is of kind number, not vector"),
        (["--config.data.field=siez"], "mine has no field 'siez': did you mean 'size'"),
        (["--config.conditions.fields=('sise',)"], "mine has no field 'sise'"),
        (["--config.conditions.number.dropout=2."], "number.dropout=2.0 must be at least 0"),
        (["--config.conditions.fields=(3,)"], "this field takes a tuple of texts"),
        (
            ["--config.sde.beta_max=inf"],
            "beta_max=inf: this field takes a finite number",
        ),
        ([f"--config.seed={2**63}"], "whole numbers here have at most 64 bits"),
        (["--config.optim.beta1=1.0"], "optim.beta1=1.0 must be at least 0 and below 1"),
        (["--config.training.ema_decays=(0.9,0.9)"], "ema_decays=(0.9, 0.9) has a number twice"),
        (["--config.evaluation.metrics=('fdi',)"], "did you mean 'fid'"),
        (["--config.evaluation.metrics=('fid','fid')"], "names one twice"),
        (["--config.model.channels=4000000000"], "channels=4000000000 must be at least 16"),
        (["--config.model.channels=1000000"], "parameters needs at least"),
        (["--config.training.batch_size=1000000000000"], "must be at least 1 and at most 2,1"),
    ],
)
def test_a_field_that_does_not_go_is_one_line(main, tmp_path, capsys, arguments, message):
    assert main(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_none_can_be_given_where_help_prints_it():
    """Also where the recipe has given another value, and nowhere else."""
    recipe = ["main.py", "--config=configs/digits_vp.py"]
    with pytest.raises(UserError, match=r"config.training.steps=None: this field takes a whole"):
        flags.parse([*recipe, "--config.training.steps=None"])
    for given in (["--config.sampling.steps=None"], ["--config.sampling.steps", "None"]):
        line = flags.parse([*recipe, *given])
        assert line.config.sampling.steps is None
        assert line.overrides == ("sampling.steps",)
    with pytest.raises(UserError, match=r"config.sampling is a section, not a value: .*sampling.s"):
        flags.parse([*recipe, "--config.sampling=None"])
    with pytest.raises(UserError, match=r"config.sampling.rk45 is a section, not a value"):
        flags.parse([*recipe, "--config.sampling.rk45=3"])
    tuples = [f"--config.evaluation.metrics={names}" for names in ("('fid','kid')", "('fid',)")]
    assert flags.parse([*recipe, *tuples]).config.evaluation.metrics == ("fid",)
    both = ["--config.sampling.steps=None", "--config.sampling.steps=7"]
    assert flags.parse([*recipe, *both]).config.sampling.steps == 7  # the last one counts
    assert flags.parse([*recipe, *reversed(both)]).config.sampling.steps is None
