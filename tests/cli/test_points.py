"""Sets of points of all sizes through the command line: train, sample with guidance, evaluate."""

import json

import numpy as np
import pytest

from score_sde import data
from score_sde.training import memory

pytestmark = pytest.mark.slow

RECIPE = """
import numpy as np

from configs import furniture_points
from score_sde import data, fields
from score_sde.data import arrays

FIELDS = (fields.points(6, 4), fields.number("size"), fields.label(2, name="category"))


def draw(rng, n):
    size = rng.integers(2, 7, n)
    points = rng.standard_normal((n, 6, 4)) * [1, 1, 1, 3]
    points = np.where(np.arange(6)[None, :, None] < size[:, None, None], points, 0)
    return {"points": points, "size": size.astype(np.float32), "category": rng.integers(0, 2, n)}


def get_config():
    data.register(
        "mine", lambda split: arrays.function(draw, 200, name="mine", split=split, fields=FIELDS)
    )
    config = furniture_points.get_config()
    config.data.name = "mine"
    config.space.points.size = "size"
    config.space.points.rotations = "vertical"
    config.conditions.fields = ("category", "size")
    config.conditions.number.scale = 2.0
    config.model.channels, config.model.depth, config.model.heads = 8, 1, 2
    config.training.batch_size = 8
    config.training.steps = config.training.sample_every = config.training.eval_every = 4
    config.training.steps_per_call = config.training.log_every = 2
    config.training.checkpoint_every = 4
    config.sampling.num_samples = config.sampling.batch_size = 8
    config.evaluation.num_examples = config.evaluation.batch_size = 8
    config.evaluation.metrics = ("point_sets", "log_likelihood")
    config.evaluation.log_likelihood.rtol = config.evaluation.log_likelihood.atol = 0.1
    return config
"""


def sized(drawn):
    """Whether each sample has its number of points, and its places no mean.

    What rounding makes of one grows by alpha(0) / alpha(1), 150 times, where nothing projects it.
    """
    there = np.arange(6)[None] < drawn["size"][:, None]
    x = drawn["samples"]
    return np.array_equal(x.any(axis=-1), there) and np.abs(x[..., :3].sum(1)).max() < 1e-3


def test_sets_of_all_sizes(main, tmp_path, capsys, monkeypatch):
    workdir = tmp_path / "run"
    assert main() == 0
    assert "points of 6x4" in capsys.readouterr().out
    assert (workdir / "samples" / "4.png").exists()
    # Sizes of examples, with those of guidance too, by samplers of given steps and of chosen ones.
    guided = ("guidance.scale=2.0", "sampling.sampler=rk45", "sampling.rk45.rtol=0.1")
    for fields in ((), guided):
        more = [f"--config.{field}" for field in fields]
        assert main("--mode=sample", "--overwrite", *more) == 0
        drawn = np.load(workdir / "samples.npz")
        assert sized(drawn)
        assert len(set(drawn["size"].tolist())) > 1
    assert main("--mode=sample", "--overwrite", "--condition=size=3") == 0
    drawn = np.load(workdir / "samples.npz")
    np.testing.assert_array_equal(drawn["size"], 3)
    assert sized(drawn)
    with monkeypatch.context() as patch:  # before anything is drawn, or told
        patch.setattr(memory, "of_host", lambda: 1_000_000)
        assert main("--mode=sample", "--num_samples=20000") == 2
    assert capsys.readouterr().err.startswith("error: 20000 samples (--num_samples or config.")
    assert main("--mode=evaluate") == 0
    entries = json.loads((workdir / "evaluation.json").read_text())
    assert {"nna", "coverage", "mmd", "nearest_training", "log_likelihood"} <= entries.keys()
    assert "nna_emd" not in entries  # sets of different sizes have no map onto each other
    assert np.isfinite([entry["value"] for entry in entries.values()]).all()
    capsys.readouterr()
    assert main("--config.conditions.fields=('category',)", f"--workdir={tmp_path / 'new'}") == 2
    assert "config.conditions.fields: the space tells by size" in capsys.readouterr().err
    assert data.load("mine", "train").info["points"].words == "points of 6x4"
