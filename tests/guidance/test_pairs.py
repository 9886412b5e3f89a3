"""Two conditions in one batch: the nulls of every kind of condition, by their values."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from flax import nnx

from score_sde import fields
from score_sde.guidance.pairs import told_both
from score_sde.models.conditions import CONDITIONS
from score_sde.models.conditions.combined import make_embeddings
from score_sde.prediction import Prediction, null_like

FIELDS = (fields.label(3), fields.number("size"), fields.vector(2, "pose"))
COND = {"label": jnp.array([2, 0]), "size": jnp.ones(2), "pose": jnp.ones((2, 2))}


class Told:
    """A denoiser that says what it is told: the sum of the conditions' embeddings."""

    TAKES_NULLS = True

    def __init__(self):
        make = {f.name: functools.partial(CONDITIONS[f.kind]().embedding, f) for f in FIELDS}
        self.module = make_embeddings(make, 8, param_dtype=jnp.float32, rngs=nnx.Rngs(0))
        for name in ("size", "pose"):
            self.module[name].null[...] = jnp.arange(8.0)
        self.batches = []

    def __call__(self, x, t, cond=None):
        self.batches.append(len(x))
        return Prediction(self.module(cond, len(x), None), jnp.broadcast_to(t[:, None], x.shape))


@pytest.fixture(scope="module")
def told():
    return Told()


@pytest.mark.parametrize("negative", [None, {"label": jnp.array([1, 1])}])
def test_what_is_kept_is_told_twice(told, negative):
    """Unless the negative condition has another."""
    x, t = jnp.zeros((2, 8)), jnp.array([0.25, 0.75])
    keeps = ("size", "label", "other")
    wanted, other = quick_jit(lambda x, t: told_both(told, x, t, COND, negative, keeps))(x, t)
    np.testing.assert_allclose(wanted.x0, told(x, t, COND).x0, rtol=1e-5, atol=1e-6)
    both = {name: COND[name] for name in ("size", "label")} | (negative or {})
    np.testing.assert_allclose(other.x0, told(x, t, both).x0, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("cond", "negative"),
    [
        (COND, None),
        ({"label": np.array([2, 0]), "size": None}, {}),  # NumPy's compare with None by element
        ({"label": COND["label"]}, None),
        (COND, {"label": jnp.array([1, 1])}),
        ({"size": COND["size"]}, {"pose": jnp.zeros((1, 2)), "size": None}),
        (None, {"label": jnp.array([1, 1])}),
    ],
    ids=["all", "NumPy", "one", "negative", "others", "negative alone"],
)
def test_one_batch_is_two_calls(told, cond, negative):
    """What is missing in one of the two, or is None, is null there, of every kind."""
    x, t = jnp.zeros((2, 8)), jnp.array([0.25, 0.75])
    told.batches.clear()
    wanted, other = quick_jit(lambda x, t: told_both(told, x, t, cond, negative))(x, t)
    assert told.batches == [4]
    shown = {
        n: v if v is None else jnp.broadcast_to(v, (2, *v.shape[1:]))
        for n, v in (negative or {}).items()
    }
    alone = quick_jit(lambda x, t: (told(x, t, cond), told(x, t, shown)))(x, t)
    np.testing.assert_allclose(wanted.x0, alone[0].x0, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(other.x0, alone[1].x0, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(wanted.eps[:, 0], t)
    np.testing.assert_array_equal(other.eps[:, 0], t)


def test_what_has_no_null_is_asked_in_two_calls(told):
    """A mask of True and False: False is a value of it."""
    asked = []

    def denoise(x, t, cond=None):
        asked.append(cond)
        return Prediction(x, x)

    denoise.TAKES_NULLS = True
    mask = {"mask": jnp.array([[True], [False]])}
    told_both(denoise, jnp.zeros((2, 8)), jnp.zeros(2), mask, None)
    assert asked == [mask, None]
    assert null_like(mask["mask"]) is None
    assert null_like(jnp.zeros(2, jnp.uint8)) is None
    assert null_like(jnp.full((1, 2), 65, jnp.uint8)).tolist() == [[0, 0]]  # the text ""
    assert jax.tree.map(null_like, jnp.zeros(2, jnp.int32)).tolist() == [-1, -1]
