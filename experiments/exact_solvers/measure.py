"""What is compared, and the errors of all of it."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.exact_solvers.flows import Data
from score_sde import samplers
from score_sde.processes import DDPM, EDM, SDE, VE, VP, CosineVP, RectifiedFlow, SubVP
from score_sde.samplers.table import Table

NUMBERS = (4, 6, 8, 10, 14, 20, 40, 80, 160)  # of evaluations
PROCESSES: dict[str, SDE] = {
    "VP": VP(),
    "sub-VP": SubVP(),
    "VE": VE(),
    "EDM": EDM(),
    "cosine VP": CosineVP(),
    "rectified flow": RectifiedFlow(),
    "DDPM": DDPM(),
}
# From t_max to t_min; leading begins below, and trailing ends above.
GRIDS = ("log_snr", "karras", "uniform", "quadratic", "shift", "linspace")
Solver = tuple[str, dict[str, Any]]
SOLVERS: dict[str, Solver] = {
    "ddim": ("ddim", {}),
    "heun": ("heun", {}),
    "midpoint": ("midpoint", {}),
    "dpm2": ("dpm2", {}),
    "dpmpp_2s": ("dpmpp_2s", {}),
    "dpmpp_2m": ("dpmpp_2m", {}),
    "dpmpp_2m, heun": ("dpmpp_2m", {"variant": "heun"}),
    "dpmpp_3m": ("dpmpp_3m", {}),
    "dpmpp_3m, published": ("dpmpp_3m", {"corrected": False}),
    "dpmpp_3m_sde, eta 0": ("dpmpp_3m_sde", {"eta": 0.0}),
    **{f"deis {k}": ("deis", {"order": k}) for k in (1, 2, 3)},
    **{f"deis {k}, log_rho": ("deis", {"order": k, "variable": "log_rho"}) for k in (1, 2, 3)},
    **{f"lms {k}": ("lms", {"order": k}) for k in (2, 3, 4)},
    **{f"ipndm {k}": ("ipndm", {"order": k}) for k in (2, 3, 4)},
    "plms 4": ("plms", {}),
    **{f"unipc {k}": ("unipc", {"order": k}) for k in (1, 2, 3, 4)},
    "unipc 2, bh1": ("unipc", {"order": 2, "variant": "bh1"}),
    **{f"unipc {k}, eps": ("unipc", {"order": k, "prediction": "eps"}) for k in (2, 3)},
    "sa_solver, tau 0": ("sa_solver", {"tau": 0.0}),
}
# The same tables by other names: not measured twice.
SAME: dict[str, tuple[Solver, str]] = {
    "euler": (("euler", {}), "ddim"),
    "edm, churn 0": (("edm", {}), "heun"),
    "dpmpp_sde, eta 0": (("dpmpp_sde", {"eta": 0.0}), "dpmpp_2s"),
    "dpmpp_2m_sde, eta 0": (("dpmpp_2m_sde", {"eta": 0.0}), "dpmpp_2m"),
    **{
        f"deis {k}, rho": (("deis", {"order": k, "variable": "rho"}), f"lms {k + 1}")
        for k in (1, 2, 3)
    },
}

FLOOR = 1e-10  # the accuracy of what they are compared with, with a margin
FITTED = 3  # points that the order is fitted to
ELSEWHERE = 0.1  # an rms error of a digit above it is that of another digit


def _each(errors: np.ndarray) -> np.ndarray:
    """Root mean squares over the dimensions of errors [batch, d]; [batch]."""
    return np.sqrt(np.mean(errors**2, 1))


MEASURES: dict[str, Callable[[np.ndarray], float]] = {
    "max": lambda errors: np.abs(errors).max(),
    "median": lambda errors: np.median(_each(errors)),
}


class Curve(NamedTuple):
    """A solver on a grid, for a process and data.

    Attributes:
        data: its name.
        process: a key of PROCESSES.
        grid: the name of the grid.
        solver: a key of SOLVERS.
        errors: by the number of evaluations.
        elsewhere: trajectories that end far from where the ODE does, by the same.
        order: the fitted order of convergence; NaN if there are too few points.
    """

    data: str
    process: str
    grid: str
    solver: str
    errors: Mapping[int, float]
    elsewhere: Mapping[int, int]
    order: float


def one_core() -> None:
    """Let a process use one: products of small matrices are slower on several.

    Ctrl-C, of which the process that began it speaks, ends it without a word.
    """
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threadpool_limits(1)


def of_process(
    process: str,
    data: Sequence[Data],
    solvers: Sequence[str] = tuple(SOLVERS),
    grids: Sequence[str] = GRIDS,
    numbers: Sequence[int] = NUMBERS,
) -> list[Curve]:
    """All curves of a process; of each of the data those that are not refused."""
    sde = PROCESSES[process]
    ends = [one.ends(sde) for one in data]
    found = []
    for grid in grids:
        for solver in solvers:
            try:
                tables = {n: table for n in numbers for table in _table(solver, grid, sde, n)}
            except ValueError:  # the process cannot have the grid
                continue
            for one, end in zip(data, ends, strict=True):
                errors = {n: one.walk(table, sde) - end for n, table in tables.items()}
                found.append(curve(one, process, grid, solver, errors))
    return found


def _table(solver: str, grid: str, sde: SDE, evaluations: int) -> Iterator[Table]:
    """The table that makes so many evaluations; none if there is none."""
    name, options = SOLVERS[solver]
    make = functools.partial(
        samplers.get, name, grid=grid, denoise_final="none", lower_order_final=False, **options
    )
    some = 4  # enough for every order
    fewer, more = (make(steps=steps).pieces(sde) for steps in (some, some + 1))
    steps, rest = divmod(evaluations - fewer, more - fewer)
    if not rest:
        yield make(steps=some + steps).table(sde)


def curve(
    data: Data, process: str, grid: str, solver: str, errors: Mapping[int, np.ndarray]
) -> Curve:
    """The curve of errors [batch, d] by the number of evaluations."""
    sizes = {n: float(MEASURES[data.measure](e)) for n, e in errors.items()}
    elsewhere = {n: int(np.sum(_each(e) > ELSEWHERE)) for n, e in errors.items()}
    return Curve(data.name, process, grid, solver, sizes, elsewhere, order(sizes))


def order(errors: Mapping[int, float]) -> float:
    """Minus the slope of log error over log evaluations, of the last points above the floor."""
    points = [(n, error) for n, error in errors.items() if error > FLOOR][-FITTED:]
    if len(points) < FITTED:
        return float("nan")
    return float(-np.polyfit(*np.log(points).T, 1)[0])
