"""Sample quality against evaluations of the network, 4 to 50, for every solver, on digits."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments import small
from experiments.samplers import fields
from score_sde.sweep import DIGITS, SAMPLE, TRAIN, Metric, Plot, Point, Program, Study

Changes = dict[str, Any]

EVALUATIONS = (4, 6, 10, 20, 50)
# A method of two stages takes two evaluations for each time but the last.
STAGES = {"heun": 2, "midpoint": 2, "dpm2": 2, "dpmpp_2s": 2, "dpmpp_sde": 2, "edm": 2}
# By what they are called in the table: the sampler and its own options.
SOLVERS: dict[str, tuple[str, Changes]] = {
    "ddim": ("ddim", {}),
    "ddim, eta 1": ("ddim", {"eta": 1.0}),
    "midpoint": ("midpoint", {}),
    "dpmpp_2s": ("dpmpp_2s", {}),
    "dpmpp_2m": ("dpmpp_2m", {}),
    "dpmpp_3m": ("dpmpp_3m", {}),
    "dpmpp_2m_sde": ("dpmpp_2m_sde", {}),
    "dpmpp_3m_sde": ("dpmpp_3m_sde", {}),
    "dpmpp_sde": ("dpmpp_sde", {}),
    "deis 2": ("deis", {"order": 2}),
    "ipndm 3": ("ipndm", {"order": 3}),
    "lms 3": ("lms", {"order": 3}),
    "plms": ("plms", {}),
    "unipc 2": ("unipc", {"order": 2}),
    "unipc 3": ("unipc", {"order": 3}),
    "sa_solver": ("sa_solver", {}),
    "edm, churn 20": ("edm", {"churn": 20.0, "churn_min": 0.05, "churn_max": 50.0}),
}
GRIDS = ("uniform", "log_snr")
# What the pictures show, more than which nobody could tell apart: those that a grid serves.
UNIFORM = ("ddim", "midpoint", "dpmpp_2m", "deis 2", "ipndm 3", "lms 3", "plms")
LOG_SNR = ("ddim", "dpmpp_2m", "deis 2", "unipc 2", "dpmpp_2m_sde", "dpmpp_3m_sde", "sa_solver")
TUNED: dict[str, tuple[int, ...]] = {"dpmpp_2m": (4, 6, 10), "deis 2": (4, 6, 10)}


def points(evaluations: Sequence[int], solvers: Mapping[str, tuple[str, Changes]]) -> list[Point]:
    """Every solver on every grid, and the predictor-corrector sampler of 1000 steps."""
    found = [
        _point(name, grid, number)
        for name in solvers
        for grid in GRIDS
        for number in evaluations
        if number >= STAGES.get(solvers[name][0], 1) * 2
    ]
    labels = {"solver": "predictor-corrector", "grid": "uniform", "evaluations": "2000"}
    return [*found, Point(labels, fields(predictor="reverse_diffusion", corrector="langevin"))]


def _point(name: str, grid: str, evaluations: int) -> Point:
    sampler, own = SOLVERS[name]
    stages = STAGES.get(sampler, 1)
    changes = {
        "sampling.sampler": sampler,
        "sampling.steps": (evaluations + stages - 1) // stages,
        "sampling.grid": grid,
        **{f"sampling.{sampler}.{option}": value for option, value in own.items()},
    }
    return Point({"solver": name, "grid": grid, "evaluations": str(evaluations)}, changes)


def tuned() -> list[Point]:
    """The solvers whose times were tuned."""
    return [_point(name, "tuned", n) for name, numbers in TUNED.items() for n in numbers]


def tune(name: str, steps: int) -> Program:
    """The program that tunes the times and coefficients of a solver."""
    sampler, own = SOLVERS[name]
    options = [f"--config.sampling.{sampler}.{option}={value}" for option, value in own.items()]
    return Program(
        (
            *("{python}", "-m", "score_sde.samplers.tune", "{run}", "--coefficients"),
            *(f"--sampler={sampler}", f"--steps={steps}", *options),
        ),
        creates="grid.json",
    )


def _plot(grid: str, solvers: Sequence[str]) -> Plot:
    """Some solvers on a grid, beside the tuned ones."""
    return Plot(
        grid,
        "NFE",
        "Fréchet ratio",
        along="evaluations",
        log_x=True,
        log_y=True,
        levels={"held-out images": 1.0},
        only=[{"solver": solvers, "grid": (grid, "tuned")}],
    )


def study() -> Study:
    """One network, drawn from in many ways, three times each."""
    return Study(
        title="Digits: sample quality by solver, grid and evaluations of the network",
        note=(
            "VP, the network of configs/digits_vp.py. Fréchet ratio: Fréchet distance in pixel "
            "space of 500 samples to the training images, over that of the 500 held-out images."
        ),
        points=[*points(EVALUATIONS, SOLVERS), *tuned()],
        base={"config": "configs/digits_vp.py", "sampling.num_samples": 500},
        seeds=(0, 1, 2),
        train=[TRAIN, *(tune(name, n) for name, numbers in TUNED.items() for n in numbers)],
        evaluate=[SAMPLE, DIGITS],
        metrics=[
            Metric("NFE", "sampling.nfe", 0),
            Metric("Fréchet ratio", "digits.frechet_ratio"),
        ],
        plots=[_plot("uniform", UNIFORM), _plot("log_snr", LOG_SNR)],
    )


def smoke() -> Study:
    """Some of them, of a network trained for half a minute."""
    some = {name: SOLVERS[name] for name in ("dpmpp_2m", "deis 2")}
    return Study(
        title="Digits in small: sample quality by solver, grid and evaluations of the network",
        note="The network is trained for half a minute: this shows that the study runs.",
        points=[p for p in points((4, 10), some) if p.labels["evaluations"] != "2000"],
        base={**small.VP, **small.SMALL},
        evaluate=[SAMPLE, DIGITS],
        metrics=study().metrics,
        plots=study().plots,
    )
