"""The autoencoder of signals: its convolutions by their sums, its frames, its size."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit
from flax import nnx

from score_sde.models.functional import functional
from score_sde.models.sequence_conv import SequenceConv, SequenceSpread
from score_sde.models.sound_autoencoder import Snake, SoundAutoencoder

pytestmark = [pytest.mark.usefixtures("quick_compile"), pytest.mark.slow]
SMALL = {"latent_channels": 2, "widths": (4, 5, 6), "factors": (2, 3), "dilations": (1, 2)}


def layer(kind, *args, **options):
    module = kind(*args, **options, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    for path, param in nnx.to_flat_state(nnx.state(module)):
        value = np.random.default_rng(len(path)).standard_normal(param.get_value().shape)
        param.set_value(jnp.asarray(value))
    return module


@pytest.mark.parametrize(("stride", "dilation", "padding"), [(1, 1, None), (1, 3, None), (2, 1, 1)])
def test_a_convolution_is_its_sum(x64, stride, dilation, padding):
    """Equation (1), frame by frame."""
    conv = layer(SequenceConv, 2, 3, 5, stride=stride, dilation=dilation, padding=padding)
    x = np.random.default_rng(1).standard_normal((2, 13, 2))
    kernel = np.asarray(conv.dense.kernel[...]).reshape(5, 2, 3)
    p = 2 * dilation if padding is None else padding
    padded = np.pad(x, [(0, 0), (p, p), (0, 0)])
    count = (13 + 2 * p - 4 * dilation - 1) // stride + 1
    expected = [
        sum(padded[:, stride * t + dilation * k] @ kernel[k] for k in range(5))
        for t in range(count)
    ]
    found = quick_jit(conv)(jnp.asarray(x))
    np.testing.assert_allclose(
        found, np.stack(expected, 1) + np.asarray(conv.dense.bias[...]), atol=1e-12
    )


@pytest.mark.parametrize("stride", [1, 2, 3, 8])
def test_what_spreads_frames_is_the_transpose_of_what_gathers_them(x64, stride):
    """<g, gather x> = <spread g, x> with the same kernel, of any x and g."""
    rng = np.random.default_rng(0)
    spread = layer(SequenceSpread, 3, 2, stride)
    spread.bias[...] = jnp.zeros(2)
    gather = layer(
        SequenceConv, 2, 3, 2 * stride, stride=stride, padding=-(-stride // 2), bias=False
    )
    kernel = spread.dense.kernel[...].reshape(3, 2 * stride, 2)
    gather.dense.kernel[...] = kernel.transpose(1, 2, 0).reshape(-1, 3)
    x, g = rng.standard_normal((1, 4 * stride, 2)), rng.standard_normal((1, 4, 3))
    narrow, wide = gather(jnp.asarray(x)), spread(jnp.asarray(g))
    assert wide.shape == x.shape
    np.testing.assert_allclose((narrow[:, :4] * g).sum(), (wide * x).sum(), rtol=1e-12)
    spread.bias[...] = jnp.ones(2)
    np.testing.assert_allclose(spread(jnp.asarray(g)), wide + 1, atol=1e-12)


def test_snake_is_periodic_beside_a_line(x64):
    """Its slope is 1 + a sin(2 a h) / b, here with a = 2 and b = 4."""
    snake = Snake(1, param_dtype=jnp.float64)
    snake.alpha[...], snake.beta[...] = jnp.log(jnp.full(1, 2.0)), jnp.log(jnp.full(1, 4.0))
    h = jnp.linspace(-3, 3, 31)
    np.testing.assert_allclose(snake(h[:, None])[:, 0], h + jnp.sin(2 * h) ** 2 / 4, rtol=1e-8)
    slope = jax.vmap(jax.grad(lambda h: snake(h[None, None])[0, 0]))(h)
    np.testing.assert_allclose(slope, 1 + 2 * jnp.sin(4 * h) / 4, rtol=1e-8)


@pytest.mark.parametrize("channels", [0, 2])
def test_signals_become_frames_and_signals_again(channels):
    """Frames of a signal that is moved by a frame are moved so too, away from the ends."""
    model = functional(lambda rngs: SoundAutoencoder(**SMALL, signal_channels=channels, rngs=rngs))
    arrays = filled(model)
    encode = quick_jit(lambda x: model.apply(*arrays, x, method="encode"))
    shape = (2, 240, *([channels] if channels else []))
    x = jnp.asarray(np.random.default_rng(0).standard_normal(shape), jnp.float32)
    mean, log_variance = encode(x)
    assert mean.shape == log_variance.shape == (2, 40, 2)
    moved = encode(jnp.roll(x, 6, axis=1))
    middle = slice(12, -12)
    for one, other in zip((mean, log_variance), moved, strict=True):
        np.testing.assert_allclose(jnp.roll(one, 1, 1)[:, middle], other[:, middle], atol=1e-4)
    assert np.abs(mean[:, 1:] - mean[:, :-1]).max() > 1e-2
    out = quick_jit(lambda z: model.apply(*arrays, z, method="decode"))(mean)
    assert out.shape == shape
    # Nothing of an example is in another.
    np.testing.assert_allclose(encode(x[:1])[0], mean[:1], atol=1e-5)


def test_all_arrays_have_a_gradient_in_a_loop_too():
    less = SMALL | {"widths": (4, 5), "factors": (2,)}
    model = functional(lambda rngs: SoundAutoencoder(**less, remat=True, rngs=rngs))
    params, constants = quick_jit(model.init)(jax.random.key(0))
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 36)), jnp.float32)

    def loss(params):
        mean, log_variance = model.apply(params, constants, x, method="encode")
        out = model.apply(params, constants, mean + jnp.exp(log_variance / 2), method="decode")
        return jnp.mean((out - x) ** 2)

    def step(params, _):
        value, gradient = jax.value_and_grad(loss)(params)
        return jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient), (value, gradient)

    _, (values, gradients) = quick_jit(lambda p: jax.lax.scan(step, p, None, length=3))(params)
    assert np.isfinite(values).all()
    assert values[-1] < values[0]
    assert all((np.abs(g[0]) > 0).any() for g in gradients.values())


def test_it_is_of_the_released_size():
    """Layer by layer as the layout of Stable Audio Open has it, weight norms put together."""
    params, _ = functional(lambda rngs: SoundAutoencoder(signal_channels=2, rngs=rngs)).shapes
    widths, factors = (128, 128, 256, 512, 1024, 2048), (2, 4, 4, 8, 8)

    def conv(n_in, n_out, taps, bias=True):
        return n_in * n_out * taps + n_out * bias

    def unit(n):
        return 4 * n + conv(n, n, 7) + conv(n, n, 1)

    half = 0
    for n, m, factor in zip(widths[:-1], widths[1:], factors, strict=True):
        half += 3 * unit(n) + 2 * n + conv(n, m, 2 * factor)
    encoder = conv(2, 128, 7) + half + 2 * 2048 + conv(2048, 128, 3)
    decoder = conv(64, 2048, 7) + conv(128, 2, 7, bias=False) + 2 * 128
    for n, m, factor in zip(widths[:-1], widths[1:], factors, strict=True):
        decoder += 3 * unit(n) + 2 * m + conv(m, n, 2 * factor)
    assert sum(int(np.prod(p.shape)) for p in params.values()) == encoder + decoder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (7,)}, "give a multiple of 6"),
        ({"shape": (8, 8, 1)}, "is for signals, (samples,)"),
        ({"shape": (12,), "signal_channels": 2}, "is for signals, (samples, 2)"),
        ({"widths": (4, 5)}, "give one more than factors"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        jax.eval_shape(lambda: SoundAutoencoder(**{**SMALL, **options}, rngs=nnx.Rngs(0)))


def test_other_shapes_are_refused_where_they_are_given():
    model = functional(lambda rngs: SoundAutoencoder(**SMALL, rngs=rngs))
    arrays = filled(model)
    for shape, method in (((2, 7), "encode"), ((2, 6, 1), "encode"), ((2, 3, 3), "decode")):
        with pytest.raises(ValueError, match=r"network is for signals|multiple of 6|latents are"):
            model.apply(*arrays, jnp.zeros(shape), method=method)
