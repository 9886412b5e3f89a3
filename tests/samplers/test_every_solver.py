"""Every solver in every process on every grid reaches the exact answer, or says why it cannot."""

import numpy as np
import pytest
from tables import affine, marginal

from score_sde import samplers
from score_sde.processes import DDPM, EDM, GAUSSIAN, RectifiedFlow
from score_sde.samplers.points import Points
from score_sde.samplers.solvers import SOLVERS

pytestmark = pytest.mark.slow

NUMBERS = (20, 80, 320, 960)
CLOSE = 1e-2
# A name for each that differs; the tuned one is of a run.
# trailing_shift is the line of shift to another end, which is nearer to the data the more steps.
NOT_HERE = ("tuned", "trailing_shift")
GRIDS = {grid: name for name, grid in samplers.GRIDS.items() if name not in NOT_HERE}
# Whose default adds no noise are here once more with it.
VARIANTS = [(name, {}) for name in SOLVERS] + [
    ("ddim", {"eta": 1.0}),
    ("dpmpp_2s", {"eta": 1.0}),
    ("edm", {"churn": 10.0, "churn_min": 0.05, "churn_max": 1.0}),
]
# Why a combination may be refused: words of the message, and in what case they are right.
REASONS = {
    "the tuned grid is of a run": lambda sde, solver: solver.grid == "tuned",
    "has no discrete levels": lambda sde, solver: sde.scales is None,
    "ends at a signal-to-noise ratio of 0": lambda sde, solver: (
        not sde.alpha(np.float64(sde.t_max))
    ),
    "needs a signal-to-noise ratio above 0": lambda sde, solver: (
        not sde.alpha(np.float64(sde.t_max)) and solver.PREDICTS == "eps"
    ),
}


def processes(grid):
    """Each as it is by default, and two that end in pure noise."""
    ending = [RectifiedFlow(t_max=1.0), DDPM(zero_terminal_snr=True)]
    found = [make() for make in GAUSSIAN.values()] + ending
    # Equal steps from 80 down to 0.002 would have to be 40,000: from 4 they can be fewer.
    return [EDM(t_max=4.0) if one == EDM() and grid == "uniform" else one for one in found]


def error(solver, sde):
    """At t_min, on a Gaussian: of the flow map, or of mean and standard deviation if it has noise.

    The map takes mean + k std to mean + k std of the marginals (../shared/ORACLES.md), for each k.
    """
    times = solver.at(sde, solver.steps + 1)
    table = solver.of_points(Points.at(sde, times), sde)
    end = affine(table, sde)[-1]
    mean, std = marginal(Points.at(sde, times[-1]))
    spread = end[1] if table.deterministic else np.linalg.norm(end[1:])
    return abs(end[0] - mean) + abs(spread - std)


def reaches(name, options, sde, grid):
    """Whether it comes within CLOSE as its steps grow; True if it is refused with its reason."""
    for number in NUMBERS:
        if name == "restart":
            options = {**options, "inner": (max(3, number // 8),)}
        solver = samplers.get(name, grid=grid, steps=number, denoise_final="none", **options)
        try:
            if error(solver, sde) < CLOSE:
                return True
        except ValueError as refused:
            return any(why in str(refused) and right(sde, solver) for why, right in REASONS.items())
    return False


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_it_reaches_the_exact_answer(name, options):
    far = [
        (grid, sde)
        for grid in GRIDS.values()
        for sde in processes(grid)
        if not reaches(name, options, sde, grid)
    ]
    assert not far
