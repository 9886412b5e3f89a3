"""The samplers of Table 1 by their names there (Song et al. 2021, arXiv 2011.13456).

All are predictor-corrector samplers; the predictor, the snr and the rest remain to be chosen. On a
process in continuous time P2000 just takes smaller steps; on a discrete one of 1000 noise levels
(processes.sequences) it takes its times between the levels too, the interpolated levels of Table 4.
"""

from __future__ import annotations

from typing import Any

PAPER: dict[str, dict[str, Any]] = {
    "P1000": {"corrector": "none", "steps": 1000},
    "P2000": {"corrector": "none", "steps": 2000},
    "PC1000": {"corrector": "langevin", "corrector_steps": 1, "steps": 1000},
    # As many evaluations as P2000, two at each of the levels that the others visit.
    "C2000": {"predictor": "none", "corrector": "langevin", "corrector_steps": 2, "steps": 1000},
}
