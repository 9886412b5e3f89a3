"""The residual perceptron: shapes, what matters, precision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde import fields
from score_sde.models import MLP
from score_sde.models.conditions import Label, Vector
from score_sde.models.functional import functional

TINY = {"shape": (3,), "channels": 16, "depth": 2}
TOLD = {
    "label": functools.partial(Label().embedding, fields.label(4)),
    "pose": functools.partial(Vector().embedding, fields.vector(2, "pose")),
}


def make(**options):
    return functional(lambda rngs: MLP(**{**TINY, **options}, rngs=rngs))


def batch(dtype=jnp.float32):
    return jax.random.normal(jax.random.key(1), (3, 3), dtype), jnp.array([0.5, 20.0, 900.0], dtype)


def swish(h):
    return h / (1 + np.exp(-h))


def test_it_is_its_equations(x64):
    """Against NumPy: h + W_1 swish(W_0 norm(h) + W_e swish(e)) twice, then W swish(norm(h)).

    What it sees is x, sin(2^n pi x) and cos(2^n pi x) for n = -1 and 1.
    """
    (x, label), model = (
        batch(jnp.float64),
        make(param_dtype=jnp.float64, fourier_features=(-1, 1)),
    )
    params, constants = filled(model)
    p = {name: np.asarray(array) for name, array in params.items()}

    def dense(name, h):
        return h @ p[f"{name}/kernel"] + p[f"{name}/bias"]

    def norm(name, h):
        mean, var = h.mean(1, keepdims=True), h.var(1, keepdims=True)
        return (h - mean) / np.sqrt(var + 1e-6) * p[f"{name}/scale"] + p[f"{name}/bias"]

    angles = np.asarray(label)[:, None] * np.array([1, 1e-4])
    e = dense("noise_embedding/dense_0", np.concatenate([np.sin(angles), np.cos(angles)], 1))
    e = swish(dense("noise_embedding/dense_1", swish(e)))
    angles = np.pi * np.concatenate([np.asarray(x) / 2, np.asarray(x) * 2], 1)
    h = dense("dense_in", np.concatenate([x, np.sin(angles), np.cos(angles)], 1))
    for block in ("blocks/0", "blocks/1"):
        inner = dense(f"{block}/dense_0", norm(f"{block}/norm", h)) + dense(f"{block}/dense", e)
        h = h + dense(f"{block}/dense_1", swish(inner))
    expected = dense("dense_out", swish(norm("norm", h)))
    out = quick_jit(model.apply)(params, constants, x, label)
    assert out.dtype == jnp.float64
    np.testing.assert_allclose(out, expected, rtol=1e-10)


def test_every_parameter_matters_and_every_example_is_alone():
    """With a label and a vector, which one example has not; the gradient of one is 0 at others."""
    (x, label), model = batch(), make(conditions=TOLD)
    params, constants = filled(model)
    pose = jnp.array([[0.5, 1.0], [jnp.nan, 0.0], [-1.0, 2.0]])
    cond = {"label": jnp.array([0, 1, 4]), "pose": pose}

    def squares(params, x):
        out = model.apply(params, constants, x, label, cond) ** 2
        return out[0].sum(), out.sum()

    (_, by_x), (by_params, _) = quick_jit(jax.jacrev(squares, (0, 1)))(params, x)
    assert np.abs(by_x[0]).max() > 0
    np.testing.assert_array_equal(by_x[1:], 0)
    assert [name for name, g in by_params.items() if not np.abs(g).max() > 0] == []
    assert all(jnp.isfinite(g).all() for g in by_params.values())


@pytest.mark.parametrize("name", TOLD)
def test_each_condition_changes_the_output_of_its_example(name):
    """Another label or vector of the second example changes that one alone."""
    (x, label), model = batch(), make(conditions=TOLD)
    apply = quick_jit(functools.partial(model.apply, *filled(model)))
    cond = {"label": jnp.array([0, 1, 2]), "pose": jnp.ones((3, 2))}
    other = {**cond, name: cond[name].at[1].add(1)}
    changed = np.abs(apply(x, label, other) - apply(x, label, cond)).max(axis=1)
    assert changed[1] > 1e-3
    np.testing.assert_allclose(changed[::2], 0, atol=1e-6)


def test_an_untold_network_is_a_function_of_x():
    """conditional=False: the noise level has no parameters and no effect."""
    (x, label), model = batch(), make(conditional=False)
    assert not any("embedding" in name or name.endswith("dense/kernel") for name in model.shapes[0])
    apply = quick_jit(functools.partial(model.apply, *filled(model)))
    np.testing.assert_array_equal(apply(x, label), apply(x, 2 * label))


def test_precision_randomness_and_division_by_sigma():
    """bfloat16 is rough, dropout a function of its key, the output divided by sigma."""
    x, label = batch()
    kw = {"embedding": "fourier"}

    def run(key=None, **options):
        model = make(**kw, **options)
        return quick_jit(model.apply)(*filled(model), x, label, key=key)

    plain = run()
    rough = run(dtype=jnp.bfloat16)
    assert rough.dtype == jnp.float32
    assert 1e-4 < np.abs(rough - plain).max() < 0.1 * np.abs(plain).max()
    scaled = run(scale_by_sigma=True)
    np.testing.assert_allclose(scaled * label[:, None], plain, rtol=1e-5)
    dropped = [run(jax.random.key(seed), dropout=0.5) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(dropped[0], dropped[1])
    assert np.abs(dropped[0] - dropped[2]).max() > 1e-3


@pytest.mark.parametrize("d", [1, 7])
def test_zero_init_scale_starts_near_zero(d):
    """For vectors of any number of features."""
    model, x, noise = make(shape=(d,), depth=1), jnp.ones((2, d)), jnp.array([1.0, 500.0])
    out = quick_jit(lambda key: model.apply(*model.init(key), x, noise))(jax.random.key(0))
    assert out.shape == (2, d)
    assert 0 < np.abs(out).max() < 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (8, 8, 3)}, r"for vectors, \(d,\), not for \(8, 8, 3\)"),
        ({"shape": (0,)}, "the number of features must be a whole number of at least 1"),
        ({"channels": 18}, "channels=18 must be a multiple of 4"),
        ({"depth": 0}, "depth=0 must be at least 1"),
        ({"dropout": 1.0}, "dropout=1.0 must be at least 0 and below 1"),
        (
            {"embedding": "other"},
            "embedding='other': this field takes one of 'positional'",
        ),
        ({"scale_by_sigma": True}, "scale_by_sigma needs noise_label to be sigma"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    """Each with a message that says what would work."""
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_a_state_of_another_shape_is_refused():
    """Images and vectors of another size."""
    model = make()
    with pytest.raises(ValueError, match="this network is for"):
        jax.eval_shape(model.apply, *model.shapes, jnp.zeros((2, 4)), jnp.zeros(2))
