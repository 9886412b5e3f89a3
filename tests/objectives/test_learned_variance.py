"""The learned variance of improved DDPM: its loss, its network and its sampler, against golden."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from score_sde import composite
from score_sde.models.mlp import MLP
from score_sde.noise_labels import NOISE_LABELS
from score_sde.objectives import Denoising, variational
from score_sde.objectives.times import discrete_times, draw_times
from score_sde.prediction import PARAMETRIZATIONS, from_network, with_variance
from score_sde.processes import DDPM
from score_sde.samplers.improved_ddpm import ImprovedDDPM
from score_sde.samplers.loop import before, run
from score_sde.samplers.points import Points
from score_sde.samplers.table import of_rows
from score_sde.samplers.threshold import thresholded

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

SEQUENCES = {"linear": DDPM(), "cosine": DDPM(schedule="cosine")}


@pytest.fixture(params=list(SEQUENCES))
def case(request, shared):
    """The sequence, and the arrays of its file, images as [batch, height, width, channels]."""
    golden = np.load(shared / "golden" / "modern" / "objectives.npz")
    prefix = f"hybrid_{request.param}_1000/"
    found = {n.removeprefix(prefix): golden[n] for n in golden.files if n.startswith(prefix)}
    return SEQUENCES[request.param], {
        n: jnp.asarray(a.transpose(0, 2, 3, 1)) if a.ndim == 4 else a for n, a in found.items()
    }


def denoiser(sde, output):
    label = NOISE_LABELS["time"]
    return from_network(lambda x, label, cond: output, sde, PARAMETRIZATIONS["eps"](), label)


def test_the_schedule_is_the_golden_one(shared):
    golden = np.load(shared / "golden" / "modern" / "objectives.npz")
    for scales in (50, 1000):
        sde = DDPM(schedule="cosine", scales=scales)
        np.testing.assert_allclose(sde._steps, golden[f"betas/cosine_{scales}"], rtol=1e-10)
        t = np.linspace(0, 1, scales)
        product = np.cumprod(1 - golden[f"betas/cosine_{scales}"])
        np.testing.assert_allclose(sde.alpha(t) ** 2, product, rtol=1e-9)


def test_both_parts_of_the_loss_are_golden(x64, case):
    sde, golden = case
    t = jnp.asarray(golden["t"] / 999)
    x = golden["x_t"]
    prediction, v = with_variance(denoiser(sde, golden["model_output"]), x, t)
    mse = jnp.mean((prediction.eps - golden["noise"]) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(mse, golden["mse"], rtol=1e-10)
    of = jax.jit(lambda *arrays: variational.bound(sde, *arrays))
    arrays = t, x, golden["x_start"], prediction, v
    bound = of(*arrays)
    np.testing.assert_allclose(0.001 * 1000 * bound, golden["vb"], rtol=1e-6)
    np.testing.assert_allclose(mse + bound, golden["loss"], rtol=1e-6)
    in_float32 = of(*jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), arrays))
    np.testing.assert_allclose(in_float32, bound, rtol=2e-3)


def test_a_step_is_golden(x64, case):
    """With clipped data, as published; from the first level the answer is the data."""
    sde, golden = case
    for i, level in enumerate(golden["t"]):
        output, x, z, expected = (
            golden[n][i : i + 1] for n in ("model_output", "x_t", "p_sample_noise", "p_sample")
        )
        denoise = composite.bound(thresholded(denoiser(sde, output), 1.0, 0.0), sde)
        if level == 0:
            found = denoise(x, jnp.zeros(1)).x0
        else:
            points = Points.at(sde, np.array([level, level - 1]) / 999)
            table = of_rows("x0", list(ImprovedDDPM().rows(points, sde)))
            found = run(table, before(table, x), denoise, lambda row, z=z: z, 0, 1).states[0]
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_the_bounds_are_golden(x64, case):
    sde, golden = case
    found = variational.posterior(sde)
    level, each = golden["t"], (slice(None), 0, 0, 0)
    low = golden["q_log_variance_clipped"][each]
    np.testing.assert_allclose(found.log_min[level], low, rtol=1e-9)
    of_x0, of_x = (a[level][:, None, None, None] for a in found[:2])
    mean = of_x0 * golden["x_start"] + of_x * golden["x_t"]
    np.testing.assert_allclose(mean, golden["q_mean"], rtol=1e-8, atol=1e-12)


def test_the_bound_teaches_the_variance_alone(x64):
    """Its gradient is 0 in the prediction, and in v at the true variance and the true x0."""
    sde, t = DDPM(), jnp.array([100, 700]) / 999
    x0, eps = jax.random.normal(jax.random.key(0), (2, 2, 3)) / 3
    x = sde.alpha(t)[:, None] * x0 + sde.sigma(t)[:, None] * eps

    def of(output, v):
        prediction = denoiser(sde, output)(x, t)
        return variational.bound(sde, t, x, x0, prediction, v).sum()

    slopes = jax.jit(jax.grad(of, argnums=(0, 1)))
    np.testing.assert_array_equal(slopes(eps + 0.1, 0.3 * jnp.ones((2, 3)))[0], 0)
    np.testing.assert_allclose(slopes(eps, jnp.zeros((2, 3)))[1], 0, atol=1e-9)
    assert (slopes(eps, 0.5 * jnp.ones((2, 3)))[1] > 0).all()


def test_the_objective_adds_the_bound_to_the_simple_loss(x64):
    sde = DDPM(scales=4, schedule="cosine")
    x0 = jnp.clip(jax.random.normal(jax.random.key(1), (6, 3)), -1, 1)
    output = jax.random.normal(jax.random.key(2), (6, 6))
    denoise, key = denoiser(sde, output), jax.random.key(3)
    # The 17 levels of a space are wider than 256, and have more mass: at the first time alone.
    options = {}, {"vlb_weight": 0.01}, {"values": tuple(np.linspace(-1, 1, 17).tolist())}

    @jax.jit
    def extras(x0):
        losses = [Denoising(times="discrete", learned_variance=True, **one) for one in options]
        simple = Denoising(times="discrete")(key, denoise, sde, x0)
        return [loss(key, denoise, sde, x0) - simple for loss in losses]

    extra, heavier, wider = map(np.asarray, extras(x0))
    np.testing.assert_allclose(heavier, 10 * extra, rtol=1e-9)
    assert (extra > 0).all()
    at_first = draw_times(jax.random.split(key)[0], sde, 6, discrete_times(), False)[0] == 0
    assert 0 < at_first.sum() < 6
    np.testing.assert_array_equal(wider < extra, at_first)
    np.testing.assert_allclose(wider[~at_first], extra[~at_first], rtol=1e-12)


def test_a_network_that_learns_it_has_twice_the_channels():
    """And the plain denoiser reads the first half."""
    network = MLP(
        shape=(2,),
        channels=16,
        depth=1,
        learn_variance=True,
        init_scale=1.0,
        rngs=nnx.Rngs(0),
    )
    x, label = jnp.ones((3, 2)), jnp.ones(3)
    output = network(x, label)
    assert output.shape == (3, 4)
    sde = DDPM()
    denoise = denoiser(sde, output)
    np.testing.assert_array_equal(denoise(x, jnp.full(3, 0.5)).eps, output[:, :2])
    np.testing.assert_allclose(
        with_variance(denoise, x, jnp.full(3, 0.5))[1], (output[:, 2:] + 1) / 2
    )
    plain = denoiser(sde, output[:, :2])
    with pytest.raises(ValueError, match="the network has 2 output channels: a learned variance"):
        with_variance(plain, x, jnp.full(3, 0.5))
    with pytest.raises(ValueError, match="this denoiser has learnt no variance: train a network"):
        with_variance(lambda x, t, cond=None: plain(x, t), x, jnp.full(3, 0.5))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learned_variance": True}, "learned_variance is of times=discrete, the levels of a seq"),
        ({"vlb_weight": 0.1}, "vlb_weight is of learned_variance=True"),
        (
            {"learned_variance": True, "times": "discrete", "values": (0.0, 0.5, 1.0)},
            r"learned_variance is of data in \[-1, 1\]: use config.space.pixels.centered=True",
        ),
    ],
)
def test_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        Denoising(**options)
