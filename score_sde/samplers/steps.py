"""Parts of a step that several solvers are made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from score_sde.samplers.points import Points
from score_sde.samplers.table import Row


def noise_added(t: Points, s: Points, eta: float) -> float:
    """The standard deviation of the noise that an ancestral step from t to s adds to x_s.

    eta times that of p(x_s | x_t, x_0), sigma_s sqrt(1 - (sigma/alpha)_s^2 / (sigma/alpha)_t^2)
    (Song et al. 2020, arXiv 2010.02502, equation 16), and at most sigma_s.
    """
    return min(s.sigma, eta * s.sigma * np.sqrt(-np.expm1(2 * (t.lam - s.lam))))


def first_order(t: Points, s: Points, eta: float = 0.0) -> Row:
    """The step of DDIM from t to s (equation 12 there): a row that predicts x0.

    x_s = alpha_s x0 + sqrt(sigma_s^2 - n^2) eps + n z,    n = noise_added(t, s, eta)
    """
    n = noise_added(t, s, eta) if eta else 0.0
    a = np.sqrt(s.sigma**2 - n**2) / t.sigma
    return Row(t.t, (a,), (s.alpha - a * t.alpha,), n)


def two_stages(t: Points, m: Points, s: Points, share: float) -> Iterator[Row]:
    """A step of the probability flow from t to s with a second evaluation at m, by Euler's step.

    With u = sigma / alpha, in the frame (3) of table.py; its rows predict eps:

        x_m = (alpha_m / alpha_t) x_t + alpha_m (u_m - u_t) eps_t
        x_s = (alpha_s / alpha_t) x_t + alpha_s (u_s - u_t) ((1 - share) eps_t + share eps_m)
    """
    c = s.alpha * (s.ratio - t.ratio)
    yield Row(t.t, (m.alpha / t.alpha,), (m.alpha * (m.ratio - t.ratio),))
    yield Row(m.t, (0.0, s.alpha / t.alpha), (c * share, c * (1 - share)), inner=True)


def noised(row: Row, s: Points, h: Points, size: float = 1.0) -> Row:
    """A row that ends at s, and forward from there to a higher noise level h, in one.

    x_h = (alpha_h / alpha_s) x_s + size alpha_h sqrt(u_h^2 - u_s^2) z,    u = sigma / alpha
    """
    scale = h.alpha / s.alpha
    return row._replace(
        states=[scale * a for a in row.states],
        predictions=[scale * c for c in row.predictions],
        noise=size * h.alpha * np.sqrt(h.ratio**2 - s.ratio**2),
    )
