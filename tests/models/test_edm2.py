"""EDM2: sizes as published, magnitudes, precision. Golden outputs: tests/interop/test_edm2.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde import fields
from score_sde.models import EDM2
from score_sde.models.conditions import Label, Make, Number
from score_sde.models.edm2 import SIZES
from score_sde.models.functional import functional, streams

pytestmark = pytest.mark.slow

# In millions: Karras et al. 2023, Table 2.
PUBLISHED = {"xs": 125, "s": 280, "m": 498, "l": 777, "xl": 1119, "xxl": 1523}
TINY = {"shape": (4, 8, 1), "channels": 8, "channel_mult": (1, 2), "num_res_blocks": 1}
TINY |= {"attn_resolutions": (2,), "head_channels": 8, "dropout": 0.5}
LABEL = {"label": Make(Label(), fields.label(1000))}


def make(**options):
    return functional(lambda rngs: EDM2(**{**TINY, **options}, rngs=rngs))


def counted(
    channels, blocks=3, multiples=(1, 2, 3, 4), head=64, attends=(False, False, True, True)
):
    """Parameters of the paper's network for latents of 64x64x4 and 1000 classes, by hand."""
    widths = [channels * m for m in multiples]
    told, n = widths[-1], widths[0]
    # Noise level and classes; into the first layer with a channel of ones, and out; u; the gain.
    count = told * (n + 1000) + 9 * n * (5 + 4) + 128 + 1

    def block(n_in, n_out, decodes, attention):
        first = 9 * (n_in if decodes else n_out) * n_out
        around = n_in * n_out if n_in != n_out else 0
        return first + 9 * n_out**2 + told * n_out + 1 + around + 4 * n_out**2 * attention

    skips = [n]
    for level, (width, attention) in enumerate(zip(widths, attends, strict=True)):
        if level:
            count, skips = count + block(n, n, False, False), [*skips, n]
        for _ in range(blocks):
            count, n = count + block(n, width, False, attention), width
            skips.append(n)
    count += block(n, n, True, True) + block(n, n, True, False)
    for width, attention in reversed(list(zip(widths, attends, strict=True))):
        if width != widths[-1]:
            count += block(n, n, True, False)
        for _ in range(blocks + 1):
            count, n = count + block(n + skips.pop(), width, True, attention), width
    return count


@pytest.mark.parametrize("size", PUBLISHED)
def test_parameter_counts_as_published(size):
    """And one of them as it is built."""
    count = counted(SIZES[size])
    assert round(count / 1e6) == PUBLISHED[size]
    if size == "xxl":
        model = nnx.eval_shape(lambda: EDM2(size=size, conditions=LABEL, rngs=streams(0)))
        assert sum(a.size for a in jax.tree.leaves(nnx.state(model, nnx.Param))) == count


def test_every_parameter_matters_with_remat_too():
    """Of images that are not square; of classes, the one that is told. u(t) is another output."""
    conditions = {"label": Make(Label(), fields.label(3))}
    conditions["size"] = functools.partial(Number().embedding, fields.number("size"))
    model = make(remat=True, conditions=conditions)
    params, constants = filled(model)
    x, cond = jax.random.normal(jax.random.key(1), (1, 4, 8, 1)), {"label": jnp.array([1])}
    cond["size"] = jnp.array([0.3])

    def loss(p):
        out = model.apply(p, constants, x, jnp.array([-0.5]), cond)
        assert out.shape == x.shape
        u = model.apply(p, constants, jnp.array([-0.5]), method="log_variance")
        return (out**2).sum() + u.sum()

    gradient = quick_jit(jax.grad(loss))(params)
    dead = [k for k, g in gradient.items() if not np.abs(g).max() > 0]
    assert dead == ["conditions/size/embedding/null"]
    # Weights are divided by their size, so that gradients are orthogonal to them.
    for name in ("conv_in/kernel", "down/1/resample/conv_1/kernel", "conditions/label/table"):
        kernel, slope = (np.asarray(a[name], np.float64) for a in (params, gradient))
        axes = tuple(range(kernel.ndim - 1))
        along = (kernel * slope).sum(axes)
        size = np.sqrt((kernel**2).sum(axes) * (slope**2).sum(axes))
        assert (np.abs(along) < 2e-3 * size + 1e-6).all(), name


def test_magnitudes_are_preserved_and_bfloat16_is_near():
    """Unit size goes in and comes out, to a third, for edges see zeros; a key drops features."""
    gains = {"gain": jnp.ones(())}
    options = {"shape": (8, 8, 2), "channels": 32, "channel_mult": (1,), "attn_resolutions": (8,)}
    model, coarse = make(**options), make(**options, dtype=jnp.bfloat16)
    params, constants = filled(model)
    params |= gains
    x, noise = jax.random.normal(jax.random.key(1), (4, 8, 8, 2)), jnp.linspace(-1.0, 1.0, 4)
    fine, rough, dropped = quick_jit(
        lambda x: (
            model.apply(params, constants, x, noise),
            coarse.apply(params, constants, x, noise),
            model.apply(params, constants, x, noise, key=jax.random.key(0)),
        )
    )(x)
    assert 0.67 < float(jnp.sqrt((fine**2).mean())) < 1.33
    assert rough.dtype == fine.dtype == jnp.float32
    assert 1e-4 < np.linalg.norm(rough - fine) / np.linalg.norm(fine) < 0.1
    assert np.linalg.norm(dropped - fine) > 0.1 * np.linalg.norm(fine)


def test_a_step_begins_with_weights_of_unit_size():
    """Kernels and the table of classes, for each output; not gains. Once more changes little."""
    model = make(channel_mult=(1,), conditions=LABEL)
    params, _ = filled(model)
    once = model.project(params)
    sizes = {k: np.sqrt((a**2).mean(axis=tuple(range(a.ndim - 1)))) for k, a in once.items()}
    kept = {k for k in params if k.endswith(("kernel", "table"))}
    for name in kept:
        np.testing.assert_allclose(sizes[name], 1, atol=5e-3, err_msg=name)
    assert all((once[k] == params[k]).all() for k in params.keys() - kept)
    twice = model.project(once)
    for name in kept:
        np.testing.assert_allclose(twice[name], once[name], rtol=5e-3, err_msg=name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (6, 6, 1), "channel_mult": (1, 2, 2)}, "height 6 cannot be halved 2 times"),
        ({"size": "huge"}, "size='huge': this field takes one of 'xs', 's', 'm', 'l', 'xl', 'xxl'"),
        ({"attn_resolutions": (3,)}, r"attn_resolutions=\(3,\): no level has such a size"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
