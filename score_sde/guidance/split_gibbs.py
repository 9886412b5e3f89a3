r"""Exact posterior sampling by alternating two conditionals: the split Gibbs sampler.

Given y = H x + s m, a second variable z = x + rho n is put between the data and the observation,
and each is drawn given the other (Wu et al. 2024, arXiv 2405.18782, Algorithm 1; Coeurdoux et al.
2023, arXiv 2304.11134):

    z | x, y    Gaussian, drawn exactly:
                z = x' + rho^2 H^T (rho^2 H H^T + n^2 I)^-1 (y - H x' - n m),   x' = x + rho n'  (1)
    x | z       p(x) N(z; x, rho^2 I): the data behind a noisy state, which the reverse SDE draws
                from z at sigma / alpha = rho to 0.                                             (2)

In (1) y is observed of z, y = H z + n m. Seen from x, that has the covariance rho^2 H H^T + n^2 I.
Where H H^T = c I we take n = 0, which makes it s^2 I at rho = s / sqrt(c): there, where the sweeps
end, the chain has exactly the posterior of x, whatever the data are. (Of other operators n = s: the
noise counts as larger by rho^2 H H^T, and rho has to end lower.) In the first half of the sweeps
rho falls, equally spaced in its logarithm: large ones cross from mode to mode. In the
second half it stays, and what the first half lags behind is forgotten: a direction that is not
observed, of variance v given the rest, goes by a share rho^2 / v of its way in a sweep.

With u = sigma / alpha, y = x / alpha and tau = u^2 the reverse SDE has additive noise,

    dy = -(eps / u) dtau' + dw,    tau' = rho^2 - tau,                                      (3)

and (2) takes Adams and Bashforth's two-step method for it, then E[x_0 | x]. Where rho is small the
score hardly changes, and (3) is exact with any steps; solvers that keep x0 over a step, as the
dpmpp_*_sde, would lose half of the variance there with as few steps as are wanted here.

Why this one of the corrected methods: all that is approximate in it is what any sampler
approximates, the reverse SDE by steps; so it converges to the posterior with sweeps and steps, of
mixtures too, with one chain a sample and no gradient through the network. DAPS (arXiv 2407.01521)
is the same alternation with N(x0, r^2 I) for (2): cheaper, and biased where the data are
correlated. Twisted SMC (Wu et al. 2023, arXiv 2306.17775) is exact too, but in its number of
particles, each of which costs a trajectory, and that number grows with the dimension.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import keys, sections
from score_sde.checks import present
from score_sde.composite import bound
from score_sde.guidance.measurement import Measurement
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.samplers.grids import MOST_STEPS
from score_sde.samplers.loop import State, run
from score_sde.samplers.points import Points
from score_sde.samplers.sample import NOISE
from score_sde.samplers.table import EPS, Row, Table, of_rows
from score_sde.samplers.tabular import TabularSampler
from score_sde.sections import DERIVED
from score_sde.subspace import Subspace, lies_in
from score_sde.values import Positive, between

_OBSERVED = 1  # its noise, beside that of the rows


@dataclasses.dataclass(frozen=True)
class SplitGibbs(TabularSampler):
    """The sampler (1), (2) of the module; it takes the model's own denoiser.

    It costs sweeps x steps evaluations. The observation may hold traced arrays.

    Attributes:
        measurement: what is known.
        sweeps: how often x and z are drawn.
        steps: evaluations of a sweep, from rho to rho / (steps + 1), equally spaced in sqrt(u); the
            last one gives E[x_0 | x].
        first: sigma / alpha of the first sweep; at most that of t_max.
        last: that of the last one, but at least s / sqrt(c), below which nothing is gained.
    """

    measurement: Measurement | None = dataclasses.field(default=None, metadata=DERIVED)
    sweeps: Annotated[int, between(1, MOST_STEPS)] = 100
    steps: Annotated[int, between(1, MOST_STEPS)] = 5
    first: Positive = 10.0
    last: Positive = 0.05

    def __post_init__(self) -> None:
        sections.check(self)
        if self.measurement is None:
            raise ValueError("the split Gibbs sampler needs a measurement")
        if self.sweeps * self.steps > MOST_STEPS:
            raise ValueError(
                f"sweeps={self.sweeps} of steps={self.steps} are {self.sweeps * self.steps:,} "
                f"evaluations, and at most {MOST_STEPS:,} are possible"
            )

    def levels(self, sde: SDE) -> np.ndarray:
        """rho of each sweep, in the noise of `sde`, [sweeps].

        Raises:
            ValueError: the last one is not one of the process, or not below the first.
        """
        t_max, t_min = (Points.at(sde, t).ratio for t in (sde.t_max, sde.t_min))
        first, last = min(self.first, float(t_max)), self.last
        measurement = present("measurement", self.measurement)
        gram = measurement.operator.gram
        if gram is not None:
            last = max(last, measurement.noise / np.sqrt(gram))
        if not t_min < last < first:
            raise ValueError(
                f"rho goes from first={first:g} down to last={last:g}, which has to be above "
                f"{t_min:g}, the least sigma / alpha of {sde}: give another first or last"
            )
        falling = self.sweeps - self.sweeps // 2
        return np.append(np.geomspace(last, first, falling)[::-1], np.full(self.sweeps // 2, last))

    def table(self, sde: SDE) -> Table:
        """The rows of all sweeps, one after the other; the last row of each leads to the next rho.

        Raises:
            ValueError: the process cannot have them.
        """
        levels, least = self.levels(sde), Points.at(sde, sde.t_min).ratio
        later = Points.at_ratio(sde, levels[1:])
        afterwards = [*zip(later.alpha, later.sigma, strict=True), (1.0, 0.0)]
        rows: list[Row] = []
        for rho, (alpha, sigma) in zip(levels, afterwards, strict=True):
            high, low = np.sqrt([rho, max(rho / (self.steps + 1), least)])
            points = Points.at_ratio(sde, np.linspace(high, low, self.steps) ** 2)
            rows += adams_bashforth(points)
            last = points[-1]
            rows.append(Row(last.t, (alpha / last.alpha,), (-alpha * last.ratio,), sigma))
        return of_rows(EPS, rows)

    def pieces(self, sde: SDE) -> int:
        """See Sampler: the sweeps."""
        return self.sweeps

    def advance(
        self,
        key: jax.Array,
        state: State,
        denoise: Denoiser,
        sde: SDE,
        first: int | jax.Array,
        last: int | jax.Array,
        cond: Any = None,
    ) -> State:
        """See Sampler.

        Raises:
            ValueError: as `check`, or states lie in a subspace, where (1) is another.
        """
        if lies_in(denoise) != Subspace():
            raise ValueError("the split Gibbs sampler is not for states in a subspace: use another")
        denoise, table, levels = bound(denoise, sde), self.table(sde), self.levels(sde)
        key = keys.fold_in(key, NOISE)
        key_rows, key_observed = keys.fold_in(key, 0), keys.fold_in(key, _OBSERVED)
        x = state.states[0]
        alphas = jnp.asarray(sde.alpha(table.t[:: self.steps]), x.dtype)
        rhos = jnp.asarray(levels, x.dtype)

        def noise(row: jax.Array) -> jax.Array:
            return keys.normal(keys.fold_in(key_rows, row), x.shape, x.dtype)

        def sweep(number: jax.Array, state: State) -> State:
            of_sweep = keys.fold_in(key_observed, number)
            alpha, rho = alphas[number], rhos[number]
            z = alpha * self._observed(of_sweep, state.states[0] / alpha, rho)
            state = state._replace(states=(z, *state.states[1:]))
            rows = number * self.steps, (number + 1) * self.steps
            return run(table, state, denoise, noise, *rows, cond)

        end: State = jax.lax.fori_loop(first, last, sweep, state)
        return end

    def _observed(self, key: jax.Array, x: jax.Array, rho: jax.Array) -> jax.Array:
        """z of equation (1), [batch, *data], of x' there."""
        h = present("measurement", self.measurement)
        noise = h.noise if h.operator.gram is None else 0.0
        rest = h.rest(x)
        if noise:
            rest = rest - noise * keys.normal(key, rest.shape, rest.dtype)
        return x + rho**2 * h.solved(rest, rho**2, x, noise**2)


def adams_bashforth(points: Points) -> Iterator[Row]:
    """The rows from each point to the next, [n], for equation (3); they predict eps.

    y_s = y_t - h ((1 + r / 2) eps_t / u_t - (r / 2) eps_p / u_p) + sqrt(h) z,   h = tau_t - tau_s,

    with r = h / (tau_p - tau_t), p the point before t; the first step has r = 0, Euler's.
    """
    for i in range(len(points) - 1):
        t, s = points[i], points[i + 1]
        h, weights = t.ratio**2 - s.ratio**2, [-1 / t.ratio]
        if i:
            p = points[i - 1]
            r = h / (p.ratio**2 - t.ratio**2)
            weights = [-(1 + r / 2) / t.ratio, r / 2 / p.ratio]
        c = [s.alpha * h * weight for weight in weights]
        yield Row(t.t, (s.alpha / t.alpha,), c, s.alpha * np.sqrt(h))
