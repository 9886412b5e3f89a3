"""What a run measured of its loss by noise level, in units in which nothing learnt is 1."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from score_sde import processes
from score_sde.data.base import Info
from score_sde.data.difference import difference
from score_sde.errors import UserError
from score_sde.evaluation import engine
from score_sde.objectives.weightings import QUANTITIES
from score_sde.prediction import Prediction
from score_sde.processes import SDE
from score_sde.runs import config as configs

_METRIC = "loss_by_time"
_MEASURE = (
    "measure it: python main.py --workdir={} --mode=evaluate "
    "--config.evaluation.metrics=\"('loss_by_time',)\" "
    "--config.evaluation.loss_by_time.grid=log_snr"
)


@dataclasses.dataclass(frozen=True)
class LossCurve:
    """The curve of one run.

    Attributes:
        workdir: its folder.
        space: the section `space` of its config: what its noise is on.
        log_sigma: of sigma / alpha, ascending, [n].
        squared: mean squared error of eps, [n].
    """

    workdir: Path
    space: dict[str, Any]
    log_sigma: np.ndarray
    squared: np.ndarray

    def relative(self, spread: float) -> np.ndarray:
        """The loss relative to that of an answer that knows mean and scale of the data alone, [n].

        Of x = x0 + s eps that is m + spread^2 / (spread^2 + s^2) (x - m), whose mean squared error
        of eps is spread^2 / (spread^2 + s^2). With EDM's weighting and data of mean 0 it is the
        answer of a network that outputs 0, of loss 1 (Karras et al. 2022, Appendix B.6).

        Args:
            spread: root mean square of the data about m, the mean of all; see States.
        """
        return self.squared * (1 + np.exp(2 * self.log_sigma) / spread**2)


def read(workdir: Path, info: Info) -> LossCurve:
    """The curve that a run's evaluation.json holds.

    Args:
        workdir: the run's folder.
        info: of the examples that it is to be of.

    Raises:
        UserError: there is no such run, it has not measured its loss, or it is of other data.
    """
    config, found = configs.read(workdir)
    theirs = Info.from_json(found["data"])
    _check_same(workdir, theirs, info)
    entry = engine.read(workdir / "evaluation.json").get(_METRIC)
    if entry is None:
        raise UserError(f"{workdir} has no loss by noise level: {_MEASURE.format(workdir)}")
    sde = processes.read(config.sde)
    t, loss = (np.array(entry["curve"][name], np.float64) for name in ("t", "loss"))
    log_sigma, squared = _of_eps(sde, t, loss, entry["protocol"]["quantity"])
    order = np.argsort(log_sigma)
    return LossCurve(workdir, config.space.to_dict(), log_sigma[order], squared[order])


def _check_same(workdir: Path, theirs: Info, info: Info) -> None:
    changed = None
    if theirs.name != info.name:
        changed = f"{theirs.name}, not {info.name}"
    elif theirs.split == info.split and theirs.size:
        changed = difference(theirs, info)
    if changed:
        raise UserError(f"{workdir} is a run of other data: {changed}. Give a run of these")


def _of_eps(
    sde: SDE, t: np.ndarray, loss: np.ndarray, quantity: str
) -> tuple[np.ndarray, np.ndarray]:
    """log(sigma / alpha) and the squared error of eps, where there is signal, of any quantity's.

    All are linear in (x0, eps), whose errors at a given x are -sigma / alpha to 1.
    """
    with np.errstate(divide="ignore"):
        log_sigma = -np.asarray(sde.log_snr(t)) / 2
    kept = np.isfinite(log_sigma)
    t, log_sigma = t[kept], log_sigma[kept]
    unit = Prediction(jnp.asarray(-np.exp(log_sigma)), jnp.ones(len(t)))
    factor = np.asarray(QUANTITIES[quantity](sde, jnp.asarray(t), unit), np.float64)
    return log_sigma, loss[kept] / factor**2
