"""Sample quality and bits/dim against the number of function evaluations, on digits."""

from collections.abc import Sequence
from typing import Any

from experiments import small
from experiments.samplers import fields
from score_sde.sweep import (
    DIGITS,
    EVALUATE,
    SAMPLE,
    Metric,
    Plot,
    Point,
    Study,
    axis,
    product,
)

# With fewer than 21 steps, VP's discrete forward step would have a negative variance.
STEPS = (25, 50, 100, 200)
TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4)
PREDICTORS: dict[str, dict[str, Any]] = {
    "Euler-Maruyama": {"predictor": "euler_maruyama"},
    "Reverse diffusion": {"predictor": "reverse_diffusion"},
    "Ancestral sampling": {"predictor": "ancestral"},
    "Probability flow, fixed steps": {"predictor": "reverse_diffusion", "probability_flow": True},
}
# Its step is of the exact marginals, so that it takes any number of them.
DDIM_STEPS = (10, 20, 50, 100)
DDIM: dict[str, dict[str, Any]] = {"DDIM": {"predictor": "ancestral", "probability_flow": True}}
# These evaluate the network twice a step, so that they take half as many.
CORRECTED: dict[str, dict[str, Any]] = {
    "Reverse diffusion + Langevin": {
        "predictor": "reverse_diffusion",
        "corrector": "langevin",
        "snr": 0.16,
    },
}


def points(
    steps: Sequence[int], ddim_steps: Sequence[int], tolerances: Sequence[float]
) -> list[Point]:
    """Solvers by steps; the adaptive one, which computes bits/dim too, by tolerance."""
    fixed = [
        point
        for solvers, numbers in ((PREDICTORS, steps), (DDIM, ddim_steps))
        for point in product(
            axis("solver", {name: fields(**v) for name, v in solvers.items()}), _steps(numbers)
        )
    ]
    corrected = product(
        axis("solver", {name: fields(**v) for name, v in CORRECTED.items()}),
        _steps([n for n in steps if 2 * n in steps]),
    )
    adaptive = product(
        axis("solver", {"Probability flow, RK45": {"sampling.sampler": "rk45"}}, [EVALUATE]),
        axis("setting", {f"tolerance {v:g}": _tolerance(v) for v in tolerances}),
    )
    return [*fixed, *corrected, *adaptive]


def _steps(steps: Sequence[int]) -> list[Point]:
    return axis("setting", {f"{n} steps": fields(steps=n) for n in steps})


def _tolerance(value: float) -> dict[str, Any]:
    sections = ("sampling.rk45", "evaluation.bits_per_dim")
    return {f"{section}.{name}": value for section in sections for name in ("rtol", "atol")}


def study() -> Study:
    """One network, sampled and measured in many ways, three times each."""
    return Study(
        title="Digits: sample quality and bits/dim by number of function evaluations",
        note=(
            "VP, the network of configs/digits_vp.py. Fréchet ratio: Fréchet distance in pixel "
            "space of 500 samples to the training images, over that of the 500 held-out images. "
            "Bits/dim: of all held-out images."
        ),
        points=points(STEPS, DDIM_STEPS, TOLERANCES),
        base={"config": "configs/digits_vp.py", "sampling.num_samples": 500},
        seeds=(0, 1, 2),
        evaluate=[SAMPLE, DIGITS],
        metrics=[
            Metric("NFE", "sampling.nfe", 0),
            Metric("Fréchet ratio", "digits.frechet_ratio"),
            Metric("NFE of bits/dim", "bits_per_dim.nfe_mean", 0),
            Metric("bits/dim", "bits_per_dim", 3),
        ],
        plots=[
            Plot(
                "quality",
                "NFE",
                "Fréchet ratio",
                along="setting",
                log_x=True,
                log_y=True,
                levels={"held-out images": 1.0},
            ),
            Plot("bits", "NFE of bits/dim", "bits/dim", along="setting", log_x=True),
        ],
    )


def smoke() -> Study:
    """A few settings of each, of a network trained for half a minute."""
    return Study(
        title="Digits in small: sample quality and bits/dim by number of function evaluations",
        note="The network is trained for half a minute: this shows that the study runs.",
        points=points((25, 50), (20,), (1e-1, 1e-3)),
        base={**small.VP, **small.SMALL, "evaluation.num_examples": 100},
        evaluate=[SAMPLE, DIGITS],
        metrics=study().metrics,
        plots=study().plots,
    )
