"""The same U-Net on digits under each objective: quality by evaluations, and by training time."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments import small
from score_sde.sweep import DIGITS, EVALUATE, SAMPLE, TRAIN, Metric, Plot, Point, Program, Study

Changes = dict[str, Any]

EVALUATIONS = (1, 2, 5, 10, 50)
STEPS = (500, 1000, 2000)
LONGER = (1000, 2000, 4000)
FLOW = "configs/digits_flow.py"  # which the flow maps begin as
FEW = 2  # evaluations, with which a solver that remembers is none


class Objective(NamedTuple):
    """How a network is trained, and drawn from.

    Attributes:
        changes: of the recipe, which is one of them.
        jumps: whether it is a flow map, whose steps are jumps; else it is a denoiser.
        bits: the metric of its bits/dim; "" for none.
        first: what is trained for the first of the steps, and tuned from there on; "" for nothing.
        grid: of the solver that draws.
        steps: of training, by which it is drawn from.
    """

    changes: Changes
    jumps: bool = False
    bits: str = "bits_per_dim"
    first: str = ""
    grid: str = "uniform"
    steps: Sequence[int] = STEPS


OBJECTIVES: Mapping[str, Objective] = {
    "EDM": Objective({"config": "configs/digits_edm.py"}, grid="karras"),
    "flow matching": Objective({"config": FLOW}),
    "variational": Objective(
        {"config": "configs/digits_vdm.py"}, bits="continuous_bound", steps=LONGER
    ),
    "consistency tuning": Objective(
        {"config": "configs/digits_ect.py"}, jumps=True, bits="", first=FLOW, steps=LONGER
    ),
    "flow matching, optimal transport": Objective({"config": "configs/digits_flow_ot.py"}),
    "noise of VP": Objective({"config": "configs/digits_vp.py"}),
    "likelihood": Objective({"config": "configs/digits_likelihood.py"}),
    "MeanFlow": Objective({"config": "configs/digits_meanflow.py"}, jumps=True, bits=""),
}


def points(
    objectives: Mapping[str, Objective],
    evaluations: Sequence[int],
    network: Changes,
    decisive: int = 10,
) -> list[Point]:
    """By evaluations after the last step; before it the fewest of flow maps, else `decisive`.

    What is trained first has these changes of its network, as all have.
    """
    found = []
    for name, own in objectives.items():
        before = own.steps[1 if own.first else 0 : -1]
        asked = [(own.steps[-1], n) for n in evaluations]
        asked += [(step, evaluations[0] if own.jumps else decisive) for step in before]
        found += [_point(name, own, *one, network) for one in asked]
    return found


def _point(
    name: str, objective: Objective, trained: int, evaluations: int, network: Changes
) -> Point:
    """Samples of so many evaluations each, after so many steps of training."""
    before = objective.steps[0] if objective.first else 0
    changes = {
        **objective.changes,
        "training.steps": objective.steps[-1] - before,
        "sampling.steps": evaluations,
        **_drawn(objective, evaluations),
    }
    step = trained - before
    programs = [at(SAMPLE, step), DIGITS]
    if objective.bits and evaluations == 10:
        changes["evaluation.metrics"] = (objective.bits,)
        programs.append(at(EVALUATE, step))
    labels = {"objective": name, "trained": str(trained), "evaluations": str(evaluations)}
    return Point(labels, changes, tuple(programs), _trained(objective, before, network))


def _drawn(objective: Objective, evaluations: int) -> Changes:
    """The sampler: for a flow map its jumps, for a denoiser a solver of order 3."""
    if objective.jumps:
        return {"sampling.sampler": "jump"}
    if evaluations <= FEW:
        # To t_min, without an evaluation there: of two that would be one.
        final = {"sampling.denoise_final": "none"}
        return {"sampling.sampler": "ddim", "sampling.grid": objective.grid, **final}
    solver = {"sampling.sampler": "ipndm", "sampling.ipndm.order": 3}
    return {**solver, "sampling.grid": objective.grid}


def at(program: Program, step: int) -> Program:
    """A program that reads the checkpoint of a step."""
    return dataclasses.replace(program, argv=(*program.argv, f"--step={step}"))


def _trained(objective: Objective, before: int, network: Changes) -> tuple[Program, ...]:
    """What trains it, if that is not one command."""
    if not objective.first:
        return ()
    folder = "{run}-first"  # beside it: a run begins in an empty folder
    argv = ("{python}", "main.py", f"--config={objective.first}", f"--workdir={folder}")
    options = (
        "--config.seed={seed}",
        f"--config.training.steps={before}",
        *(f"--config.{name}={TRAINING[name]}" for name in ("training.ema_decays", "optim.decay")),
        *(f"--config.{name}={value}" for name, value in network.items()),
    )
    return (
        Program((*argv, *options)),
        dataclasses.replace(TRAIN, argv=(*TRAIN.argv, f"--init_from={folder}")),
    )


TRAINING: Changes = {
    "training.checkpoint_every": STEPS[0],
    "training.keep_every": STEPS[0],
    "training.eval_every": 0,
    "training.sample_every": 0,
    "training.ema_decays": (0.998,),
    "optim.decay": "wsd",
    "sampling.num_samples": 500,
}


def study() -> Study:
    """Every objective, three times."""
    return Study(
        title="Digits: sample quality and bits/dim by objective, evaluations and training",
        note=(
            "The U-Net of configs/digits_vp.py (with Fourier features for the variational one, and "
            "of the time, with a second one, for MeanFlow); the learning rate falls in the last "
            "fifth of the steps. "
            "Fréchet ratio: Fréchet distance in pixel space of 500 samples to the training images, "
            "over that of the 500 held-out images. The steps of consistency tuning count those of "
            "the flow that it begins as."
        ),
        points=points(OBJECTIVES, EVALUATIONS, {}),
        base=TRAINING,
        seed_fields=("seed", "sampling.seed", "evaluation.seed"),
        seeds=(0, 1, 2),
        evaluate=[],
        metrics=METRICS,
        plots=[curves(OBJECTIVES)],
    )


def curves(objectives: Mapping[str, Objective]) -> Plot:
    """Quality by evaluations, of each after its last step."""
    return Plot(
        "evaluations",
        "NFE",
        "Fréchet ratio",
        along="evaluations",
        log_x=True,
        log_y=True,
        levels={"held-out images": 1.0},
        only=[
            {"objective": (name,), "trained": (str(own.steps[-1]),)}
            for name, own in objectives.items()
        ],
    )


METRICS = [
    Metric("NFE", "sampling.nfe", 0),
    Metric("Fréchet ratio", "digits.frechet_ratio"),
    Metric("bits/dim", "bits_per_dim", 3),
    Metric("bound, bits/dim", "continuous_bound", 3),
]


def smoke() -> Study:
    """Two of them, of networks trained for half a minute."""
    some = ("flow matching", "consistency tuning")
    objectives = {name: OBJECTIVES[name]._replace(steps=(50, 100)) for name in some}
    network = {name: value for name, value in small.SMALL.items() if name.startswith("model.")}
    return Study(
        title="Digits in small: sample quality by objective, evaluations and training",
        note="The networks are trained for half a minute: this shows that the study runs.",
        points=points(objectives, (1, 10), network),
        base={**small.SMALL, "training.checkpoint_every": 50, "training.keep_every": 50},
        evaluate=[],
        metrics=METRICS[:2],
        plots=[curves(objectives)],
    )
