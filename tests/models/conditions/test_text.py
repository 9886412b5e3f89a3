"""A text as tokens and a vector: its null, its dropout, what padding and others do to it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde import fields
from score_sde.models.blocks import Attention
from score_sde.models.conditions import Make, Text
from score_sde.models.functional import functional
from score_sde.models.unet import UNet
from score_sde.prediction import null_like

pytestmark = pytest.mark.slow

SMALL = {"words": 6, "features": 8, "depth": 2, "heads": 2, "rows": 64}
TEXTS = ["red heart", "waving hand: medium skin tone", "a", "red square"]
MOST = 32


def values(texts=TEXTS, most=MOST):
    return jnp.asarray(fields.encode_texts(texts, most))


def embedding(most=MOST, **options):
    make = {"param_dtype": jnp.float32, "rngs": nnx.Rngs(0)}
    return Text(**SMALL | options).embedding(fields.text(most), 8, **make)


def reader(module, count=4, key=None):
    """What the module gives, compiled once for so many texts."""
    return quick_jit(lambda value: module.read(value, count, key))


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_none_the_empty_text_its_null_and_what_is_dropped_are_one():
    """To the last bit, tokens and vector; only the token of the text itself is there."""
    module, count = embedding(dropout=1.0), len(TEXTS)
    read = reader(module)
    empty = read(values([""] * count))
    assert empty.tokens.mask.tolist() == [[True] + 6 * [False]] * count
    for value in (None, null_like(values()), values(["  "] * count)):
        same(read(value), empty)
    same(reader(module, key=jax.random.key(0))(values()), empty)
    assert not np.isclose(read(values()).vector, empty.vector).all(axis=1).any()


def test_texts_are_hidden_at_their_rate():
    """A fifth of 2000, to 4 standard errors; the others are as without a key."""
    module, value = embedding(dropout=0.2), values(["red heart"] * 2000)
    key = jax.random.key(0)
    told, kept = (reader(module, 2000, key)(value).vector for key in (key, None))
    hidden = (told != kept).any(axis=1)
    assert abs(float(hidden.mean()) - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 2000)


def test_neither_padding_nor_other_examples_change_a_text():
    """To the last bit: a longer field, other texts beside it, and words that have no room.

    And, up to rounding, room for more words. Their order does.
    """
    module, wide = embedding(), embedding(words=12)
    read = reader(module)
    found = read(values())
    positions = wide.reader.positions
    positions[...] = positions[...].at[:7].set(module.reader.positions[...])
    roomy = reader(wide)(values())
    np.testing.assert_allclose(roomy.vector, found.vector, rtol=1e-5, atol=1e-6)
    same(reader(embedding(most=96))(values(most=96)), found)
    others = read(values([TEXTS[0], "1 2 3 4 5 6", "1 2 3 4 5 6 7", "square red"]))
    same(*(jax.tree.map(lambda a: a[0], one) for one in (found, others)))
    same(*(jax.tree.map(lambda a, i=i: a[i], others) for i in (1, 2)))
    assert not np.allclose(others.vector[3], found.vector[3])


def test_attention_does_not_see_tokens_that_are_not_there():
    """To the last bit, and it sees those that are."""
    layer = {"param_dtype": jnp.float32, "rngs": nnx.Rngs(0)}
    module = Attention(8, seen=4, skip_rescale=False, init_scale=1.0, heads=2, **layer)
    rng = np.random.default_rng(0)
    x, seen = (jnp.asarray(rng.standard_normal(s), jnp.float32) for s in ((2, 3, 3, 8), (2, 5, 4)))
    mask = jnp.arange(5)[None] < jnp.array([[2], [4]])
    call = quick_jit(module)
    out = call(x, seen, mask)
    np.testing.assert_array_equal(call(x, jnp.where(mask[..., None], seen, 1e3), mask), out)
    assert not np.isclose(call(x, seen.at[:, 1].set(9.0), mask), out).all(axis=(1, 2, 3)).any()


@pytest.fixture(scope="module")
def network():
    """A U-Net that is told a text, with weights that are not small, as of (params, x, texts)."""
    make = {"text": Make(Text(**SMALL), fields.text(MOST))}
    found = functional(
        lambda rngs: UNet(
            shape=(4, 4, 1), channels=4, channel_mult=(1,), num_res_blocks=1,
            attn_resolutions=(4,), dropout=0.0, conditions=make, rngs=rngs,
        )
    )  # fmt: skip
    params, constants = filled(found)

    def call(params, x, texts):
        return found.apply(params, constants, x, jnp.ones(len(x)), {"text": texts})

    return params, quick_jit(call)


def test_a_unet_looks_at_the_words(network):
    """Not only at the vector of the text; each example at its own, as if it were alone."""
    params, call = network
    params = {p: 0 * a if p.startswith("conditions/text/dense") else a for p, a in params.items()}
    x = jnp.tile(jax.random.normal(jax.random.key(0), (1, 4, 4, 1)), (4, 1, 1, 1))
    out = call(params, x, values())
    for i in range(4):
        for j in range(i):
            assert np.abs(out[i] - out[j]).max() > 1e-3
    other = call(params, x, values([TEXTS[0], "", "x", TEXTS[3]]))
    np.testing.assert_array_equal(other[np.array([0, 3])], out[np.array([0, 3])])


def test_what_cannot_work_is_refused():
    """Another kind of field, heads that do not divide, a text of another field."""
    with pytest.raises(ValueError, match="is of kind label: Text embeds fields of kind text"):
        Text().embedding(fields.label(3), 8, param_dtype=jnp.float32, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="8 features cannot be divided into 3 heads"):
        embedding(heads=3)
    with pytest.raises(ValueError, match=r"of shape \(4, 40\); this text takes \(4, 32\)"):
        embedding()(values(most=40), 4, None)
