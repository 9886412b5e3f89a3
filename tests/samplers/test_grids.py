"""Each grid falls from t_max to t_min exactly and is straight in its own variable."""

import numpy as np
import pytest

from score_sde.processes import CONTINUOUS
from score_sde.samplers.grids import GRIDS

VARIABLE = {
    "uniform": lambda sde, t: t,
    "log_snr": lambda sde, t: sde.log_snr(t),
    "quadratic": lambda sde, t: np.sqrt(t),
    "karras": lambda sde, t: (sde.sigma(t) / sde.alpha(t)) ** (1 / 7),
}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("sde", [make() for make in CONTINUOUS.values()], ids=list(CONTINUOUS))
def test_grid(name, sde):
    t = GRIDS[name](sde, 1000)
    assert t.dtype == np.float64
    assert t.shape == (1000,)
    assert t[0] == sde.t_max
    assert t[-1] == sde.t_min
    assert (np.diff(t) < 0).all()
    differences = np.diff(VARIABLE[name](sde, t))
    np.testing.assert_allclose(differences, differences.mean(), rtol=1e-8)
    np.testing.assert_array_equal(GRIDS[name](sde, 1), [sde.t_max])
    np.testing.assert_array_equal(GRIDS[name](sde, 2), [sde.t_max, sde.t_min])


def test_karras_is_the_published_schedule():
    """Karras et al. 2022, equation 5, for 4 steps from 80 to 0.002."""
    from score_sde import EDM

    i = np.arange(4)
    expected = (80 ** (1 / 7) + i / 3 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    np.testing.assert_allclose(GRIDS["karras"](EDM(), 4), expected, rtol=1e-12)
