"""ADM: sizes as published, heads, learned sigma, precision. Golden outputs: tests/interop."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde import fields
from score_sde.models import ADM
from score_sde.models.blocks import attend
from score_sde.models.conditions import Label
from score_sde.models.conditions.augment import AugmentEmbedding
from score_sde.models.functional import functional, streams

pytestmark = pytest.mark.slow

LABEL = {"label": functools.partial(Label().embedding, fields.label(1000))}
# In millions, as Dhariwal and Nichol 2021 count them for 64x64 and 256x256. Classes have a row more
# here, for none.
PUBLISHED = {
    "adm_64": (296, {}),
    "adm_256": (
        554,
        {
            "shape": (256, 256, 3),
            "channels": 256,
            "channel_mult": (1, 1, 2, 2, 4, 4),
            "num_res_blocks": 2,
        },
    ),
}
TINY = {"shape": (4, 8, 1), "channels": 8, "channel_mult": (1, 2), "num_res_blocks": 1}
TINY |= {"attn_resolutions": (2,), "head_channels": 8, "init_scale": 1.0, "dropout": 0.5}


def make(**options):
    return functional(lambda rngs: ADM(**{**TINY, **options}, rngs=rngs))


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameter_counts_as_published(name):
    millions, options = PUBLISHED[name]
    options |= {"conditions": LABEL, "learn_variance": True}
    model = nnx.eval_shape(lambda: ADM(**options, rngs=streams(0)))
    count = sum(a.size for a in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert round(count / 1e6) == millions


def test_every_parameter_matters_with_remat_too():
    """Of images that are not square. The biases of keys shift all logits alike: no gradient."""
    conditions = {"augment": functools.partial(AugmentEmbedding, 9)}
    model = make(remat=True, conditions=conditions, learn_variance=True, heads_up=1)
    params, constants = filled(model)
    x, noise = jax.random.normal(jax.random.key(1), (1, 4, 8, 1)), jnp.array([3.0])

    def loss(p):
        out = model.apply(p, constants, x, noise, {"augment": jnp.ones((1, 9))})
        assert out.shape == (1, 4, 8, 2)
        return (out**2).sum()

    gradient = quick_jit(jax.grad(loss))(params)
    dead = [k for k, g in gradient.items() if not np.abs(g).max() > 0]
    assert all(k.endswith("key/bias") for k in dead)


def test_bfloat16_inside_and_float32_outside():
    """Near what float32 gives, and not the same; a key drops features."""
    model, coarse = make(channel_mult=(1,)), make(channel_mult=(1,), dtype=jnp.bfloat16)
    arrays = filled(model)
    x, noise = jax.random.normal(jax.random.key(1), (2, 4, 8, 1)), jnp.array([3.0, 700.0])
    fine, rough, dropped = quick_jit(
        lambda x: (
            model.apply(*arrays, x, noise),
            coarse.apply(*arrays, x, noise),
            model.apply(*arrays, x, noise, key=jax.random.key(0)),
        )
    )(x)
    assert rough.dtype == fine.dtype == jnp.float32
    error = np.linalg.norm(rough - fine) / np.linalg.norm(fine)
    assert 1e-4 < error < 0.1
    assert np.linalg.norm(dropped - fine) > 0.1 * np.linalg.norm(fine)


def test_heads_attend_each_for_itself(x64):
    """Attention with two heads is that with one on either half of the channels."""
    q, k, v = jax.random.normal(jax.random.key(0), (3, 2, 5, 6), jnp.float64)
    halves = [attend(q[..., i], k[..., i], v[..., i], 1) for i in (slice(3), slice(3, 6))]
    np.testing.assert_allclose(attend(q, k, v, 2), np.concatenate(halves, -1), rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (6, 6, 1), "channel_mult": (1, 2, 2)}, "height 6 cannot be halved 2 times"),
        ({"heads": 3}, "16 features cannot be divided into 3 heads"),
        ({"attn_resolutions": (3,)}, r"attn_resolutions=\(3,\): no level has such a size"),
        ({"heads": -1}, "heads=-1 must be at least 0"),
        ({"channel_mult": (0.3,)}, "channels=8 times 0.3 of channel_mult is not a whole number"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
