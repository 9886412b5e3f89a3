"""Predictors: one step of the reverse-time SDE from t to an earlier s (s = 0: to the data).

The reverse of  dx = f x dt + g dw  is (Song et al. 2021, arXiv 2011.13456, equation 6)

    dx = (f x - g^2 score) dt + g dw    with time running backwards,                   (1)

and its probability flow (equation 13 there) halves g^2 score and has no noise. A predictor turns
(sde, t, s, probability_flow) into the coefficients of an `Update`. They depend on nothing else, so
they are computed for all steps at once, on the host, in float64.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers.update import Update


def _reverse(a: np.ndarray, g2: np.ndarray, probability_flow: bool) -> Update:
    """The step a x + g2 score + sqrt(g2) z, or its probability flow."""
    if probability_flow:
        return Update(a, g2 / 2, np.zeros_like(g2))
    return Update(a, g2, np.sqrt(g2))


def euler_maruyama(sde: SDE, t: np.ndarray, s: np.ndarray, probability_flow: bool) -> Update:
    """Euler's step of (1): x - (f x - g^2 score) (t - s) + g sqrt(t - s) z.

    It ends at time s even if s = 0, which for VE is noise of sigma_min, not data.
    """
    dt = t - s
    return _reverse(1 - sde.f(t) * dt, sde.g2(t) * dt, probability_flow)


def reverse_diffusion(sde: SDE, t: np.ndarray, s: np.ndarray, probability_flow: bool) -> Update:
    """Undoes the discrete forward step x_t = A x_s + G z: (2 - A) x + G^2 score + G z.

    Song et al. 2021, equation 46 (Appendix E): x - (A - 1) x + G^2 score + G z.
    """
    a, g = sde.discretize(t, s)
    return _reverse(2 - a, g**2, probability_flow)


def probability_flow(sde: SDE, t: np.ndarray, s: np.ndarray, probability_flow: bool) -> Update:
    """The reverse-diffusion step of the probability flow, whatever the flag says."""
    return reverse_diffusion(sde, t, s, True)


def ancestral(sde: SDE, t: np.ndarray, s: np.ndarray, probability_flow: bool) -> Update:
    """The mean E[x_s | x_t] = (x + G^2 score) / A by Tweedie's formula, and the noise of DDPM.

    Ho et al. 2020 (arXiv 2006.11239), Algorithm 2; Song et al. 2021, Appendix F. Its probability
    flow is the family's member without noise, DDIM: alpha_s E[x_0 | x_t] + sigma_s eps (Song et al.
    2020, arXiv 2010.02502, equation 12 with sigma = 0), which follows the ODE to first order.
    """
    if probability_flow:
        alpha_t, sigma_t = sde.alpha(t), sde.sigma(t)
        ratio = np.where(s > 0, sde.alpha(s), 1) / alpha_t
        sigma_s = np.where(s > 0, sde.sigma(s), 0)
        return Update(ratio, sigma_t * (ratio * sigma_t - sigma_s), np.zeros_like(t))
    a, g, std = sde.ancestral(t, s)
    return Update(1 / a, g**2 / a, std)


def none(sde: SDE, t: np.ndarray, s: np.ndarray, probability_flow: bool) -> Update:
    """Leaves x as it is; it costs no evaluation."""
    return Update(np.ones_like(t), np.zeros_like(t), np.zeros_like(t))


PREDICTORS: dict[str, Callable[[SDE, np.ndarray, np.ndarray, bool], Update]] = {
    "euler_maruyama": euler_maruyama,
    "reverse_diffusion": reverse_diffusion,
    "ancestral": ancestral,
    "probability_flow": probability_flow,
    "none": none,
}
