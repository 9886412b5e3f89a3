"""The examples of the page that say what is modelled: data set, space, condition."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from extending.trained import trained
from flax import nnx


def used_data_set(names):
    """Less the sum of its arrows, each vector is noise; both splits are what they were."""
    from configs import arrows
    from score_sde import data

    train, test = (data.load("arrows", split) for split in ("train", "test"))
    assert (len(train), len(test), train.info["mask"].kind) == (5000, 500, "mask")
    examples = train.gather(np.arange(5000))
    noise = (examples["vector"] - examples["mask"] @ arrows.ARROWS) / arrows.NOISE
    # Within 5 standard errors, of a mean, a variance and a share of 10,000 and 15,000 draws.
    assert abs(noise.mean()) < 5 / 100
    assert abs(noise.var() - 1) < 5 * np.sqrt(2) / 100
    assert abs(examples["mask"].mean() - 0.5) < 5 * 0.5 / np.sqrt(15_000)
    again = data.load("arrows", "train").gather(np.arange(500))
    assert np.array_equal(again["vector"], examples["vector"][:500])
    assert not np.isin(test.gather(np.arange(500))["vector"], examples["vector"]).any()
    assert trained("arrows")["data"]["name"] == "arrows"


def used_space(names):
    """encode whitens, decode inverts it, and log_volume is the Jacobian's, all in a run too."""
    from score_sde import data
    from score_sde.spaces import SPACES

    source = data.load("arrows", "train")
    examples = source.gather(np.arange(len(source)))["vector"].astype(np.float64)
    with jax.enable_x64(True):
        space = SPACES["whitened"].of(source.info["vector"])
        space = space.with_arrays(trained("whitened")["run"]["space"])
        x = space.encode(jnp.asarray(examples))
        # Mean and L are kept in float32.
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(np.cov(x, rowvar=False), np.eye(2), atol=1e-5)
        np.testing.assert_allclose(space.decode(x), examples, atol=1e-12)
        jacobian = jax.jacobian(lambda one: space.encode(one[None])[0])(examples[0])
        sign, log_volume = np.linalg.slogdet(jacobian)
        assert sign == 1
        np.testing.assert_allclose(space.log_volume(examples[:1]), [log_volume], rtol=1e-6)
        assert abs(log_volume) > 0.1
    space.save(Path("saved"), ["one"], examples[:1])
    np.testing.assert_allclose(np.loadtxt("saved/one.txt"), examples[0], rtol=1e-8)


def used_condition(names):
    """The embedding is a sum over what the mask has; its null is what dropout and None give."""
    from score_sde.fields import Field
    from score_sde.models.conditions import CONDITIONS

    conditions = trained("masked")["conditions"]
    assert (conditions["fields"], conditions["mask"]) == (["mask"], {"dropout": 0.1})
    assert np.load("runs/masked/samples.npz")["mask"].tolist() == [[True, False, True]] * 8

    field = Field("mask", "mask", (3,), "bool")
    make = CONDITIONS["mask"](dropout=0.5).embedding
    with jax.enable_x64(True):
        module = make(field, 8, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
        module.null[...] = jnp.full(8, 5.0)
        e = module(jnp.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], bool), 4, None)
        np.testing.assert_allclose(e[3] + e[0], e[1] + e[2], rtol=1e-14, atol=1e-14)
        assert not np.allclose(e[1], e[2])
        np.testing.assert_array_equal(module(None, 2, None), np.full((2, 8), 5.0))
        dropped = module(jnp.ones((1000, 3), bool), 1000, jax.random.key(0)) == 5
        assert (dropped.all(1) == dropped.any(1)).all()
        assert abs(dropped.mean() - 0.5) < 5 * 0.5 / np.sqrt(1000)  # 5 standard errors
