"""The convolution's own derivatives are those of XLA's convolution, in every mode."""

import collections
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit

from score_sde.models import conv
from score_sde.models.conv import conv2d

pytestmark = pytest.mark.slow

CASES = {
    "same": {"stride": 1, "padding": ((1, 1), (1, 1))},
    "valid": {"stride": 1, "padding": ((0, 0), (0, 0))},
    "uneven": {"stride": 1, "padding": ((2, 0), (0, 1))},
    "ddpm_down": {"stride": 2, "padding": ((0, 1), (0, 1))},
    "stride_2": {"stride": 2, "padding": ((1, 1), (0, 0))},
}


def arrays(kernel=(3, 3), dtype=jnp.float64):
    rng = np.random.default_rng(0)
    shapes = [(2, 6, 8, 3), (*kernel, 3, 4)]
    return [jnp.asarray(rng.standard_normal(shape), dtype) for shape in shapes * 2]


def xla_conv2d(x, w, *, stride, padding):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, w, (stride, stride), padding, dimension_numbers=layout)


def both(derivative, case, *args):
    """A derivative of f(x, w) = sum sin(conv(x, w)) with the rules for a CPU and with XLA's."""

    def results(conv):
        def f(x, w):
            return jnp.sin(conv(x, w, **CASES[case])).sum()

        return quick_jit(derivative(f))(*args)

    return results(conv2d), results(xla_conv2d)


def assert_same(pair, rtol=1e-12):
    for own, xla in zip(*map(jax.tree.leaves, pair), strict=True):
        np.testing.assert_allclose(own, xla, rtol=rtol, atol=rtol * np.abs(xla).max())


@pytest.mark.parametrize("kernel", [(3, 3), (1, 1), (2, 3)])
def test_a_known_value(x64, kernel):
    x, w, *_ = arrays(kernel)
    y = conv2d(x, w, padding=((0, 0), (0, 0)))
    patch = x[1, 2 : 2 + kernel[0], 3 : 3 + kernel[1]]
    np.testing.assert_allclose(y[1, 2, 3], jnp.einsum("uvi,uvio->o", patch, w), rtol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_reverse_mode(x64, case):
    x, w, *_ = arrays()
    assert_same(both(lambda f: jax.grad(f, (0, 1)), case, x, w))


@pytest.mark.parametrize("case", CASES)
def test_forward_mode(x64, case):
    x, w, dx, dw = arrays()
    assert_same(both(lambda f: lambda *a: jax.jvp(f, a, (dx, dw)), case, x, w))


@pytest.mark.parametrize("case", ["same", "ddpm_down"])
def test_second_derivatives_in_every_order_of_modes(x64, case):
    x, w, dx, dw = arrays()

    def forward_over_reverse(f):
        return lambda *a: jax.jvp(jax.grad(f, (0, 1)), a, (dx, dw))[1]

    def reverse_over_forward(f):
        return jax.grad(lambda *a: jax.jvp(f, a, (dx, dw))[1], (0, 1))

    def reverse_over_reverse(f):
        inner = jax.grad(f, (0, 1))
        return jax.grad(lambda *a: sum(jnp.vdot(p, p) for p in inner(*a)), (0, 1))

    for derivative in (forward_over_reverse, reverse_over_forward, reverse_over_reverse):
        assert_same(both(derivative, case, x, w))


def test_vmap_over_each_argument(x64):
    x, w, *_ = arrays()
    xs, ws = jnp.stack([x, 2 * x, x**2], axis=1), jnp.stack([w, -w, w**2], axis=-1)
    for in_axes, args in (((1, None), (xs, w)), ((None, -1), (x, ws)), ((1, -1), (xs, ws))):
        assert_same(both(lambda f, a=in_axes: jax.vmap(jax.grad(f, (0, 1)), a), "ddpm_down", *args))


@pytest.mark.parametrize("case", CASES)
def test_a_kernels_gradient_as_a_convolution(x64, case):
    """What is only chosen for float32, to the precision of float64."""
    x, w, *_ = arrays()
    geometry = conv._Geometry(CASES[case]["stride"], CASES[case]["padding"], (6, 8), (3, 3))
    y, transpose = jax.vjp(lambda w: xla_conv2d(x, w, **CASES[case]), w)
    g = jnp.cos(y)
    found = quick_jit(lambda x, g: conv._by_convolution(x, g, geometry))(x, g)
    assert_same((found, transpose(g)))


@pytest.mark.parametrize(("examples", "convolutions"), [(2, 2), (8, 3)])
def test_a_loop_of_steps_holds_only_forward_convolutions(examples, convolutions):
    # XLA's own derivatives show as convolutions of other dimension numbers: those are slow there.
    _, w, *_ = arrays(dtype=jnp.float32)
    x = jnp.ones((examples, 6, 8, 3))

    def step(w, _):
        loss = lambda w, x: jnp.sin(conv2d(x, w)).sum()  # noqa: E731
        gw, gx = jax.grad(loss, (0, 1))(w, x)
        return w - 1e-3 * gw, gx.sum()

    text = jax.jit(lambda w: jax.lax.scan(step, w, None, length=2)).lower(w).as_text()
    layouts = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert len(layouts) == convolutions
    assert all("[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in line for line in layouts)
    assert all("reverse = [true" not in line for line in layouts)


@pytest.mark.parametrize("case", ["same", "ddpm_down"])
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_other_platforms_are_given_the_operations_of_xla(case, platform):
    """Also where the program is lowered on a CPU; the numbers and names of operations are equal."""
    x, w, *_ = arrays(dtype=jnp.float32)

    def lowered(conv):
        def derivatives(x, w):
            loss = lambda x, w: jnp.sin(conv(x, w, **CASES[case])).sum()  # noqa: E731
            return jax.grad(loss, (0, 1))(x, w)

        text = jax.jit(derivatives).trace(x, w).lower(lowering_platforms=(platform,)).as_text()
        return collections.Counter(re.findall(r"stablehlo\.(convolution.*|dot_general|pad)", text))

    ours = lowered(conv2d)
    assert sum(ours.values()) == 3
    assert {c.split(")", 1)[1] for c in ours} == {c.split(")", 1)[1] for c in lowered(xla_conv2d)}


def test_padding_as_large_as_the_kernel_is_refused():
    x, w, *_ = arrays(dtype=jnp.float32)
    with pytest.raises(ValueError, match="smaller than the kernel"):
        conv2d(x, w, padding=((3, 0), (0, 0)))


@pytest.mark.parametrize("case", CASES)
def test_wide_layers_of_few_pixels(x64, case):
    """Products with the kernel as it lies, of patches and of gradients: no convolution is left."""
    rng = np.random.default_rng(0)
    x, w = (jnp.asarray(rng.standard_normal(shape)) for shape in ((2, 3, 4, 30), (3, 3, 30, 40)))
    assert_same(both(lambda f: jax.value_and_grad(f, (0, 1)), case, x, w))

    def loss(x, w):
        return jnp.sin(conv2d(x, w, **CASES[case])).sum()

    assert "convolution" not in jax.jit(jax.grad(loss, (0, 1))).lower(x, w).as_text()
