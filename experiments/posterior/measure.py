"""How far samples given an observation are from the exact posterior; no network.

python experiments/posterior/measure.py --method=METHOD --evaluations=N

prints a line of JSON: for each of the problems the evaluations that were made, the error of the
mean, in posterior standard deviations, root mean square over coordinates, and the Frobenius norm of
the error of the covariance over that of the covariance.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from score_sde import EDM, analytic, guidance, samplers, terminal
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
    """Data of a Gaussian or of a mixture of Gaussians, and what is observed of them.

    Attributes:
        weights: of the K Gaussians, [K].
        means: [K, *data].
        covariances: [K, d, d].
        denoise: the exact denoiser.
        observation: for the method of replacement, which takes it as without noise.
        measurement: for the others, with noise.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    denoise: Denoiser
    observation: guidance.Observation
    measurement: Measurement

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the data."""
        return self.means.shape[1:]

    def posterior(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the data given y, a mixture too: weights, [K], means, [K, d], covariances."""
        d = self.means[0].size
        seen = self.measurement.operator.forward(np.eye(d).reshape(d, *self.shape))
        h = np.asarray(seen).reshape(d, -1).T
        y = np.asarray(self.measurement.y).ravel()
        logs, means, covariances = [], [], []
        for weight, mean, covariance in zip(*self[:3], strict=True):
            rest, total = y - h @ mean.ravel(), h @ covariance @ h.T + NOISE**2 * np.eye(len(h))
            gain = np.linalg.solve(total, h @ covariance).T
            means.append(mean.ravel() + gain @ rest)
            covariances.append(covariance - gain @ h @ covariance)
            size = np.linalg.slogdet(total)[1] + rest @ np.linalg.solve(total, rest)
            logs.append(np.log(weight) - size / 2)
        weights = np.exp(np.array(logs) - max(logs))
        return weights / weights.sum(), np.array(means), np.array(covariances)


def moments(
    weights: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean, [d], and covariance, [d, d], of a mixture of Gaussians."""
    mean = weights @ means
    off = means - mean
    spread = covariances + off[:, :, None] * off[:, None]
    return mean, np.tensordot(weights, spread, 1)


def _measured(observation: guidance.Observation) -> Measurement:
    exact = observation.measurement()
    return Measurement(exact.operator, exact.y, noise=NOISE)


def _gaussian(
    mean: np.ndarray, covariance: np.ndarray, observation: guidance.Observation
) -> Problem:
    denoise = analytic.correlated_gaussian(SDE, mean, covariance)
    one = np.ones(1), mean[None], covariance[None]
    return Problem(*one, denoise, observation, _measured(observation))


def pair() -> Problem:
    """Two of four strongly correlated numbers."""
    mean, std = np.array([0.2, -0.3, 0.1, 0.4]), np.array([0.5, 0.7, 0.4, 0.6])
    correlation = np.array(
        [[1.0, 0.8, 0.5, 0.3], [0.8, 1.0, 0.6, 0.4], [0.5, 0.6, 1.0, 0.7], [0.3, 0.4, 0.7, 1.0]]
    )
    known = guidance.Inpainting(
        np.array([[0.9, 0.0, -0.4, 0.0]]), np.array([[True, False, True, False]])
    )
    return _gaussian(mean, std[:, None] * correlation * std, known)


def field() -> Problem:
    """A smooth image of 4 x 4 pixels, of which the means of 2 x 2 are seen."""
    places = np.stack(np.meshgrid(np.arange(4), np.arange(4), indexing="ij"), -1).reshape(16, 2)
    distance = np.sum((places[:, None] - places) ** 2, -1)
    covariance = 0.5 * np.exp(-distance / (2 * 1.5**2)) + 0.02 * np.eye(16)
    low = np.array([[0.8, 0.1], [-0.3, -0.9]]).reshape(1, 2, 2, 1)
    return _gaussian(np.zeros((4, 4, 1)), covariance, guidance.SuperResolution(low, 2))


def bumps() -> Problem:
    """Three bumps in a plane, seen from a side: two of them could have been it."""
    means = np.array([[-1.0, -1.2], [-0.8, 1.0], [1.2, 0.3]])
    stds, weights = np.array([0.3, 0.4, 0.3]), np.array([0.4, 0.3, 0.3])
    seen = guidance.Inpainting(np.array([[-0.9, 0.0]]), np.array([[True, False]]))
    denoise = analytic.gaussian_mixture(SDE, means, stds, weights)
    covariances = stds[:, None, None] ** 2 * np.eye(2)
    return Problem(weights, means, covariances, denoise, seen, _measured(seen))


PROBLEMS: dict[str, Callable[[], Problem]] = {"pair": pair, "field": field, "bumps": bumps}


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
    given_y = problem.posterior()
    mean, covariance = moments(*given_y)
    if method == "exact":
        rng, nfe = np.random.default_rng(0), 0
        numbers = rng.multinomial(SAMPLES, given_y[0])
        drawn = zip(*given_y[1:], numbers, strict=True)
        x = np.concatenate([rng.multivariate_normal(m, c, n) for m, c, n in drawn])
    else:
        sampler, given = METHODS[method](problem, problem.denoise, evaluations)
        x_init = sampler.prior(jax.random.key(1), SDE, (SAMPLES, *problem.shape))
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


@terminal.program
def main(argv: Sequence[str]) -> int:
    """Measure what the command line says; exit code 2 for bad input."""
    parser = terminal.Parser.of("python experiments/posterior/measure.py", __doc__)
    parser.add_argument("--method", choices=["exact", *METHODS], required=True)
    parser.add_argument("--evaluations", type=int, required=True)
    asked = parser.parse_args(argv[1:])
    found = {
        name: measured(make(), asked.method, asked.evaluations) for name, make in PROBLEMS.items()
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
