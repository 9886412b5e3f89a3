"""What no table can be made of is refused in one line, at once, and without a warning."""

import warnings

import numpy as np
import pytest

from score_sde import samplers
from score_sde.processes import DDPM, SMLD, VP
from score_sde.samplers import adams
from score_sde.samplers.grids import TimeGrid
from score_sde.samplers.solvers import SOLVERS


def refused(make, message):
    """The one line of the ValueError that `make` raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message) as raised:
            make()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("sde", "steps", "options", "message"),
    [
        (DDPM(t_max=0.7), 4, {"grid": "leading"}, "begin at 0.750751, after t_max=0.7 of DDPM"),
        (SMLD(t_max=0.9), 4, {"grid": "trailing"}, "begin at 1, after t_max=0.9 of SMLD"),
        (DDPM(t_min=0.3, scales=25), 25, {"grid": "linspace"}, "take fewer steps"),
        (DDPM(t_min=0.3, scales=25), 25, {"grid": "leading"}, "take fewer steps"),
        (VP(), 4, {"grid": "karras", "rho": 1e-30}, "not finite for VP.*another rho"),
        (VP(t_max=0.1), 25, {"grid": "karras", "rho": 1e-3}, "another rho"),
        (VP(), 4, {"grid": "shift", "shift": 1e-30}, "not different times.*rho or shift"),
        (VP(), 4, {"times": (1.0, 1e-9)}, "end at 1e-09, before t_min=0.001 of VP"),
    ],
)
def test_grids_that_a_process_cannot_have(sde, steps, options, message):
    refused(lambda: TimeGrid(steps=steps, **options).at(sde, steps), message)


@pytest.mark.parametrize("name", SOLVERS)
def test_one_time_is_no_step(name):
    options = {"order": 1} if hasattr(SOLVERS[name], "order") else {}
    sampler = samplers.get(name, times=(0.5,), denoise_final="none", **options)
    refused(lambda: sampler.check(VP()), "no step from one time")


def test_weights_that_overflow_on_the_device():
    """alpha is 1e-272 at t = 0.5: a float64 holds 1 / alpha, a float32 does not."""
    sde = VP(beta_max=1e4)
    for name, options in (("deis", {"order": 1}), ("heun", {})):
        sampler = samplers.get(name, times=(0.5,), **options)
        refused(lambda sampler=sampler: sampler.check(sde), "also as a float32")


def test_no_data_from_pure_noise():
    """A last step from alpha = 0 by Tweedie's formula."""
    sampler = samplers.get(
        "predictor_corrector",
        predictor="reverse_diffusion",
        corrector="none",
        times=(1.0,),
        denoise_final="tweedie",
    )
    refused(lambda: sampler.check(DDPM(zero_terminal_snr=True)), "no signal is left")


@pytest.mark.parametrize(
    ("name", "option"), [("dpmpp_2m_sde", "eta"), ("dpmpp_3m_sde", "eta"), ("sa_solver", "tau")]
)
def test_noise_is_bounded(name, option):
    """Each panel of an integral is as short as the noise is large: 1e9 took all memory."""
    refused(lambda: samplers.get(name, **{option: 1e9}), f"{option}=.* at most 100")
    samplers.get(name, **{option: 100.0}).check(VP())


def test_no_panels_where_an_integrand_is_0(monkeypatch):
    """Of e^(1000 (lambda - end)) over 50: the same weights, from the last 0.745 alone."""
    points, gauss = [], adams.gauss

    def counted(ends):
        points.append(gauss(ends))
        return points[-1]

    monkeypatch.setattr(adams, "gauss", counted)
    nodes = np.array([0.0, -1.0])
    found = adams.exponential(nodes, 0.0, 50.0, 1000.0)
    np.testing.assert_allclose(found, [51 - 1e-3, -50 + 1e-3], rtol=1e-12)
    assert len(points[0][0]) <= 24 * 746


def test_restarts_are_bounded():
    """Rows of a table are made on the host."""
    options = {"inner": (1000,), "repeats": (1000,)}
    refused(lambda: samplers.get("restart", **options), "1,998,000 evaluations, and at most")


@pytest.mark.parametrize("shape", [(), (0, 1), (-1, 1), (2.5, 1), "x", 2])
@pytest.mark.parametrize("name", ["dpmpp_2m", "predictor_corrector", "rk45"])
def test_shapes_that_cannot_be(name, shape):
    begin = samplers.get(name).begin
    refused(lambda: begin(None, VP(), shape=shape), "are of a shape .batch, .data., whole numbers")
    if shape in ((), (0, 1)):
        refused(lambda: begin(None, VP(), x_init=np.ones(shape)), "are of a shape")
