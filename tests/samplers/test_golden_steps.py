"""One step of each predictor and corrector against the published code, in float32.

The golden noise `z` stands in for a draw, and the golden score for an evaluation. The reference
stores VP's and VE's discrete levels at the times i / 999 and looks up i = floor(999 t), so our
steps are given the times of these indices; the rest of the reference is at t itself.
"""

import numpy as np
import pytest

import score_sde
from score_sde.samplers.correctors import CORRECTORS
from score_sde.samplers.predictors import PREDICTORS

SDES = {"vp": score_sde.VP(), "subvp": score_sde.SubVP(), "ve": score_sde.VE()}
DT = 1 / 1000

PREDICTOR_STEPS = [
    (sde, predictor, flow)
    for sde in SDES
    for predictor in ("euler_maruyama", "reverse_diffusion")
    for flow in (False, True)
] + [("vp", "ancestral", False), ("ve", "ancestral", False)]


@pytest.fixture
def golden(shared):
    return np.load(shared / "golden" / "sde_and_steps.npz")


def discrete_times(name, t):
    """The reference's (t, s) for its lookup of t."""
    index = np.floor(t * 999).astype(np.int64)
    # VP's levels depend on the length of the step only; VE's are those of its two ends.
    return index / 999, (index / 999 - DT if name == "vp" else (index - 1) / 999)


def assert_step(update, golden, name, step):
    """The step and its mean, each example to 2e-6 in relative L2 error.

    (VE's sigma_t^2 - sigma_s^2 is 1.7% of its terms, so the reference loses two digits there.)
    """
    x, score, z = golden[f"{name}/x"], golden[f"{name}/score"], golden["z_nchw"]
    update = type(update)(*(np.asarray(c, np.float32) for c in update))
    for noise, key in ((z, "x"), (np.zeros_like(z), "x_mean")):
        expected = golden[f"{name}/{step}/{key}"]
        error = np.asarray(update(x, score, noise)) - expected
        relative = [
            np.linalg.norm(e) / np.linalg.norm(r) for e, r in zip(error, expected, strict=True)
        ]
        assert max(relative) < 2e-6, (key, relative)


@pytest.mark.parametrize(("name", "predictor", "flow"), PREDICTOR_STEPS)
def test_predictor(golden, name, predictor, flow):
    t = golden["t"].astype(np.float64)
    if predictor == "euler_maruyama" or name == "subvp":
        t, s = t, t - DT
    else:
        t, s = discrete_times(name, golden["t"])
    update = PREDICTORS[predictor](SDES[name], t, s, flow)
    assert all(c.dtype == np.float64 for c in update)  # made on the host, not by JAX
    suffix = "" if predictor == "ancestral" else f"_pf{int(flow)}"
    assert_step(update, golden, name, predictor + suffix)
    if flow and predictor == "reverse_diffusion":
        shortcut = PREDICTORS["probability_flow"](SDES[name], t, s, False)
        np.testing.assert_array_equal(shortcut, update)


@pytest.mark.parametrize("name", ["vp", "ve"])
@pytest.mark.parametrize("corrector", ["langevin", "ald"])
def test_corrector(golden, name, corrector):
    """The norms are averages over all 8 examples, of 8 different times."""
    t, s = discrete_times(name, golden["t"])
    update = CORRECTORS[corrector](
        golden[f"{name}/score"],
        golden["z_nchw"],
        alpha=(SDES[name].ancestral(t, s)[0] ** 2).astype(np.float32),
        sigma=SDES[name].sigma(golden["t"]),
        snr=0.16,
    )
    assert_step(update, golden, name, corrector)
