"""Names and options: what is right is built, what is wrong is named with what would be right."""

import dataclasses
import subprocess
import sys

import jax
import numpy as np
import pytest

import score_sde
from score_sde import analytic, samplers


def test_options_reach_the_sampler():
    sampler = samplers.get("predictor_corrector", predictor="ancestral", snr=0.1, steps=7)
    assert sampler == samplers.PredictorCorrector(predictor="ancestral", snr=0.1, steps=7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        sampler.steps = 8


@pytest.mark.parametrize(
    ("name", "options", "parts"),
    [
        ("rk54", {}, ["sampler", "'rk54'", "mean 'rk45'", "valid: predictor_corrector, rk45"]),
        ("predictor_corector", {}, ["mean 'predictor_corrector'"]),
        ("rk45", {"rtl": 1}, ["option of rk45", "mean 'rtol'", "max_steps"]),
        ("predictor_corrector", {"step": 1}, ["mean 'steps'", "corrector_steps"]),
        ("predictor_corrector", {"predictor": "ancestor"}, ["mean 'ancestral'", "none"]),
        ("predictor_corrector", {"corrector": "langvin"}, ["mean 'langevin'", "ald"]),
        ("predictor_corrector", {"corrector": None}, ["corrector=None", "one of langevin, ald"]),
        ("predictor_corrector", {"predictor": ["none"]}, ["predictor=['none']", "one of euler_"]),
        ("predictor_corrector", {"grid": "logsnr"}, ["mean 'log_snr'", "karras"]),
        ("predictor_corrector", {"noise_norm": "sqrtd"}, ["mean 'sqrt_d'"]),
        ("predictor_corrector", {"order": "predictor"}, ["mean 'predictor_first'"]),
        ("predictor_corrector", {"steps": 0}, ["steps", "at least 1", "0"]),
        ("predictor_corrector", {"steps": 10.0}, ["steps", "whole number", "10.0"]),
        ("predictor_corrector", {"corrector_steps": 0}, ["corrector_steps", "at least 1"]),
        ("predictor_corrector", {"snr": 0.0}, ["snr", "above 0"]),
        ("predictor_corrector", {"snr": float("nan")}, ["snr", "above 0"]),
        (
            "predictor_corrector",
            {"predictor": "none", "probability_flow": True},
            ["probability_flow", "of a predictor: choose one"],
        ),
        ("predictor_corrector", {"predictor": "none", "corrector": "none"}, ["both 'none'"]),
        (
            "predictor_corrector",
            {"predictor": "ddim", "probability_flow": True},
            ["probability_flow is not of ddim"],
        ),
        ("predictor_corrector", {"denoise_final": True}, ["denoise_final=True", "mean, tweedie"]),
        ("P100", {}, ["mean 'P1000'", "C2000"]),
        ("P1000", {"steps": 500}, ["P1000 means steps=1000, not 500", "use predictor_corrector"]),
        ("rk45", {"denoise_final": "mean"}, ["none, tweedie"]),
        ("rk45", {"rtol": 0}, ["rtol", "above 0"]),
        ("rk45", {"atol": "1e-5"}, ["atol", "above 0", "'1e-5'"]),
        ("rk45", {"max_steps": -1}, ["max_steps", "at least 1"]),
    ],
)
def test_errors_are_one_line_that_helps(name, options, parts):
    with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
        samplers.get(name, **options)
    assert all(part in str(error.value) for part in parts), error.value


@pytest.mark.parametrize(
    ("name", "steps", "corrector_steps", "nfe"),
    [
        ("P1000", 1000, 0, 1000),
        ("P2000", 2000, 0, 2000),
        ("PC1000", 1000, 1, 2000),
        ("C2000", 1000, 2, 2000),
    ],
)
def test_samplers_of_the_paper_by_name(name, steps, corrector_steps, nfe):
    """Table 1: noise levels, corrector steps at each and evaluations; what is free stays free."""
    sampler = samplers.get(name, snr=0.17)
    assert (sampler.steps, sampler.snr) == (steps, 0.17)
    sde = score_sde.VE()
    denoise = analytic.gaussian(sde, np.zeros(1), 1.0)
    assert sampler(jax.random.key(0), denoise, sde, shape=(1, 1)).nfe == nfe
    assert sampler.corrector == ("langevin" if corrector_steps else "none")
    assert sampler.corrector_steps == max(corrector_steps, 1)
    assert (sampler.predictor == "none") == (name == "C2000")


def test_importing_score_sde_does_not_import_diffrax():
    code = "import sys, score_sde; sys.exit('diffrax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
