"""Stable Audio Open's transformer: its size, its positions, and who hears what."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde.models.functional import functional
from score_sde.models.stable_audio import StableAudio, _angles
from score_sde.models.tokens import rotate

pytestmark = pytest.mark.usefixtures("quick_compile")
SMALL = {"shape": (6, 3), "channels": 16, "depth": 2, "heads": 2, "key_value_heads": 1}


@functools.cache
def made():
    """A small network with no array of zeros, as a compiled function."""
    model = functional(lambda rngs: StableAudio(**SMALL, text_features=5, rngs=rngs))
    arrays = filled(model)
    return quick_jit(lambda *told: model.apply(*arrays, *told)), model


def batch(seed=0):
    rng = np.random.default_rng(seed)
    x, text = (rng.standard_normal(n).astype(np.float32) for n in ((2, 6, 3), (2, 4, 5)))
    told = {"text": jnp.asarray(text), "start": jnp.asarray([0.0, 5.0])}
    told |= {"seconds": jnp.asarray([30.0, 47.0])}
    return jnp.asarray(x), jnp.asarray([0.2, 0.9]), told


def test_it_is_of_the_published_size():
    """1,057 million by Table 1 of the paper, and layer by layer as the public layout has them."""
    params, _ = functional(lambda rngs: StableAudio(rngs=rngs)).shapes
    width, text, deep = 1536, 768, 24
    block = 4 * width**2 + 2 * width**2 + 2 * text * 12 * 64 + 3 * 2 * width
    block += 2 * 4 * width * (width + 1) + (4 * width + 1) * width
    noise = (256 + 1) * width + (width + 1) * width
    seconds = 2 * text * width + width**2 + 2 * (128 + (257 + 1) * text)
    ends = 2 * 64**2 + 2 * 64 * width
    exact = deep * block + noise + seconds + 2 * text**2 + ends
    found = sum(int(np.prod(p.shape)) for p in params.values())
    assert found == exact
    transformer = found - 2 * (128 + 258 * text)  # the numbers' own layers are counted apart
    assert round(transformer / 1e6) == 1057


def test_half_of_each_head_turns_by_its_position():
    """Products of queries and keys depend on how far they are apart; half of them on nothing."""
    angles = _angles(7, 16)
    assert angles.shape == (7, 8)
    np.testing.assert_allclose(angles[3, :4], 3 * 10_000.0 ** (-np.arange(4) / 4), rtol=1e-6)
    assert not np.any(angles[:, 4:])
    q, k = np.random.default_rng(0).standard_normal((2, 1, 1, 1, 16))
    turned = [rotate(jnp.broadcast_to(jnp.asarray(a), (1, 7, 1, 16)), angles) for a in (q, k)]
    products = np.asarray(jnp.einsum("bihd,bjhd->ij", *turned))
    for i, j in ((2, 0), (3, 1), (6, 4)):
        np.testing.assert_allclose(products[i, j], products[2, 0], rtol=1e-5)


@pytest.mark.slow
def test_all_that_is_told_is_heard_and_nothing_of_other_examples():
    apply, _ = made()
    x, time, told = batch()
    out = apply(x, time, told)
    assert out.shape == x.shape
    changes = [
        (x, time + 0.05, told),
        (x, time, {**told, "text": told["text"].at[:, 1].add(1.0)}),
        (x, time, {**told, "start": told["start"] + 9.0}),
        (x, time, {**told, "seconds": told["seconds"] + 9.0}),
        (x.at[:, 0].add(1.0), time, told),
    ]
    for changed in changes:
        found = apply(*changed)
        assert (np.abs(found - out).max((1, 2)) > 1e-4).all()
    one = jax.tree.map(lambda a: a[1:], (x, time, told))
    np.testing.assert_allclose(apply(*one), out[1:], atol=1e-5)


def test_what_comes_out_is_of_the_frame_that_went_in():
    """With blocks that add nothing, each frame is changed by itself alone."""
    _, model = made()
    params, constants = filled(model)
    still = {n: 0 * a if n.startswith("blocks/") else a for n, a in params.items()}
    x, time, told = batch()
    called = quick_jit(model.apply)
    found = [called(still, constants, one, time, told) for one in (x, x.at[:, 2].add(1.0))]
    changed = np.abs(found[1] - found[0]).max((0, 2)) > 1e-6
    np.testing.assert_array_equal(changed, np.arange(6) == 2)


@pytest.mark.slow
def test_tokens_under_the_mask_and_seconds_beyond_the_longest_are_not_heard():
    apply, _ = made()
    x, time, told = batch()
    mask = {"text_mask": jnp.asarray([[1, 1, 0, 0], [1, 1, 1, 0]])}
    other = told["text"].at[0, 2:].set(7.0).at[1, 3].set(-3.0)
    both = [apply(x, time, {**told, **mask, "text": text}) for text in (told["text"], other)]
    np.testing.assert_allclose(*both, atol=1e-6)
    assert np.abs(both[0] - apply(x, time, told)).max() > 1e-4
    longer = [{**told, "seconds": jnp.full(2, seconds)} for seconds in (512.0, 900.0)]
    np.testing.assert_array_equal(*(apply(x, time, one) for one in longer))


@pytest.mark.slow
def test_an_example_without_a_text_is_told_its_seconds_alone():
    """Zeros and NaN are none, of one example as of all; and the first token still has seconds."""
    apply, _ = made()
    x, time, told = batch()
    silent = apply(x, time, {**told, "text": jnp.zeros_like(told["text"])})
    nothing = apply(x, time, {**told, "text": jnp.full_like(told["text"], jnp.nan)})
    np.testing.assert_array_equal(silent, nothing)
    one = apply(x, time, {**told, "text": told["text"].at[0].set(0.0)})
    np.testing.assert_allclose(one[0], silent[0], atol=1e-5)
    np.testing.assert_allclose(one[1], apply(x, time, told)[1], atol=1e-5)
    assert np.abs(silent - apply(x, time, told)).max() > 1e-4
    longer = {**told, "text": jnp.zeros_like(told["text"]), "seconds": told["seconds"] + 9.0}
    assert (np.abs(apply(x, time, longer) - silent).max((1, 2)) > 1e-4).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (4, 4, 3)}, "is for sequences"),
        ({"channels": 20}, "multiple of 4 heads"),
        ({"heads": 4, "key_value_heads": 3}, "key_value_heads"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(lambda: StableAudio(**{**SMALL, **options}, rngs=None))
