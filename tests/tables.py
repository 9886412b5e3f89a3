"""Solvers' tables without JAX: an exact denoiser in NumPy, a walk along a table, golden cases."""

import dataclasses
import json

import numpy as np

from score_sde.processes import DDPM, EDM, SMLD, VE, VP, CosineVP, RectifiedFlow, SubVP
from score_sde.samplers.points import Points

# The process of each frame of the golden files; of "vp" with a grid of its own it is DDPM's.
FRAMES = {"vp": VP(), "ve": EDM(), "edm": EDM(), "flow": RectifiedFlow(t_max=1.0)}
DISCRETE = DDPM(t_min=1e-12)

# One of each kind.
PROCESSES = (VP(), SubVP(), VE(), EDM(), CosineVP(), RectifiedFlow(), SMLD(), DDPM())

BUMPS = np.ones(2) / 2, np.array([[-1.0], [1.0]]), np.full((2, 1, 1), 0.25**2)
GAUSSIAN = 0.3, 0.5
START = np.array([-2, -1, -0.3, 0.4, 1.3, 2.2])[:, None]
# Of the two bumps by the probability flow from START (times 80 for EDM), to 13 digits:
# ../shared/golden/modern/exact_flow.npz.
ENDS = {
    VP(): [
        *(-1.422828379521374, -1.1188507066191644, -0.8198454554982125),
        *(0.8764778392686782, 1.2162983562275385, 1.4788510662758323),
    ],
    EDM(): [
        *(-1.4225025076400144, -1.1187838321579668, -0.8200278212124359),
        *(0.8766135200293766, 1.2161489329016881, 1.4784770686404252),
    ],
}


@dataclasses.dataclass(frozen=True)
class Fitted(VP):
    """VP whose sigma / alpha is 80 at 1 and 0.002 at 1e-3, which diff-sampler's t is of."""

    beta_min: float = -0.004768986493614236  # below 0 means noise falls, but not above 1e-3
    beta_max: float = 17.53318800077762


def denoised(mixture, y, ratio):
    """E[x_0 | x_0 + ratio n = y] for a mixture (weights [K], means [K, d], covariances [K, d, d]).

    y: [batch, d].
    """
    weights, means, covariances = mixture
    if np.isinf(ratio):
        return np.broadcast_to(weights @ means / weights.sum(), y.shape)
    logs, of_each = [], []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        total = covariance + ratio**2 * np.eye(len(mean))
        solved = np.linalg.solve(total, (y - mean).T).T
        logs.append(
            np.log(weight) - np.linalg.slogdet(total)[1] / 2 - np.sum((y - mean) * solved, 1) / 2
        )
        of_each.append(mean + solved @ covariance)
    shares = np.exp(np.array(logs) - np.max(logs, 0))
    return np.einsum("kb,kbd->bd", shares / shares.sum(0), np.array(of_each))


def exact(mixture, sde):
    """(x, t) -> (x0, eps) of a mixture under a process, NumPy."""

    def denoise(x, t):
        point = Points.at(sde, t)
        y = x / point.alpha if point.alpha else x
        x0 = denoised(mixture, y, point.ratio)
        return x0, (x - point.alpha * x0) / point.sigma

    return denoise


def walk(table, denoise, x, noise=None):
    """Follow a table from x: the states before each row and after the last, and each x0.

    noise: row number -> [batch, d].
    """
    states, predictions, data = [x], [], []
    for r, t in enumerate(table.t):
        x0, eps = denoise(states[-1], t)
        data.append(x0)
        predictions.append(x0 if table.predicts == "x0" else eps)
        before, behind = reversed(states), reversed(predictions)
        x = sum(a * s for a, s in zip(table.states[r], before, strict=False))
        x = x + sum(c * d for c, d in zip(table.predictions[r], behind, strict=False))
        if table.noise[r]:
            x = x + table.noise[r] * noise(r)
        states.append(x)
    return np.array(states), np.array(data)


def errors(solver, sde, numbers=(20, 40, 80, 160)):
    """The largest error at the end, two bumps, for numbers of steps without a final one.

    A process that is not of ENDS has the sigma / alpha of EDM's ends.
    """
    ends = sde if sde in ENDS else EDM()
    start = START * (80 * sde.alpha(np.float64(sde.t_max)) if ends == EDM() else 1.0)
    last, found = sde.alpha(np.float64(sde.t_min)), []
    for number in numbers:
        one = dataclasses.replace(solver, steps=number, denoise_final="none")
        states, _ = walk(one.table(sde), exact(BUMPS, sde), start)
        of_ends = ENDS[ends] if sde in ENDS else last * np.array(ENDS[ends])
        found.append(np.abs(states[-1, :, 0] - of_ends).max())
    return np.array(found)


def affine(table, sde, gaussian=GAUSSIAN, start=None):
    """What the states before each row and after the last weigh 1, the start and each noise with.

    On Gaussian data everything is affine: the walk goes over these weights, [R + 1, 2 + noises], so
    that whatever later rows weigh is correlated as it is.

    gaussian: mean and standard deviation of the data; start: of x before row 0, None for exact.
    """
    noises = np.cumsum(table.noise != 0)
    basis = np.eye(2 + noises[-1])
    points, mean = Points.at(sde, table.t), gaussian[0] * basis[0]
    gains = points.alpha * gaussian[1] ** 2 / marginal(points, gaussian)[1] ** 2
    at = dict(zip(table.t, zip(points.alpha, points.sigma, gains, strict=True), strict=True))

    def denoise(x, t):
        alpha, sigma, gain = at[t]
        x0 = mean + gain * (x - alpha * mean)
        return x0, (x - alpha * x0) / sigma

    start = marginal(Points.at(sde, table.t[0]), gaussian) if start is None else start
    x = start[0] * basis[0] + start[1] * basis[1]
    return walk(table, denoise, x, lambda row: basis[1 + noises[row]])[0]


def moments(table, sde, gaussian=GAUSSIAN, start=None):
    """Exact mean and standard deviation of the states before each row and after the last, [R + 1].

    Arguments as for `affine`.
    """
    states = affine(table, sde, gaussian, start)
    return states[:, 0], np.linalg.norm(states[:, 1:], axis=1)


def marginal(point, gaussian=GAUSSIAN):
    """Mean and standard deviation of x_t for Gaussian data of this mean and standard deviation."""
    return point.alpha * gaussian[0], np.hypot(point.alpha * gaussian[1], point.sigma)


def moment_errors(solver, sde, numbers=(20, 40, 80, 160)):
    """Errors of the mean, and relative ones of the standard deviation, without a final step."""
    found = []
    for number in numbers:
        table = dataclasses.replace(solver, steps=number, denoise_final="none").table(sde)
        mean, std = moments(table, sde)
        exact_mean, exact_std = marginal(Points.at(sde, sde.t_min))
        found.append((mean[-1] - exact_mean, std[-1] / exact_std - 1))
    return np.array(found).T


def unipc(order, variant="bh2", prediction="x0", **options):
    """The name and the options of a UniPC."""
    return "unipc", {"order": order, "variant": variant, "prediction": prediction, **options}


def deis(degree, variable, **options):
    """The name and the options of a DEIS."""
    return "deis", {"order": degree, "variable": variable, **options}


def moments_of_exponential(nodes, start, end, rate):
    """W of equation (3) of adams.py from integrals of powers in closed form."""
    powers = np.arange(len(nodes))
    integrals = []
    for k in powers:  # of r e^(r u) u^k by parts, with u = lambda - end
        u = np.array([start - end, 0.0])
        whole = sum(
            np.prod(np.arange(k, k - j, -1)) * (-1 / rate) ** j * u ** (k - j) for j in range(k + 1)
        )
        integrals.append(whole[1] - np.exp(rate * u[0]) * whole[0])
    return np.linalg.solve(((nodes - end)[None] ** powers[:, None]), integrals)


def same(found, stated, rtol=1e-9, atol=1e-11):
    """As close as a golden trajectory is."""
    np.testing.assert_allclose(found, stated, rtol=rtol, atol=atol)


class Golden:
    """A golden file of solvers: arrays of a case, what it is, and its mixture."""

    def __init__(self, shared, name):
        folder = shared / "golden" / "modern"
        self.about = json.loads((folder / f"{name}.json").read_text())
        self._arrays = np.load(folder / f"{name}.npz")
        self._flow = np.load(folder / "exact_flow.npz")

    def __getitem__(self, case):
        return {
            key.partition("/")[2]: self._arrays[key]
            for key in self._arrays.files
            if key.startswith(f"{case}/")
        }

    def mixture(self, case):
        name = self.about[case]["mixture"]
        return tuple(self._flow[f"{name}/{key}"] for key in ("weights", "means", "covariances"))


def points_to_data(sde, ratios):
    """The points of a golden grid whose last ratio is 0, the data, where the last step goes."""
    points = Points.at_ratio(sde, ratios[:-1])
    ends = (0.0, 1.0, 0.0)
    parts = (points.t, points.alpha, points.sigma)
    return Points(*(np.append(part, end) for part, end in zip(parts, ends, strict=True)))


def points_at(sde, ratios):
    """The points of a golden grid, noise over signal; a last 0 is the final step to the data."""
    ratios = np.asarray(ratios, np.float64)
    return Points.at_ratio(sde, ratios[:-1] if ratios[-1] == 0 else ratios)
