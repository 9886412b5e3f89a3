"""The last share of a sampler's steps, and the first."""

import numpy as np
import pytest
from tables import PROCESSES

from score_sde import samplers
from score_sde.processes import VP

NAMES = ("ddim", "dpmpp_2s", "euler", "heun")


@pytest.mark.parametrize("final", ["tweedie", "none"])
@pytest.mark.parametrize("name", NAMES)
def test_steps_of_one_step_methods_are_the_last_ones(name, final):
    """Row by row, of every process on which the grid is."""
    for sde in PROCESSES:
        whole = samplers.get(name, steps=10, grid="uniform", denoise_final=final)
        if name == "dpmpp_2s" and not sde.alpha(np.float64(sde.t_max)):
            continue
        part = whole.later(sde, 0.4)
        rows, all_rows = part.table(sde), whole.table(sde)
        begins = np.flatnonzero(~all_rows.inner)[-4]
        assert part.begins(sde) == all_rows.t[begins]
        for ours, theirs in zip(rows[1:], all_rows[1:], strict=True):
            if ours is not None:
                np.testing.assert_array_equal(ours, theirs[begins:])


def test_a_multistep_method_begins_anew_and_ends_as_it_would():
    """Of few steps of many the last one is of full order, as of all of them."""
    whole = samplers.get("dpmpp_2m", steps=20)
    part = whole.later(VP(), 0.25)
    rows, all_rows = part.table(VP()), whole.table(VP())
    np.testing.assert_array_equal(rows.predictions[1:], all_rows.predictions[-4:])
    assert not rows.predictions[0, 1:].any()


@pytest.mark.parametrize("final", ["tweedie", "none"])
@pytest.mark.parametrize("name", [*NAMES, "dpmpp_2m"])
def test_the_first_steps_and_then_the_last_are_all_of_them(name, final):
    """Row by row; a multistep method begins anew, of which the first rows are compared."""
    whole = samplers.get(name, steps=20, grid="uniform", denoise_final=final)
    first = whole.earlier(VP(), 0.6)
    rows, all_rows = first.table(VP()), whole.table(VP())
    count = len(rows.t)
    assert count == np.flatnonzero(~all_rows.inner)[12]
    for ours, theirs in zip(rows[1:], all_rows[1:], strict=True):
        if ours is not None:
            np.testing.assert_array_equal(ours, theirs[:count])
    rest = whole.later(VP(), 0.4).table(VP())
    assert (rest.t[0], len(rest.t)) == (all_rows.t[count], len(all_rows.t) - count)
    assert whole.earlier(VP(), 1.0) is whole
    with pytest.raises(ValueError, match=r"0.01 of 20 steps"):
        whole.earlier(VP(), 0.01)


@pytest.mark.parametrize("predictor", ["reverse_diffusion", "ddim"])
def test_predictors_with_a_corrector(predictor):
    sampler = samplers.get("predictor_corrector", predictor=predictor, steps=50)
    part = sampler.later(VP(), 0.06)
    np.testing.assert_array_equal(part.table(VP()).t, sampler.table(VP()).t[-3:])


def test_all_steps_are_the_sampler_itself_and_none_are_refused():
    sampler = samplers.get("ddim", steps=50)
    assert sampler.later(VP(), 1.0).grid == sampler.grid
    assert len(sampler.later(VP(), 0.58).times) == 29  # and 0.58 * 50 is below it
    for share, message in ((0.01, "0.01 of 50 steps"), (0.0, "above 0"), (1.5, "above 0")):
        with pytest.raises(ValueError, match=message):
            sampler.later(VP(), share)
    for part in ("later", "earlier"):
        with pytest.raises(ValueError, match="RK45 has no steps"):
            getattr(samplers.get("rk45"), part)(VP(), 0.5)
