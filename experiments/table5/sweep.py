"""Table 5: the best signal-to-noise ratio of the corrector, by FID on CIFAR-10. See README.md."""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments import small
from experiments.samplers import FULL, grid, shorten
from score_sde.sweep import (
    DIGITS,
    EVALUATE,
    SAMPLE,
    Best,
    Metric,
    Point,
    Study,
    axis,
    product,
)

# PC1000 by SDE, in the order of Table 1's rows; then C2000.
TABLE = {"VE": ".17 .16 .17", "VP": ".01 .01 .04"}
C2000 = {"VE": ".22", "VP": ".27"}
PREDICTORS = ("Ancestral sampling", "Reverse diffusion", "Probability flow")
PUBLISHED = {
    (sde, predictor, "PC1000"): (number,)
    for sde, numbers in TABLE.items()
    for predictor, number in zip(PREDICTORS, numbers.split(), strict=True)
} | {(sde, "Corrector only", "C2000"): (number,) for sde, number in C2000.items()}

# Around the published values, which differ by as much between the SDEs. VP's best with PC1000 are
# small, and every corrector alone needs a larger step.
SNRS = {
    ("VE", "PC1000"): (0.13, 0.14, 0.15, 0.16, 0.17, 0.18, 0.19, 0.2),
    ("VP", "PC1000"): (0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08),
    ("VE", "C2000"): (0.16, 0.18, 0.2, 0.22, 0.24, 0.26),
    ("VP", "C2000"): (0.21, 0.23, 0.25, 0.27, 0.29, 0.31),
}


def over_snr(
    points: Sequence[Point], snrs: Mapping[tuple[str, str], Sequence[float]]
) -> list[Point]:
    """Every point with each snr of its SDE and sampler."""
    return [
        combined
        for point in points
        for combined in product([point], _axis(snrs[point.labels["SDE"], point.labels["sampler"]]))
    ]


def _axis(values: Sequence[float]) -> list[Point]:
    return axis("snr", {f"{value:g}": _snr(value) for value in values})


def _snr(value: float) -> dict[str, Any]:
    return {"sampling.predictor_corrector.snr": value}


def study() -> Study:
    """As in the paper: 50,000 samples, in batches of 1024."""
    return Study(
        title="Table 5: the best snr on CIFAR-10",
        points=over_snr(grid(FULL, ["PC1000", "C2000"]), SNRS),
        base={
            "evaluation.samples.num_samples": 50_000,
            "evaluation.batch_size": 1024,
            "evaluation.metrics": ("fid",),
        },
        evaluate=[EVALUATE],
        metrics=[Metric("FID", "fid")],
        published=PUBLISHED,
        best=Best("snr", "FID"),
    )


def smoke() -> Study:
    """Two values of snr, on digits."""
    models = {"VE": small.SMLD, "VP": small.DDPM}
    snrs = dict.fromkeys(SNRS, (0.05, 0.2))
    return Study(
        title="Table 5 in small: the best snr on digits",
        note=small.NOTE,
        points=over_snr(shorten(grid(models, ["PC1000", "C2000"]), small.THOUSAND), snrs),
        base=small.SMALL,
        evaluate=[SAMPLE, DIGITS],
        metrics=[Metric("Fréchet ratio", "digits.frechet_ratio")],
        published=PUBLISHED,
        best=Best("snr", "Fréchet ratio"),
    )
