"""What a user writes, and what a type checker says of it: test_typed.py has it checked, strictly.

Nothing here is run. A line whose comment begins with "wrong" uses a name as it is not meant to be
used, and the checker is to say so, by the code that is named there; all others are to pass.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

import score_sde
from score_sde import analytic, guidance, latent, objectives, processes, samplers
from score_sde.prediction import Denoiser
from score_sde.runs.opened import Run

KEY = jax.random.key(0)
LABELS = {"label": jnp.zeros(4, jnp.int32)}


def an_sde() -> score_sde.SDE:
    """Times are JAX's, NumPy's or plain numbers; what is made of them is an array."""
    sde = score_sde.VP(beta_min=0.1, beta_max=20.0)
    alpha: jax.Array = sde.alpha(0.5)
    ratio: jax.Array = sde.sigma(np.linspace(0.1, 0.9, 5)) / alpha
    mean, std = sde.marginal(jnp.ones((4, 2)), jnp.full(4, 0.5))
    t: float = sde.t_min
    score_sde.VE(sigma_min="0.01")  # wrong: arg-type
    score_sde.VP(beta=1.0)  # wrong: call-arg
    sde.alpha("soon")  # wrong: arg-type
    sde.marginal(mean)  # wrong: call-arg
    print(ratio, std, t)
    return processes.from_alpha_sigma(lambda t: 1 - t, lambda t: jnp.sin(t), t_max=0.9)


def a_prediction(denoise: Denoiser, sde: score_sde.SDE) -> jax.Array:
    """The pair of one evaluation, and what is read off."""
    x, t = jnp.zeros((4, 2)), jnp.full(4, 0.5)
    prediction = denoise(x, t, LABELS)
    velocity: jax.Array = prediction.velocity(sde, t)
    denoise("x", t)  # wrong: arg-type
    denoise(x, t, jnp.zeros(4))  # wrong: arg-type
    print(prediction.noise)  # wrong: attr-defined
    return prediction.x0 + prediction.eps + prediction.score(sde, t) + velocity


def my_denoiser(
    x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
) -> score_sde.Prediction:
    """A plain function is a denoiser."""
    return score_sde.Prediction(x0=jnp.zeros_like(x), eps=x)


def one_argument(x: jax.Array) -> jax.Array:
    """This one is none."""
    return x


def samples() -> jax.Array:
    """Exact denoisers, guidance, samplers."""
    sde = an_sde()
    exact = analytic.gaussian_mixture(sde, np.eye(2), np.full(2, 0.1), jnp.ones(2) / 2)
    guided = guidance.classifier_free(exact, scale=3.0, interval=(0.1, 2.0), negative=LABELS)
    weaker = guidance.autoguidance(guided, my_denoiser, scale=2.0)
    sampler = samplers.get("dpmpp_2m", steps=20, grid="karras")
    out = sampler(KEY, weaker, sde, shape=(64, 2), cond=LABELS)
    nfe: int | jax.Array = out.nfe
    guidance.classifier_free(sde)  # wrong: arg-type
    guidance.classifier_free(one_argument)  # wrong: arg-type
    guidance.classifier_free(exact, "strongly")  # wrong: arg-type
    sampler(KEY, exact, sde, shape="many")  # wrong: arg-type
    samplers.get(20)  # wrong: arg-type
    samplers.PredictorCorrector(snr="low")  # wrong: arg-type
    x: str = out.x  # wrong: assignment
    print(nfe, x, a_prediction(exact, sde))
    return out.x


def likelihoods() -> jax.Array:
    """Of data, in nats; and their latents."""
    sde = score_sde.EDM()
    denoise = analytic.gaussian(sde, jnp.zeros(2), 1.0)
    found = score_sde.log_likelihood(KEY, denoise, sde, samples(), "hutchinson", probes=2)
    z: jax.Array = latent.encode(denoise, sde, samples(), rtol=1e-4)
    score_sde.log_likelihood(KEY, denoise, sde, "samples")  # wrong: arg-type
    score_sde.log_likelihood(KEY, denoise, "vp", z)  # wrong: arg-type
    return found.logp


def an_objective() -> objectives.Objective:
    """Objectives have options with types."""
    loss: jax.Array = objectives.Denoising(snr_gamma=5.0)(
        KEY, my_denoiser, score_sde.VP(), samples()
    )
    objectives.Denoising(snr_gamma="five")  # wrong: arg-type
    print(loss)
    return objectives.FlowMatching(stratified=True)


def a_run() -> jax.Array:
    """Opened, trained, and asked for samples of prompts."""
    run = score_sde.load("runs/digits_vp", weights="raw", step=100)
    images = np.zeros((100, 8, 8, 1), np.uint8)
    trained = score_sde.train(images, steps=1000, sde=score_sde.RectifiedFlow())
    assert isinstance(trained, Run)
    out = samplers.get("ddim", eta=0.5)(KEY, trained.denoise, trained.sde, shape=(4, 8, 8, 1))
    pictures = run.generate(prompt=["a corgi"], guidance=7.5)
    cond: dict[str, jax.Array] = run.text(["a corgi"])
    step: int = run.step
    score_sde.load(7)  # wrong: arg-type
    score_sde.train(images, steps="many")  # wrong: arg-type
    run.denoise(out, 0.5)  # wrong: arg-type
    print(cond, step, pictures.x)
    examples: jax.Array = run.space.decode(out.x)
    return examples
