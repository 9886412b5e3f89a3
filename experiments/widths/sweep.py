"""A transformer of digits at several widths: which learning rate is best, without muP and with."""

from collections.abc import Sequence
from typing import Any

from score_sde.sweep import Metric, Plot, Point, Program, Study, axis, product

Changes = dict[str, Any]

BASE = 16  # the width whose learning rate is to do for all
WIDTHS = (32, 64, 128)
RATES = (2e-3, 4e-3, 8e-3, 16e-3, 32e-3, 64e-3)
RULES: dict[str, Changes] = {"standard": {}, "muP": {"optim.base": (f"channels={BASE}",)}}

MEASURE = Program(("{python}", "experiments/widths/measure.py", "{run}"), collect="ended")
METRICS = [
    Metric("learning rate", "ended.learning_rate", 4),
    Metric("held-out loss", "ended.loss", 4),
]


def points(widths: Sequence[int], rates: Sequence[float]) -> list[Point]:
    """The base, for which both rules say the same, and both rules of all others."""

    def of(rules: dict[str, Changes], widths: Sequence[int]) -> list[Point]:
        return product(
            axis("rule", rules),
            axis("width", {str(width): {"model.channels": width} for width in widths}),
            axis("rate", {f"{rate:g}": {"optim.learning_rate": rate} for rate in rates}),
        )

    return of({"base": {}}, (BASE,)) + of(RULES, widths)


def trained(steps: int) -> Changes:
    """The recipe in fewer steps, and the held-out loss after the last."""
    return {
        "config": "configs/digits_dit.py",
        "training.steps": steps,
        "training.eval_every": steps,
        "training.sample_every": 0,
        "training.checkpoint_every": steps,
        "optim.warmup": steps // 10,
    }


def plots() -> list[Plot]:
    """Loss by learning rate, a curve for each width."""
    axes = {"x": "learning rate", "y": "held-out loss", "along": "rate"}
    return [
        Plot(rule, log_x=True, log_y=True, only=[{"rule": ("base", rule)}], **axes)
        for rule in RULES
    ]


def study() -> Study:
    """Four widths, six learning rates, both rules."""
    return Study(
        title="Digits: the best learning rate by width, without muP and with",
        note=(
            "The transformer of configs/digits_dit.py, 200 steps; the loss is of v, of the 500 "
            f"held-out images with the same noise for all. muP: config.optim.base=channels={BASE}."
        ),
        points=points(WIDTHS, RATES),
        base=trained(200),
        seed_fields=("seed",),
        evaluate=[MEASURE],
        metrics=METRICS,
        plots=plots(),
    )


def smoke() -> Study:
    """Two widths and two learning rates, 20 steps."""
    return Study(
        title="Digits in small: the best learning rate by width, without muP and with",
        note="The networks are trained for 20 steps: this shows that the study runs.",
        points=points(WIDTHS[:1], RATES[:2]),
        base=trained(20) | {"model.depth": 1},
        seed_fields=("seed",),
        evaluate=[MEASURE],
        metrics=METRICS,
        plots=plots(),
    )
