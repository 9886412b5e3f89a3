"""How far samples given an observation are from the exact posterior, of Gaussians; no network.

python experiments/posterior/measure.py --method=METHOD --evaluations=N

prints a line of JSON: for each of the problems the evaluations that were made, the error of the
mean, in posterior standard deviations, root mean square over coordinates, and the Frobenius norm of
the error of the covariance over that of the covariance.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from score_sde import EDM, analytic, guidance, samplers
from score_sde.guidance import Measurement
from score_sde.prediction import Denoiser
from score_sde.samplers.sample import Sampler

SAMPLES = 16384
NOISE = 0.1
SDE = EDM()
SWEEP = 5  # evaluations of one of split Gibbs
CORRECTOR_STEPS = 4
ITERATIONS = 4  # of conjugate gradients, in `moments`


class Problem(NamedTuple):
    """Data ~ N(mean, covariance), and what is observed of them.

    Attributes:
        mean: [*data].
        covariance: [d, d].
        observation: for the method of replacement, which takes it as without noise.
        measurement: for the others, with noise.
    """

    mean: np.ndarray
    covariance: np.ndarray
    observation: guidance.Observation
    measurement: Measurement

    def posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean, [d], and covariance, [d, d], of the data given y."""
        shape, d = self.mean.shape, self.mean.size
        seen = self.measurement.operator.forward(np.eye(d).reshape(d, *shape))
        h = np.asarray(seen).reshape(d, -1).T
        y, m = np.asarray(self.measurement.y).ravel(), self.mean.ravel()
        total = h @ self.covariance @ h.T + NOISE**2 * np.eye(len(h))
        gain = np.linalg.solve(total, h @ self.covariance).T
        return m + gain @ (y - h @ m), self.covariance - gain @ h @ self.covariance


def _of(mean: np.ndarray, covariance: np.ndarray, observation: guidance.Observation) -> Problem:
    exact = observation.measurement()
    return Problem(mean, covariance, observation, Measurement(exact.operator, exact.y, noise=NOISE))


def pair() -> Problem:
    """Two of four strongly correlated numbers."""
    mean, std = np.array([0.2, -0.3, 0.1, 0.4]), np.array([0.5, 0.7, 0.4, 0.6])
    correlation = np.array(
        [[1.0, 0.8, 0.5, 0.3], [0.8, 1.0, 0.6, 0.4], [0.5, 0.6, 1.0, 0.7], [0.3, 0.4, 0.7, 1.0]]
    )
    known = guidance.Inpainting(
        np.array([[0.9, 0.0, -0.4, 0.0]]), np.array([[True, False, True, False]])
    )
    return _of(mean, std[:, None] * correlation * std, known)


def field() -> Problem:
    """A smooth image of 4 x 4 pixels, of which the means of 2 x 2 are seen."""
    places = np.stack(np.meshgrid(np.arange(4), np.arange(4), indexing="ij"), -1).reshape(16, 2)
    distance = np.sum((places[:, None] - places) ** 2, -1)
    covariance = 0.5 * np.exp(-distance / (2 * 1.5**2)) + 0.02 * np.eye(16)
    low = np.array([[0.8, 0.1], [-0.3, -0.9]]).reshape(1, 2, 2, 1)
    return _of(np.zeros((4, 4, 1)), covariance, guidance.SuperResolution(low, 2))


PROBLEMS: dict[str, Callable[[], Problem]] = {"pair": pair, "field": field}


def _ode(steps: int) -> Sampler:
    return samplers.get("dpmpp_2m", steps=steps)


def _corrected(evaluations: int) -> Sampler:
    return samplers.get(
        "predictor_corrector",
        predictor="ancestral",
        probability_flow=True,
        grid="log_snr",
        steps=evaluations // (1 + CORRECTOR_STEPS),
        corrector_steps=CORRECTOR_STEPS,
        snr=0.3,
    )


# For a problem, its denoiser and a number of evaluations: what samples, and with which denoiser.
Method = Callable[[Problem, Denoiser, int], tuple[Sampler, Denoiser]]
METHODS: dict[str, Method] = {
    "replacement": lambda p, d, n: (_ode(n), p.observation.condition(d, SDE)),
    "replacement+langevin": lambda p, d, n: (_corrected(n), p.observation.condition(d, SDE)),
    "dps": lambda p, d, n: (_ode(n), guidance.dps(d, SDE, p.measurement)),
    "pigdm": lambda p, d, n: (_ode(n), guidance.pigdm(d, SDE, p.measurement)),
    "pigdm+langevin": lambda p, d, n: (_corrected(n), guidance.pigdm(d, SDE, p.measurement)),
    "moments": lambda p, d, n: (
        _ode(n // (1 + ITERATIONS)),
        guidance.moments(d, SDE, p.measurement, ITERATIONS),
    ),
    "gibbs": lambda p, d, n: (guidance.SplitGibbs(p.measurement, n // SWEEP, SWEEP), d),
}


def measured(problem: Problem, method: str, evaluations: int) -> dict[str, float]:
    """The errors of a method; of the method "exact", of as many draws from the posterior."""
    mean, covariance = problem.posterior()
    if method == "exact":
        rng, nfe = np.random.default_rng(0), 0
        x = rng.multivariate_normal(mean, covariance, SAMPLES)
    else:
        denoise = analytic.correlated_gaussian(SDE, problem.mean, problem.covariance)
        sampler, given = METHODS[method](problem, denoise, evaluations)
        x_init = sampler.prior(jax.random.key(1), SDE, (SAMPLES, *problem.mean.shape))
        if method.startswith("replacement"):
            x_init = problem.observation.start(SDE, x_init, sampler.begins(SDE))
        out = jax.jit(lambda key, x: sampler(key, given, SDE, x_init=x))(jax.random.key(0), x_init)
        x, nfe = np.asarray(out.x).reshape(SAMPLES, -1), int(out.nfe)
    off = (x.mean(0) - mean) / np.sqrt(np.diag(covariance))
    wrong = np.cov(x.T) - covariance
    return {
        "nfe": nfe,
        "mean": float(np.sqrt(np.mean(off**2))),
        "covariance": float(np.linalg.norm(wrong) / np.linalg.norm(covariance)),
    }


def main() -> None:
    """Measure what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=["exact", *METHODS], required=True)
    parser.add_argument("--evaluations", type=int, required=True)
    asked = parser.parse_args()
    found = {
        name: measured(make(), asked.method, asked.evaluations) for name, make in PROBLEMS.items()
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
