"""The noise-conditional Wide ResNet: size, options, and what guidance asks of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde.models import WideResNet
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow

TINY = {"shape": (8, 12, 1), "classes": 5, "depth": 10, "width": 1}
TINY |= {"noise_channels": 8, "fourier_scale": 1.0}


def make(**options):
    return functional(lambda rngs: WideResNet(**{**TINY, **options}, rngs=rngs))


def batch(dtype=jnp.float32):
    return jax.random.normal(jax.random.key(1), (3, 8, 12, 1), dtype), jnp.array([0.02, 0.5, 9.0])


def expected_size(depth, width, channels, classes, noise):
    """Kernels, biases and norms of Table 1 of arXiv 1605.07146, and what the noise level adds."""
    dense = lambda n, m: n * m + m  # noqa: E731
    conv = lambda n, m: 9 * n * m + m  # noqa: E731
    norm = lambda n: 2 * n  # noqa: E731
    total = conv(channels, 16) + dense(2 * noise, 4 * noise) + dense(4 * noise, 4 * noise)
    n = 16
    for m in (16 * width, 32 * width, 64 * width):
        for _ in range((depth - 4) // 6):
            total += norm(n) + conv(n, m) + norm(m) + conv(m, m) + dense(4 * noise, m)
            total += dense(n, m) if n != m else 0
            n = m
    return total + norm(n) + dense(n, classes)


@pytest.mark.parametrize(
    ("depth", "width", "noise", "known"), [(28, 10, 128, 36.5e6), (16, 4, 8, 2.8e6)]
)
def test_parameter_counts(depth, width, noise, known):
    """WRN-28-10 has 36.5 million parameters and WRN-16-4 2.8 (Table 5), before the noise level."""
    options = {"depth": depth, "width": width, "noise_channels": noise}
    options |= {"shape": (32, 32, 3), "classes": 10}
    count = sum(a.size for a in make(**options).shapes[0].values())
    assert count == expected_size(depth, width, 3, 10, noise)
    features = 4 * noise
    told = (2 * noise + features + 2) * features
    told += (features + 1) * 16 * width * (1 + 2 + 4) * (depth - 4) // 6
    np.testing.assert_allclose(count - told, known, rtol=0.02)


def test_every_parameter_matters_and_every_image_is_alone():
    """No statistic couples the examples: the gradient at one image is zero at the others."""
    (x, noise), model = batch(), make()
    params, constants = filled(model)

    def one(params, x):
        logits = model.apply(params, constants, x, noise)
        return jnp.sum(logits[0] ** 2), logits

    (by_params, by_x), logits = quick_jit(jax.grad(one, (0, 1), has_aux=True))(params, x)
    assert logits.shape == (3, 5)
    assert [name for name, g in by_params.items() if not np.abs(g).max() > 0] == []
    assert np.abs(by_x[0]).max() > 0
    np.testing.assert_array_equal(by_x[1:], 0)


def test_it_is_told_the_noise_level():
    (x, noise), model = batch(), make()
    apply = quick_jit(functools.partial(model.apply, *filled(model)))
    changed = apply(x, noise.at[1].set(0.6)) - apply(x, noise)
    assert np.abs(changed[1]).max() > 1e-3
    np.testing.assert_allclose(changed[::2], 0, atol=1e-6)


def test_data_range_dtypes_and_dropout(x64):
    x, noise = batch(jnp.float64)
    params, constants = filled(make())

    def runner(**options):
        apply = quick_jit(make(**options).apply)
        return lambda x, **key: apply(params, constants, x, noise, **key)

    exact = runner()(2 * x - 1)
    assert exact.dtype == jnp.float64
    np.testing.assert_allclose(runner(centered=False)(x), exact, rtol=1e-10, atol=1e-10)
    rough = runner(dtype=jnp.bfloat16)((2 * x - 1).astype(jnp.float32))
    assert rough.dtype == jnp.float32
    assert 1e-4 < np.abs(rough - exact).max() < 0.1
    dropped, one, two = runner(dropout=0.5), jax.random.key(1), jax.random.key(2)
    np.testing.assert_array_equal(dropped(x, key=one), dropped(x, key=one))
    assert np.abs(dropped(x, key=one) - dropped(x, key=two)).max() > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 12}, "depth must be 6 n \\+ 4"),
        ({"depth": 4}, "depth=4 must be at least 10"),
        ({"shape": (8, 6, 1)}, "width 6 cannot be halved 2 times.*a multiple of 4"),
        ({"classes": 0}, "classes must be a whole number"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
        ({"width": 0}, "width=0 must be at least 1"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_images_of_another_size_are_refused():
    x, noise = batch()
    model = make()
    with pytest.raises(ValueError, match="this network is for"):
        jax.eval_shape(model.apply, *model.shapes, x[:, :4, :4], noise)
