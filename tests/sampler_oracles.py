"""A mixture in two dimensions, its exact moments, and how far samples are from them."""

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import analytic

MEANS = np.array([[-1.0, 0.5], [1.0, 0.0]])
STDS = np.array([0.25, 0.4])
WEIGHTS = np.array([0.3, 0.7])


def mixture(sde):
    return analytic.gaussian_mixture(sde, MEANS, STDS, WEIGHTS)


def statistics(x):
    """Per example: x (2), x x^T (3) and the probability of the first mode (1); [batch, 6]."""
    distance = np.sum((x[:, None] - MEANS) ** 2, -1)
    density = WEIGHTS / STDS**2 * np.exp(-0.5 * distance / STDS**2)
    second = [x[:, 0] ** 2, x[:, 1] ** 2, x[:, 0] * x[:, 1]]
    return np.stack([x[:, 0], x[:, 1], *second, density[:, 0] / density.sum(1)], 1)


def expected():
    """The mean of `statistics` over the mixture, exactly."""
    mean = WEIGHTS @ MEANS
    second = np.einsum("k,ki,kj->ij", WEIGHTS, MEANS, MEANS) + np.eye(2) * (WEIGHTS @ STDS**2)
    return np.array([*mean, second[0, 0], second[1, 1], second[0, 1], WEIGHTS[0]])


def z_scores(x):
    """Errors of the mean, the second moments and the mode weight, in standard errors; [6]."""
    values = statistics(np.asarray(x, np.float64))
    return (values.mean(0) - expected()) / (values.std(0) / np.sqrt(len(values)))


class Counted:
    """A denoiser that counts how often it is really evaluated, in compiled code too."""

    def __init__(self, denoise):
        self.denoise, self._count = denoise, 0

    def __call__(self, x, t, cond=None):
        jax.debug.callback(self._add)
        return self.denoise(x, t, cond)

    def _add(self):
        self._count += 1

    @property
    def count(self):
        jax.effects_barrier()
        return self._count


def gaussian_flow(sde, x, mean, std):
    """The probability flow of N(mean, std^2 I) from t_max to t_min, in closed form."""
    (alpha_t, alpha_s), (sigma_t, sigma_s) = (
        level(jnp.array([sde.t_max, sde.t_min])) for level in (sde.alpha, sde.sigma)
    )
    ratio = ((alpha_s * std) ** 2 + sigma_s**2) / ((alpha_t * std) ** 2 + sigma_t**2)
    return alpha_s * mean + (x - alpha_t * mean) * jnp.sqrt(ratio)
