r"""Tuning the times, and the coefficients, of a table for one model.

A table with few rows is an approximation whose error depends on where its evaluations are. Here the
times t_1, ..., t_n (and factors on the weights of the predictions) are found that bring its samples
closest to those of an accurate solution of the probability-flow ODE from the same noise:

    min over times, factors of    mean_i |x(noise_i; times, factors) - x*(noise_i)|^2 / d.       (1)

(Learning times alone: Tong et al. 2024, LD3, arXiv 2405.15506; times and coefficients: Frankel et
al. 2025, S4S, arXiv 2502.17423.) The gaps between the lambda = log(alpha / sigma) of the times are
a softmax, so that they stay in order whatever the parameters are. The gradient of (1) with respect
to the table is that of the program that runs it; a table is made on the host in float64, where its
own derivatives with respect to the parameters are central differences.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.grids import GRIDS
from score_sde.samplers.loop import before, run
from score_sde.samplers.points import Points
from score_sde.samplers.table import Table

_DIFFERENCE = 1e-5  # of a parameter: its square, and float64's rounding over it, are below 1e-10
_SLACK = 1e-3  # of all of lambda is left below the last time, when the search begins

# (t, states, predictions) of a table -> (the loss (1), its gradient with respect to the three).
Loss = Callable[..., tuple[jax.Array, tuple[jax.Array, ...]]]


class Tuned(NamedTuple):
    """What `tune` finds.

    Attributes:
        times: from t_max on, [steps]; with denoise_final="none" t_min is one more.
        factors: on the weights of the predictions, [rows * weights]; () if they were left alone.
        error: the root of (1) on held-out noise.
        untuned: the same by the name of each grid that works for the process.
    """

    times: tuple[float, ...]
    factors: tuple[float, ...]
    error: float
    untuned: dict[str, float]


def tune(
    sampler: FixedStep,
    sde: SDE,
    fit: Loss,
    held_out: Loss,
    *,
    coefficients: bool = False,
    iterations: int = 60,
    patience: int = 10,
    say: Callable[[int, float, float], None] = lambda iteration, fitted, error: None,
) -> Tuned:
    """Find the times, and factors if asked, that are best on the noise that the losses are of.

    Args:
        sampler: a solver without noise; its grid does not count.
        sde: the process of the model.
        fit: what is minimised, as of `loss`.
        held_out: of other noise: the parameters that are best there are taken.
        coefficients: find factors on the weights of the predictions too.
        iterations: at most, of L-BFGS; each takes about one evaluation of `fit` and `held_out`.
        patience: stop when `held_out` has not become better in so many.
        say: told the iteration, the root of `fit` and the root of `held_out`.

    Raises:
        ValueError: as `check`.
    """
    check(sampler, sde)
    grids = {name: table for name in GRIDS if (table := _of_grid(sampler, sde, name))}
    if not grids:
        raise ValueError(f"no grid of {sampler.steps} steps works for {sde} to begin with")
    if not next(iter(grids.values()))[1].deterministic:
        raise ValueError(
            "it adds noise, so that no sample is closest: tune a solver without, eta=0"
        )
    untuned = {name: _root(held_out(*_arrays(table))[0]) for name, (_, table) in grids.items()}
    points = _Parameters(sampler, sde, coefficients)
    best = points.of_times(grids[min(untuned, key=untuned.__getitem__)][0])
    found = {"theta": best, "error": _root(held_out(*_arrays(points.table(best)))[0]), "since": 0}

    def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        table = points.table(theta)
        value, gradients = fit(*_arrays(table))
        found["fitted"] = _root(value)
        return float(value), points.pull_back(theta, gradients)

    def look(intermediate_result: scipy.optimize.OptimizeResult) -> None:
        theta = intermediate_result.x
        error = _root(held_out(*_arrays(points.table(theta)))[0])
        found["iteration"] = found.get("iteration", 0) + 1
        say(found["iteration"], found["fitted"], error)
        found["since"] = 0 if error < found["error"] else found["since"] + 1
        if error < found["error"]:
            found.update(theta=theta.copy(), error=error)
        if found["since"] >= patience:
            raise StopIteration

    scipy.optimize.minimize(
        value_and_gradient,
        best,
        jac=True,
        method="L-BFGS-B",
        callback=look,
        options={"maxiter": iterations},
    )
    times, factors = points.read(found["theta"])
    return Tuned(tuple(times.tolist()), tuple(factors.tolist()), found["error"], untuned)


def check(sampler: FixedStep, sde: SDE) -> None:
    """Raise ValueError if a sampler adds noise, or cannot work for a process on any grid."""
    if np.isinf(Points.at(sde, sde.t_max).ratio):
        raise ValueError(f"{sde} begins at a signal-to-noise ratio of 0: use a smaller t_max")
    if not dataclasses.replace(sampler, grid="uniform", times=()).table(sde).deterministic:
        raise ValueError(
            "it adds noise, so that no sample is closest: tune a solver without, eta=0"
        )


def loss(
    denoise: Callable[..., object],
    table: Table,
    batches: Sequence[tuple[jax.Array, jax.Array, object]],
) -> Loss:
    """The loss (1) of tables of one form, as a function of their arrays; compiled once.

    Args:
        denoise: (x [batch, *data], t [batch], cond) -> Prediction.
        table: one of the form.
        batches: (the noise at t_max, what an accurate solution makes of it, conditions); [batch,
            *data] twice, all batches of one size.
    """
    # A loop is differentiated backwards through a memory of all its steps: evaluate them again.
    again = jax.checkpoint(denoise)

    @jax.jit
    @jax.value_and_grad
    def of_batch(arrays: tuple[jax.Array, ...], x: jax.Array, target: jax.Array, cond: object):
        t, states, predictions = arrays
        traced = table._replace(t=t, states=states, predictions=predictions)
        end = run(traced, before(table, x), again, None, 0, len(table.t), cond).states[0]
        return jnp.mean((end - target) ** 2)

    def of_all(*arrays: np.ndarray) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        arrays = tuple(jnp.asarray(array, batches[0][0].dtype) for array in arrays)
        found = [of_batch(arrays, *batch) for batch in batches]
        return jax.tree.map(lambda *each: sum(each) / len(each), *found)

    return of_all


@dataclasses.dataclass(frozen=True)
class _Parameters:
    """theta: the logarithms of the gaps, [steps], and of the factors, if they are sought.

    The last gap is below the last evaluation: with denoise_final="none" it ends at t_min.
    """

    sampler: FixedStep
    sde: SDE
    coefficients: bool

    @property
    def _ends(self) -> tuple[float, float]:
        """lambda at t_max and at t_min."""
        first, last = self.sde.log_snr(np.array([self.sde.t_max, self.sde.t_min])) / 2
        return first, last

    @property
    def _stops(self) -> bool:
        """Whether the sampler stops at t_min, where it evaluates nothing."""
        return self.sampler.denoise_final == "none"

    def of_times(self, t: np.ndarray) -> np.ndarray:
        """theta of a grid; factors are 1.

        A little is left below its last time, unless the sampler stops there, at t_min.
        """
        first, last = self._ends
        lam = self.sde.log_snr(t) / 2
        gaps = np.diff(lam)
        if not self._stops:
            gaps = np.append(gaps, max(last - lam[-1], _SLACK * (last - first)))
        factors = np.zeros(self.table(np.log(gaps)).predictions.size if self.coefficients else 0)
        return np.concatenate([np.log(gaps), factors])

    def read(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The times and the factors."""
        first, last = self._ends
        logits = theta[: self.sampler.steps]
        shares = np.exp(logits - logits.max())
        lam = first + (last - first) * np.cumsum(shares)[:-1] / shares.sum()
        end = [self.sde.t_min] if self._stops else []
        t = np.concatenate([[self.sde.t_max], self.sde.time_at_log_snr(2 * lam), end])
        return t, np.exp(theta[self.sampler.steps :])

    def table(self, theta: np.ndarray) -> Table:
        """The table with the times and factors that theta stands for."""
        times, factors = self.read(theta)
        return dataclasses.replace(
            self.sampler, times=tuple(times.tolist()), factors=tuple(factors.tolist())
        ).table(self.sde)

    def pull_back(self, theta: np.ndarray, gradients: Sequence[jax.Array]) -> np.ndarray:
        """The gradient with respect to theta from that with respect to the table."""
        gradient = np.concatenate([np.asarray(g, np.float64).ravel() for g in gradients])
        found = np.empty_like(theta)
        for i in range(len(theta)):
            step = np.zeros_like(theta)
            step[i] = _DIFFERENCE
            ends = (_flat(self.table(theta + sign * step)) for sign in (1, -1))
            found[i] = gradient @ (next(ends) - next(ends)) / (2 * _DIFFERENCE)
        return found


def _of_grid(sampler: FixedStep, sde: SDE, name: str) -> tuple[np.ndarray, Table] | None:
    """The times and the table of a grid, if the process can have them from t_max on."""
    try:
        on_grid = dataclasses.replace(sampler, grid=name, times=(), factors=())
        t = on_grid.grid_points(sde).t
        return (t, on_grid.table(sde)) if t[0] == sde.t_max else None
    except ValueError:
        return None


def _arrays(table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return table.t, table.states, table.predictions


def _flat(table: Table) -> np.ndarray:
    return np.concatenate([array.ravel() for array in _arrays(table)])


def _root(value: jax.Array) -> float:
    return float(np.sqrt(float(value)))
