"""DiT: sizes as published, options, randomness, precision. Golden outputs: interop/test_dit.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde import fields
from score_sde.models import DiT
from score_sde.models.conditions import Label
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow

# With the fixed positions, which count among the released networks' parameters: latents of 32x32x4,
# twice as many output channels, 1000 classes and none. The paper says 33, 131, 458 and 675 million.
PUBLISHED = {
    "S/2": 32_963_360,
    "B/2": 130_512_416,
    "L/2": 458_102_816,
    "XL/2": 675_129_632,
}
TINY = {"shape": (4, 6, 3), "channels": 16, "depth": 2, "heads": 2}
TODAY = {
    "qk_norm": True,
    "rope": True,
    "registers": 2,
    "feed_forward": "swiglu",
    "norm": "rms",
}


def label(classes=4, dropout=0.0):
    return {"label": functools.partial(Label(dropout).embedding, fields.label(classes))}


TOLD = ("noise_embedding/", "conditions/")


class _Hashable(dict):
    """Conditions as a key of a cache."""

    __hash__ = object.__hash__


FOUR = _Hashable(label(dropout=1.0))


def make(**options):
    return functional(lambda rngs: DiT(**{**TINY, **options}, rngs=rngs))


@functools.cache
def applied(**options):
    """The compiled network, and its arrays."""
    model = make(**options)
    return quick_jit(functools.partial(model.apply, *filled(model)))


def batch(dtype=jnp.float32):
    return jax.random.normal(jax.random.key(1), (3, 4, 6, 3), dtype), jnp.array([0.5, 20.0, 900.0])


def count(**options):
    """Parameters and constants, without making any."""
    model = nnx.eval_shape(lambda: DiT(rngs=nnx.Rngs(0), **options))
    return sum(a.size for a in jax.tree.leaves(nnx.state(model)))


@pytest.mark.parametrize("size", PUBLISHED)
def test_parameter_counts_as_published(size):
    """And by hand: 18 d^2 + 15 d in each block, twice that width and 256 waves of the time, ..."""
    latents = {"shape": (32, 32, 4), "learn_variance": True, "conditions": label(1000)}
    found = count(size=size, **latents)
    assert found == PUBLISHED[size]
    d, depth = {"S": (384, 12), "B": (768, 12), "L": (1024, 24), "XL": (1152, 28)}[size[:-2]]
    blocks = depth * (18 * d * d + 15 * d)
    time, labels, positions = 256 * d + d + d * d + d, 1001 * d, 16 * 16 * d
    first, last = (2 * 2 * 4 + 1) * d, 2 * d * d + 2 * d + (d + 1) * 2 * 2 * 8
    assert found == blocks + time + labels + positions + first + last


def test_the_word_says_the_patch_and_options_take_its_place():
    """XL/8 of 32x32 pixels has 16 tokens; a patch of 4 has 64."""

    def tokens(**more):
        make = lambda: DiT(shape=(32, 32, 3), depth=1, rngs=nnx.Rngs(0), **more)  # noqa: E731
        return nnx.eval_shape(make).positions.shape

    assert tokens(size="XL/8") == (16, 1152)
    assert tokens(size="XL/8", patch=4) == (64, 1152)
    assert tokens(size="S/4", channels=96) == (64, 96)


@functools.cache
def gradient(today=False, remat=False):
    """Of the sum of squares, by each parameter, and how much is kept for it."""
    (x, noise), more = batch(), TODAY if today else {}
    model = make(conditions=FOUR, dropout=0.3, remat=remat, **more)
    params, constants = filled(model)

    def loss(p):
        return (model.apply(p, constants, x, noise, key=jax.random.key(5)) ** 2).sum()

    kept = jax.eval_shape(lambda p: jax.vjp(loss, p)[1], params)
    return quick_jit(jax.grad(loss))(params), sum(a.size for a in jax.tree.leaves(kept))


@pytest.mark.parametrize("today", [False, True], ids=["published", "today"])
def test_every_parameter_of_every_block_matters(today):
    """Of the class table, only the row of no class is used."""
    for name, g in gradient(today)[0].items():
        each = g if name.startswith("blocks/") else g[None]
        assert all(np.abs(one).max() > 0 for one in each), name


def test_blocks_with_embeddings_of_their_own():
    """As one that all share, where all are equal; the last layer sees the first block's alone."""
    (x, noise), told = batch(), {"label": jnp.array([0, 3, -1])}
    shared, own = make(conditions=FOUR), make(conditions=FOUR, own_embeddings=True)
    params, constants = filled(shared)
    moved = {
        (f"blocks/block/told/{name}" if name.startswith(TOLD) else name): array
        for name, array in params.items()
    }
    moved = {k: jnp.stack([v, v]) if "/told/" in k else v for k, v in moved.items()}
    other = {k: v.at[1].set(0) if "/told/" in k else v for k, v in moved.items()}

    @quick_jit
    def run(params, moved, other):
        first = shared.apply(params, constants, x, noise, told)
        return first, *(own.apply(p, constants, x, noise, told) for p in (moved, other))

    first, same, differing = run(params, moved, other)
    np.testing.assert_allclose(same, first, rtol=1e-5, atol=1e-5)
    assert np.abs(differing - first).max() > 1e-3


def test_rematerialisation_changes_memory_not_numbers():
    """The gradient is the same to rounding; far less is kept for it."""
    (plain, kept_plain), (rematerialised, kept) = gradient(), gradient(remat=True)
    assert kept < 0.6 * kept_plain
    for name, g in plain.items():
        np.testing.assert_allclose(rematerialised[name], g, atol=1e-4 * np.abs(g).max() + 1e-4)


def test_it_starts_near_zero():
    """With all that is new today."""
    (x, noise), model = batch(), make(**TODAY)
    out = quick_jit(lambda key: model.apply(*model.init(key), x, noise))(jax.random.key(0))
    assert 0 < np.abs(out).max() < 1e-3


@pytest.mark.parametrize("rope", [False, True])
def test_positions_tell_patches_apart(rope):
    """Without any, where the fixed ones are set to zero, patches that move take their output along.

    They do not with fixed positions, nor with rotary ones alone.
    """
    (x, noise), model = batch(), make(rope=rope)
    (params, constants), apply = filled(model), quick_jit(model.apply)
    for kept in (0, 1):
        still = {name: kept * array for name, array in constants.items()}
        moved = apply(params, still, jnp.roll(x, 2, axis=2), noise)
        along = jnp.roll(apply(params, still, x, noise), 2, axis=2)
        assert np.allclose(moved, along, atol=1e-4) == (not rope and not kept)


def test_more_channels_than_the_data_have():
    """Of the output; the first do not depend on how many follow."""
    model = make(learn_variance=True)
    out = jax.eval_shape(model.apply, *model.shapes, *batch())
    assert out.shape == (3, 4, 6, 6)


def test_a_label_changes_its_own_image_and_no_label_none():
    """-1 and the number of classes are no label, as None is for all; dropout hides all here."""
    told = applied(conditions=FOUR)
    none = told(*batch())
    changed = np.abs(told(*batch(), {"label": jnp.array([1, 4, -1])}) - none).max(axis=(1, 2, 3))
    assert changed[0] > 1e-3
    assert changed[1:].max() < 1e-5
    dropped = told(*batch(), {"label": jnp.array([0, 1, 2])}, key=jax.random.key(0))
    np.testing.assert_allclose(dropped, none, atol=1e-5)


def test_randomness_is_a_function_of_the_key():
    """Other numbers with another key, none without."""
    run = applied(dropout=0.5)
    one, again, two = (run(*batch(), key=jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - two).max() > 1e-3
    assert np.abs(one - applied()(*batch())).max() > 1e-3


def test_data_range():
    """Data in [0, 1] are mapped to [-1, 1]."""
    x, noise = batch()
    np.testing.assert_allclose(
        applied(centered=False)(x, noise), applied()(2 * x - 1, noise), rtol=1e-4, atol=1e-5
    )


def test_float64_input_is_computed_in_float64(x64):
    """The parameters are float32 all the same."""
    x, noise = batch(jnp.float64)
    model = make(**TODAY)
    apply = quick_jit(functools.partial(model.apply, *filled(model)))
    exact, rough = apply(x, noise), apply(x.astype(jnp.float32), noise.astype(jnp.float32))
    assert exact.dtype == jnp.float64
    assert rough.dtype == jnp.float32
    assert 0 < np.linalg.norm(exact - rough) / np.linalg.norm(exact) < 1e-5


def test_bfloat16_computes_roughly_and_returns_float32():
    """The published network."""
    rough, exact = applied(dtype=jnp.bfloat16)(*batch()), applied()(*batch())
    assert rough.dtype == jnp.float32
    assert 1e-4 < np.linalg.norm(rough - exact) / np.linalg.norm(exact) < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (4, 5, 3)}, "width 5 is no multiple of the patch, 2 pixels"),
        ({"shape": (2,)}, "this network is for images"),
        ({"size": "XXL/2"}, "size"),
        ({"channels": 18, "heads": 3}, "channels=18 must be a multiple of 4"),
        ({"heads": 3}, "channels=16 must be a multiple of heads=3"),
        ({"heads": 8, "rope": True}, "rope: 2 features a head are no multiple of 4"),
        ({"norm": "group"}, "norm='group': this field takes one of 'layer', 'rms'"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    """Each with a message that says what would work."""
    with pytest.raises(ValueError, match=message):
        make(**options)
