"""A grid falls from t_max to t_min exactly, straight in its own variable, or through levels."""

import numpy as np
import pytest

from score_sde import samplers
from score_sde.processes import CONTINUOUS, DDPM, SMLD, VP, RectifiedFlow
from score_sde.samplers.grids import GRIDS, TimeGrid

VARIABLE = {
    "uniform": lambda sde, t: t,
    "log_snr": lambda sde, t: sde.log_snr(t),
    "quadratic": lambda sde, t: np.sqrt(t),
    "exponential": lambda sde, t: sde.log_snr(t),
    "karras": lambda sde, t: (sde.sigma(t) / sde.alpha(t)) ** (1 / 7),
    "shift": lambda sde, t: sde.sigma(t) / (sde.sigma(t) + 3 * sde.alpha(t)),
}


@pytest.mark.parametrize("name", VARIABLE)
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


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("leading", [900, 800, 700, 600, 500, 400, 300, 200, 100, 0]),
        ("trailing", [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]),
        ("linspace", [999, 888, 777, 666, 555, 444, 333, 222, 111, 0]),
    ],
)
def test_spacings_go_through_levels(name, levels):
    """As published for 1000 levels and 10 steps; level 0 is at t_min."""
    for sde in (DDPM(), SMLD()):
        expected = np.maximum(np.array(levels) / 999, sde.t_min)
        np.testing.assert_allclose(GRIDS[name](sde, 10), expected, rtol=1e-15)
    with pytest.raises(ValueError, match=r"VP.* has no discrete levels"):
        GRIDS[name](VP(), 10)
    with pytest.raises(ValueError, match="1001 times are more than the 1000 levels"):
        GRIDS[name](DDPM(), 1001)


# By the golden samplings of released pipelines: steps, the grid's options, the times that are used.
OF_PIPELINES = {
    "sd15": {
        "e2e_ddim": {"grid": "leading", "offset": 1},
        "e2e_dpmpp2m": {"grid": "linspace_open"},
        "e2e_unipc": {"grid": "linspace_open"},
        "e2e_ddim_trailing": {"grid": "trailing"},
        "e2e_euler": {"grid": "between_levels"},
        "e2e_nocfg": {"grid": "leading", "offset": 1},
    },
    "sdxl": {"e2e_euler": {"grid": "leading", "offset": 1}},
    "dit": {"e2e": {"grid": "leading"}},
    "pixart": {"e2e": {"grid": "linspace_open"}},
}


@pytest.mark.parametrize(
    ("pipeline", "case"), [(p, case) for p, cases in OF_PIPELINES.items() for case in cases]
)
def test_levels_are_those_of_released_pipelines(shared, pipeline, case):
    """Their time steps; where no step leads on from level 0 but to the data, that is said."""
    file = np.load(shared / "golden" / "latent" / "golden" / f"{pipeline}.npz")
    expected = file[f"{case}/timesteps"]
    grid = TimeGrid(**OF_PIPELINES[pipeline][case])
    sde = DDPM(t_min=1e-9)
    slack = 0.02 if grid.grid == "between_levels" else 1e-4  # sigma is told of, and not the time
    np.testing.assert_allclose(999 * grid.at(sde, len(expected)), expected, atol=slack)
    if grid.open and expected[-1]:
        ends = grid.with_end(sde, len(expected))
        np.testing.assert_allclose(999 * ends, [*expected, 0], atol=1e-4)
    elif grid.open:
        with pytest.raises(ValueError, match="give denoise_final='tweedie', or offset=1"):
            grid.with_end(sde, len(expected))


def test_times_of_flows_are_those_of_released_pipelines(shared):
    """SD3 shifts the straight path, from 1 to its last level twice shifted; Flux 1, ... 1 / N."""
    files = shared / "golden" / "latent" / "golden"
    thousandth = 3 / (1000 + 2)
    sde = RectifiedFlow(t_min=3 * thousandth / (1 + 2 * thousandth), t_max=1.0)
    for case in ("e2e", "e2e_without_t5"):
        expected = np.load(files / "sd35.npz")[f"{case}/timesteps"]
        found = TimeGrid(grid="shift", shift=3.0).at(sde, len(expected))
        np.testing.assert_allclose(1000 * found, expected, rtol=1e-6)
    sigmas, tokens = np.load(files / "flux_dev.npz")["e2e/sigmas"], 16
    mu = 0.5 + (1.15 - 0.5) * (tokens - 256) / (4096 - 256)
    found = TimeGrid(grid="trailing_shift", shift=np.exp(mu)).at(RectifiedFlow(t_max=1.0), 4)
    np.testing.assert_allclose(found, sigmas[:-1], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("leading", [852, 710, 568, 426, 284, 142, 0]),  # k is whole
        ("trailing", [999, 856, 713, 570, 428, 285, 142]),
        ("linspace", [999, 832, 666, 500, 333, 166, 0]),  # halves to the even level
    ],
)
def test_spacings_that_do_not_divide(name, levels):
    """As published for 1000 levels and 7 steps."""
    expected = np.maximum(np.array(levels) / 999, DDPM().t_min)
    np.testing.assert_allclose(GRIDS[name](DDPM(), 7), expected, rtol=1e-15)


def test_a_shift_multiplies_the_noise_over_signal():
    """Of the straight path from t = 1: u' = s u / (1 + (s - 1) u), but for the last time."""
    sde = RectifiedFlow(t_max=1.0)
    t = TimeGrid(steps=11, grid="shift", shift=2.0).at(sde, 11)
    last = sde.t_min / (2 - sde.t_min)  # what the shift takes to t_min
    u = np.linspace(1, last, 11)
    np.testing.assert_allclose(t, 2 * u / (1 + u), rtol=1e-12)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((1.0, 0.5, 0.5), "must fall"),
        ((0.2, 0.5), "must fall"),
        ((1.5, 0.2), "after t_max=1 of VP"),
    ],
)
def test_times_that_cannot_be(times, message):
    with pytest.raises(ValueError, match=message):
        TimeGrid(times=times).at(VP(), 3)
    for last in (0.3, np.nextafter(VP().t_min, 0)):
        assert TimeGrid(times=(1.0, float(last))).at(VP(), 3).tolist() == [1.0, last]


def test_one_time_is_no_step():
    """It is an evaluation, which only Tweedie's formula has a use for."""
    for name, options in (("dpmpp_2m", {}), ("heun", {}), ("unipc", {"order": 1}), ("edm", {})):
        options = {"times": (1.0,), **options}
        assert samplers.get(name, **options).pieces(VP()) == 1
        with pytest.raises(ValueError, match="no step from one time"):
            samplers.get(name, denoise_final="none", **options).check(VP())


@pytest.mark.parametrize("name", ["deis", "ipndm", "lms", "plms", "unipc"])
def test_an_order_needs_as_many_times(name):
    samplers.get(name, order=3, steps=3).check(VP())
    for options in ({"steps": 2}, {"times": (1.0, 0.1)}):
        with pytest.raises(ValueError, match=r"order=3 of \w+ needs 3 times at least, not 2"):
            samplers.get(name, order=3, **options).check(VP())
