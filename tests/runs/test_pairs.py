"""Pairs of reflow that are kept: what is drawn, that a list is kept whole, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.errors import UserError
from score_sde.objectives import FlowMatching
from score_sde.prediction import Prediction
from score_sde.processes import RectifiedFlow
from score_sde.runs import pairs
from score_sde.runs.pairs import Pairs

KEY = jax.random.key(2)


def couple(key, x0, cond):
    eps = jax.random.normal(key, x0.shape, x0.dtype)
    return 3 * eps + 1, eps


def test_kept_pairs_are_as_they_were_drawn(tmp_path):
    """As many as asked, from batches of different noise, and the same when read."""
    found = pairs.drawn(KEY, jax.tree_util.Partial(couple), 300, (2, 1))
    assert found.x0.shape == found.eps.shape == (300, 2, 1)
    assert len(np.unique(found.eps)) == 600
    np.testing.assert_allclose(found.x0, 3 * found.eps + 1, rtol=1e-6, atol=1e-6)
    pairs.write(tmp_path, found)
    again = pairs.read(tmp_path, 300, (2, 1))
    np.testing.assert_array_equal(again.x0, found.x0)
    np.testing.assert_array_equal(again.eps, found.eps)
    for number, shape in ((299, (2, 1)), (300, (1, 2))):
        with pytest.raises(UserError, match=r"is not a file of pairs: it holds float32 \[300, 2, "):
            pairs.read(tmp_path, number, shape)
    pairs.write(tmp_path, Pairs(found.x0, np.full_like(found.eps, np.nan)))
    with pytest.raises(UserError, match="not all of it is finite"):
        pairs.read(tmp_path, 300, (2, 1))


def test_a_model_of_the_lines_between_pairs_has_no_loss(x64):
    """A batch has the noise and the data of one pair each, which lie on lines that are known."""
    eps = jax.random.normal(KEY, (50, 1))
    kept = Pairs(3 * eps + 1, eps)
    x0, drawn = kept(KEY, jnp.zeros((1000, 1)), None)
    np.testing.assert_array_equal(x0, 3 * drawn + 1)
    assert len(np.unique(drawn)) == 50  # of 1000 draws, each is missed with odds of 2e-9

    def lines(x, t, cond=None):
        t = t[:, None]
        eps = (x - (1 - t)) / (3 * (1 - t) + t)
        return Prediction(3 * eps + 1, eps)

    loss = FlowMatching(teacher="run", pairs=50).given(kept)
    assert (loss(KEY, lines, RectifiedFlow(), jnp.zeros((64, 1))) < 1e-24).all()


def test_more_pairs_than_memory_are_refused_before_one_is_drawn():
    with pytest.raises(UserError, match=r"pairs=100000000 needs at least 9\.8 TB"):
        pairs.drawn(KEY, None, 10**8, (64, 64, 3))


def test_pairs_are_of_a_teacher():
    with pytest.raises(ValueError, match="pairs=9 are of a teacher: give the folder of its run"):
        FlowMatching(pairs=9)
