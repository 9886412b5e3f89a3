"""U-ViT: sizes as published, its tokens and skips, precision. Golden: interop/test_uvit.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde import fields
from score_sde.models import UViT
from score_sde.models.conditions import Label, Number
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow

TINY = {"shape": (4, 6, 3), "channels": 16, "depth": 5, "heads": 2}
TOLD = {
    "label": functools.partial(Label().embedding, fields.label(4)),
    "size": functools.partial(Number().embedding, fields.number("size")),
}
THOUSAND = {"label": functools.partial(Label().embedding, fields.label(1000))}
# The paper's Table 1, in millions: CIFAR-10, ImageNet and its latents, whose last layer is followed
# by no convolution.
PUBLISHED = {
    "S/2": (44, 13, 512, {}),
    "S-deep/2": (58, 17, 512, {}),
    "M/4": (131, 17, 768, {"shape": (64, 64, 3), "conditions": THOUSAND}),
    "L/4": (287, 21, 1024, {"shape": (64, 64, 3), "conditions": THOUSAND}),
    "H/2": (501, 29, 1152, {"shape": (32, 32, 4), "conditions": THOUSAND, "final_conv": False}),
}


def make(**options):
    return functional(lambda rngs: UViT(**{**TINY, **options}, rngs=rngs))


@functools.cache
def applied(**options):
    """The compiled network with its arrays, told nothing."""
    model = make(**options)
    return quick_jit(functools.partial(model.apply, *filled(model)))


def batch(dtype=jnp.float32):
    return jax.random.normal(jax.random.key(1), (3, 4, 6, 3), dtype), jnp.array([0.5, 20.0, 900.0])


@pytest.mark.parametrize("size", PUBLISHED)
def test_parameter_counts_as_published(size):
    """And by hand: 12 d^2 + 10 d in each block, and 2 d^2 + d for each skip."""
    millions, depth, d, more = PUBLISHED[size]
    model = nnx.eval_shape(lambda: UViT(size=size, **more, rngs=nnx.Rngs(0)))
    found = sum(a.size for a in jax.tree.leaves(nnx.state(model, nnx.Param)))
    assert round(found / 1e6) == millions
    height, _, channels = model.shape
    patch = model.patch**2 * channels
    ends = (patch + 1) * d + (d + 1) * patch + 2 * d + (1 + (height // model.patch) ** 2) * d
    ends += (1001 + 1) * d if "conditions" in more else 0  # and the position of its token
    ends += (9 * channels + 1) * channels if more.get("final_conv", True) else 0
    assert found == depth * (12 * d * d + 10 * d) + depth // 2 * (2 * d * d + d) + ends


def test_every_parameter_of_every_block_matters():
    """Of a network that could be told a label: the row of no class."""
    (x, noise), model = batch(), make(conditions={"label": TOLD["label"]}, remat=True)
    params, constants = filled(model)
    loss = lambda p: (model.apply(p, constants, x, noise) ** 2).sum()  # noqa: E731
    for name, g in quick_jit(jax.grad(loss))(params).items():
        each = g if name.startswith(("down", "up")) else g[None]
        assert all(np.abs(one).max() > 0 for one in each), name


def test_a_condition_is_a_token_of_its_own_image():
    """Another number of the second image changes that alone."""
    (x, noise), model = batch(), make(conditions=TOLD)
    apply = quick_jit(functools.partial(model.apply, *filled(model)))
    assert model.shapes[0]["positions"].shape == (2 + 1 + 6, 16)
    cond = {"label": jnp.array([0, 1, 2]), "size": jnp.ones(3)}
    out = apply(x, noise, cond)
    for name, value in (("label", 3), ("size", 2.0)):
        other = {**cond, name: cond[name].at[1].set(value)}
        changed = np.abs(apply(x, noise, other) - out).max(axis=(1, 2, 3))
        assert changed[1] > 1e-3
        np.testing.assert_allclose(changed[::2], 0, atol=1e-5)


def test_randomness_is_a_function_of_the_key():
    """Of dropout; without a key there is none."""
    run, (x, noise) = applied(dropout=0.5), batch()
    one, again, two = (run(x, noise, key=jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - two).max() > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_output_is_in_float32(dtype):
    """And of the shape of the data, or with twice its channels."""
    model = make(dtype=jnp.dtype(dtype), learn_variance=True)
    out = jax.eval_shape(model.apply, *model.shapes, *batch())
    assert (out.shape, out.dtype) == ((3, 4, 6, 6), jnp.float32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (4, 5, 3)}, "width 5 is no multiple of the patch, 2 pixels"),
        ({"depth": 4}, "depth=4 must be odd and at least 3"),
        ({"depth": 1}, "depth=1 must be odd and at least 3"),
        ({"size": "XL/2"}, "size"),
        ({"heads": 3}, "channels=16 must be a multiple of heads=3"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    """Each with a message that says what would work."""
    with pytest.raises(ValueError, match=message):
        make(**options)
