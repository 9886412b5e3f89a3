"""The samplers of Tables 1, 4 and 5 as grids: predictors by correctors by SDE.

Song et al. 2021 (arXiv 2011.13456), Section 4.2 and Appendix G: the models are DDPM's network
trained with the discrete losses of SMLD (VE) and DDPM (VP), with 1000 noise levels.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from score_sde.samplers import PAPER, SHARED
from score_sde.sweep import Point

Changes = dict[str, Any]


def fields(**options: Any) -> Changes:
    """The predictor-corrector sampler with these options, by the path of their fields."""
    own = "sampling.predictor_corrector."
    paths = {f"{'sampling.' if o in SHARED else own}{o}": value for o, value in options.items()}
    return {"sampling.sampler": "predictor_corrector", **paths}


PREDICTORS: dict[str, Changes] = {
    "Ancestral sampling": fields(predictor="ancestral", probability_flow=False),
    "Reverse diffusion": fields(predictor="reverse_diffusion", probability_flow=False),
    "Probability flow": fields(predictor="reverse_diffusion", probability_flow=True),
}
CORRECTOR_ONLY = "Corrector only"
# The best snr, from Table 5; the order of predictors is that of PREDICTORS.
PC1000_SNR = {"VE": (0.17, 0.16, 0.17), "VP": (0.01, 0.01, 0.04)}
C2000_SNR = {"VE": 0.22, "VP": 0.27}
FULL: dict[str, Changes] = {
    "VE": {"config": "configs/paper.py:ve/cifar10_ddpm"},
    "VP": {"config": "configs/paper.py:vp/ddpm/cifar10"},
}


def grid(models: Mapping[str, Changes], samplers: Sequence[str]) -> list[Point]:
    """The points of an SDE one after the other: each predictor with each sampler, then C2000.

    Args:
        models: what is trained, by the name of the SDE: "VE", "VP".
        samplers: which ones, of P1000, P2000, PC1000 and C2000.
    """
    return [point for sde, model in models.items() for point in _of(sde, model, samplers)]


def _of(sde: str, model: Changes, samplers: Sequence[str]) -> Iterator[Point]:
    for (predictor, changes), snr in zip(PREDICTORS.items(), PC1000_SNR[sde], strict=True):
        for name in samplers:
            if name != "C2000":
                more = fields(snr=snr) if name == "PC1000" else {}
                yield _point(sde, predictor, name, model | changes | more)
    if "C2000" in samplers:
        yield _point(sde, CORRECTOR_ONLY, "C2000", model | fields(snr=C2000_SNR[sde]))


def _point(sde: str, predictor: str, name: str, changes: Changes) -> Point:
    labels = {"SDE": sde, "predictor": predictor, "sampler": name}
    return Point(labels, {**changes, "sampling.sampler": name})


def shorten(points: Sequence[Point], thousand: int) -> list[Point]:
    """The same points with fewer steps: `thousand` in place of 1000."""

    def short(point: Point) -> Point:
        changes = dict(point.changes)
        fixed = dict(PAPER[changes.pop("sampling.sampler")])
        fixed["steps"] = fixed["steps"] * thousand // 1000
        return dataclasses.replace(point, changes={**changes, **fields(**fixed)})

    return [short(point) for point in points]
