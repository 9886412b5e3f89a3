"""config.optim.base: a network that starts and learns as its base does, and what is no base."""

import jax
import numpy as np
import pytest
from filled import quick_jit
from made_info import image_info
from program import called

import score_sde
from score_sde.errors import UserError
from score_sde.runs import build
from score_sde.runs.config import default

pytestmark = pytest.mark.slow

DIGITS = image_info("digits", "train", 100, (8, 8, 1), classes=10)


def config(base=(), channels=16):
    found = default("dit")
    found.model.update(channels=channels, depth=1, heads=2)
    found.optim.base = tuple(base)
    return found


def test_a_wider_network_has_the_rates_of_its_base_and_the_same_constants():
    """Kernels of the first layer start as large as the base's, which are 32 to 64 in size."""
    own, wider = (build.experiment(config(base), DIGITS) for base in ((), ("channels=8",)))
    assert own.rates == {}
    assert wider.rates["blocks/block/feed_forward/dense_0/kernel"] == 0.5
    assert wider.make == own.make  # and what is compiled of it is compiled once
    drawn = [quick_jit(e.network.init)(jax.random.key(0)) for e in (own, wider)]
    larger = drawn[1][0]["dense_in/kernel"] / drawn[0][0]["dense_in/kernel"]
    np.testing.assert_allclose(larger, np.sqrt((4 + 16) / (4 + 8)), rtol=1e-5)
    for one, other in zip(*(jax.tree.leaves(constants) for _, constants in drawn), strict=True):
        np.testing.assert_array_equal(one, other)


def test_its_own_base_changes_nothing():
    own, same = (build.experiment(config(base), DIGITS) for base in ((), ("channels=16",)))
    assert same.rates == {}
    drawn = [quick_jit(e.network.init)(jax.random.key(0)) for e in (own, same)]
    for one, other in zip(*map(jax.tree.leaves, drawn), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (["channels"], "'channels': give FIELD=VALUE of the section model, as channels=64"),
        (["chanels=8"], "unknown field 'chanels': did you mean 'channels'"),
        (["channels=many"], "channels='many': this field takes a whole number"),
        (["channels={8}"], "channels={8}: this field takes a whole number"),
        (["channels=-8"], "channels=-8 must be"),
        (["channels=6"], "channels=6 must be a multiple of"),
        (["channels={[]}"], "channels='{[]}': this field takes a whole number"),
        (["depth=2"], "a base differs in widths alone, and this one in what blocks/block/"),
        (["name=mlp"], "unknown field 'name'"),
    ],
)
def test_what_is_no_base_is_one_line_that_names_the_field(base, message):
    with pytest.raises(UserError, match=r"config.optim.base=\(") as caught:
        build.experiment(config(base), DIGITS)
    assert message in str(caught.value)


def test_a_network_that_is_not_trained_has_no_rates():
    found = config(["channels=8"])
    found.training.lora.rank = 2
    with pytest.raises(UserError, match="network that is trained itself, not of config"):
        build.experiment(found, DIGITS)


@pytest.mark.usefixtures("compilation_cache")
def test_training_moves_each_array_by_its_rate(tmp_path):
    """Adam's first step moves each number by the rate of its array, from where the rule has it."""
    small = {"depth": 1, "channels": 64, "init_scale": 1.0}
    steps = {"steps": 1, "steps_per_call": 1, "eval_every": 0, "sample_every": 0, "batch_size": 16}
    fields = {f"model.{name}": value for name, value in small.items()}
    fields |= {f"training.{name}": value for name, value in steps.items()}
    fields |= {"optim.warmup": 0, "optim.learning_rate": 0.01, "optim.base": "('channels=16',)"}
    fields |= {"optim.decay": "constant", "optim.clip": 0.0, "training.checkpoint_every": 1}
    given = (f"--config.{name}={value}" for name, value in fields.items())
    result = called("--config=configs/toy_moons.py", f"--workdir={tmp_path / 'run'}", *given)
    assert result.returncode == 0, result.stderr
    run = score_sde.load(tmp_path / "run", weights="raw")
    key = jax.random.fold_in(jax.random.key(run.config.seed), 0)
    first, _ = quick_jit(run.experiment.network.init)(key)
    for path, array in run.params.items():
        moved = np.abs(np.asarray(array) - first[path]).max()
        rate = 0.01 * float(run.experiment.rates.get(path, 1.0))
        assert moved == pytest.approx(rate, rel=1e-2), path
    assert len(run.experiment.rates) == 6
