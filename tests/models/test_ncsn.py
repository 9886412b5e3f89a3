"""NCSN and NCSNv2: the norm by its formula, dilation, sizes, that everything matters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx
from jax import lax

from score_sde.models import NCSN, NCSNv2
from score_sde.models.functional import functional
from score_sde.models.refinenet import DilatedConv, InstanceNormPlus, RefineBlock, enlarge
from score_sde.models.resample import smooth

pytestmark = pytest.mark.slow

NETWORKS = {"ncsn": (NCSN, {"num_scales": 3}), "ncsnv2": (NCSNv2, {})}
each_network = pytest.mark.parametrize("name", NETWORKS)


def small(name, **options):
    cls, more = NETWORKS[name]
    options = {"shape": (8, 8, 3), "channels": 4, **more, **options}
    return functional(lambda rngs: cls(**options, rngs=rngs))


@pytest.mark.parametrize("num_scales", [0, 3])
def test_instance_norm_plus_is_its_formula(x64, num_scales):
    """gamma (x - mu) / s + beta + alpha (mu - m) / v, with a row of each for every noise level."""
    rngs = nnx.Rngs(0)
    norm = InstanceNormPlus(5, num_scales=num_scales, param_dtype=jnp.float64, rngs=rngs)
    shape = norm.beta.shape
    norm.beta[...] = jax.random.normal(rngs.params(), shape)
    x = np.asarray(1 + 2 * jax.random.normal(jax.random.key(1), (4, 6, 7, 5), jnp.float64))
    level = np.array([2, 0, 1, 2])
    alpha, beta, gamma = (
        np.broadcast_to(p[...][level] if num_scales else p[...], (4, 5))
        for p in (norm.alpha, norm.beta, norm.gamma)
    )
    expected = np.empty_like(x)
    for b in range(4):
        mu = x[b].mean((0, 1))
        m, v = mu.mean(), np.sqrt(mu.var(ddof=1) + 1e-5)
        for k in range(5):
            s = np.sqrt(x[b, :, :, k].var() + 1e-5)
            expected[b, :, :, k] = gamma[b, k] * (x[b, :, :, k] - mu[k]) / s
            expected[b, :, :, k] += beta[b, k] + alpha[b, k] * (mu[k] - m) / v
    np.testing.assert_allclose(norm(jnp.asarray(x), jnp.asarray(level)), expected, rtol=1e-10)


@pytest.mark.parametrize(("dilation", "size"), [(2, 8), (4, 8), (4, 6)])
def test_dilated_convolution_is_xlas(x64, dilation, size):
    conv = DilatedConv(2, 3, dilation, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (2, size, size + 1, 2), jnp.float64)
    expected = lax.conv_general_dilated(
        x,
        conv.conv.kernel[...],
        (1, 1),
        [(dilation, dilation)] * 2,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(conv(x), expected, atol=1e-12)


def test_smooth_is_an_average_pool(x64):
    x = jax.random.normal(jax.random.key(1), (2, 7, 6, 3), jnp.float64)
    window = lax.reduce_window(x, 0.0, lax.add, (1, 5, 5, 1), (1, 1, 1, 1), "SAME") / 25
    np.testing.assert_allclose(smooth(x, (1, 1, 1, 1, 1)), window, atol=1e-12)


def test_enlarged_features_have_their_corners_where_they_were(x64):
    """A linear function stays one, from corner to corner."""
    rows, columns = np.linspace(0, 1, 3), np.linspace(-1, 1, 4)
    x = (rows[:, None] + 2 * columns)[None, :, :, None]
    expected = np.linspace(0, 1, 7)[:, None] + 2 * np.linspace(-1, 1, 5)
    np.testing.assert_allclose(enlarge(jnp.asarray(x), (7, 5))[0, :, :, 0], expected, atol=1e-14)
    one = jnp.full((1, 1, 1, 1), 3.0)
    np.testing.assert_allclose(enlarge(one, (2, 4)), jnp.full((1, 2, 4, 1), 3.0))


@pytest.mark.parametrize(("norm", "peak"), [(True, 1 / 25), (False, 1.0)], ids=NETWORKS)
def test_chained_pooling_is_of_averages_in_ncsn_and_of_maxima_in_ncsnv2(norm, peak):
    """Of a single bright pixel, over 5x5 of them."""
    layer = {"param_dtype": jnp.float32, "rngs": nnx.Rngs(0)}
    make = functools.partial(InstanceNormPlus, num_scales=3, **layer) if norm else None
    block = RefineBlock([4], 4, n_end=1, norm=make, **layer)
    pooled = block.reduce(jnp.zeros((1, 9, 9, 1)).at[0, 4, 4].set(1.0))
    expected = np.zeros((9, 9))
    expected[2:7, 2:7] = peak
    np.testing.assert_allclose(pooled[0, :, :, 0], expected, rtol=1e-6)


@each_network
def test_every_parameter_matters(name):
    """Another value of any array changes the output at every noise level.

    Not by its gradient, which takes ten times as long to compile.
    """
    model = small(name, channel_mult=(1, 2, 2), dilations=(1, 1, 2))
    x = jax.random.normal(jax.random.key(0), (3, 8, 8, 3))
    apply, (params, constants) = quick_jit(model.apply), filled(model)
    out, others = apply(params, constants, x, jnp.arange(3.0)), filled(model, seed=1)[0]
    assert out.shape == x.shape
    for path, other in others.items():
        changed = apply({**params, path: other}, constants, x, jnp.arange(3.0)) - out
        assert (np.abs(changed).max((1, 2, 3)) > 1e-3).all(), path


def test_only_ncsn_is_told_the_noise_level():
    x = jnp.tile(jax.random.normal(jax.random.key(0), (1, 8, 8, 3)), (2, 1, 1, 1))
    for name, told in (("ncsn", True), ("ncsnv2", False)):
        model = small(name, channel_mult=(1,), dilations=(1,))
        first, second = quick_jit(model.apply)(*filled(model), x, jnp.array([0.0, 2.0]))
        assert (jnp.abs(first - second).max() > 1e-4) == told


@each_network
@pytest.mark.parametrize("sides", [(32, 48), (128, 100)], ids=str)
def test_sizes_and_dtypes(name, sides):
    """Each side is halved once, or twice for 128 pixels; bfloat16 inside, float32 outside."""
    large = {"channel_mult": (1, 2, 2, 4, 4), "dilations": (1, 1, 1, 2, 4)}
    model = small(name, shape=(*sides, 3), dtype=jnp.bfloat16, **(large if sides[0] == 128 else {}))
    x = jax.ShapeDtypeStruct((2, *sides, 3), jnp.float32)
    out = jax.eval_shape(model.apply, *model.shapes, x, jax.ShapeDtypeStruct((2,), jnp.float32))
    assert (out.shape, out.dtype) == (x.shape, jnp.float32)


def test_data_in_the_unit_interval_is_centred():
    x = jax.random.uniform(jax.random.key(0), (2, 8, 8, 3))
    options = {"channel_mult": (1,), "dilations": (1,)}
    unit, centred = (small("ncsnv2", centered=c, **options) for c in (False, True))
    params, constants = filled(unit)
    a = quick_jit(unit.apply)(params, constants, x, jnp.zeros(2))
    b = quick_jit(centred.apply)(params, constants, 2 * x - 1, jnp.zeros(2))
    np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dilations": (1, 1)}, "one entry for each stage"),
        ({"shape": (8, 9, 3)}, "width 9 cannot be halved 1 times"),
        ({"num_scales": 0}, "num_scales=0: this network embeds the noise levels"),
    ],
)
def test_options_that_cannot_work(options, message):
    with pytest.raises(ValueError, match=message):
        small("ncsn", **options)


def test_a_state_of_another_shape_is_refused():
    model = small("ncsnv2", channel_mult=(1,), dilations=(1,))
    with pytest.raises(ValueError, match="this network is for"):
        jax.eval_shape(model.apply, *model.shapes, jnp.zeros((1, 4, 8, 3)), jnp.zeros(1))
