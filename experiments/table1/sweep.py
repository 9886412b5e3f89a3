"""Table 1: predictors by correctors by SDE, FID on CIFAR-10. See README.md."""

from experiments import small
from experiments.samplers import FULL, grid, shorten
from score_sde.sweep import DIGITS, EVALUATE, SAMPLE, Metric, Study

SAMPLERS = ("P1000", "P2000", "PC1000", "C2000")
# By SDE and predictor: P1000, P2000, PC1000.
TABLE = {
    ("VE", "Ancestral sampling"): "4.98±.06 4.88±.06 3.62±.03",
    ("VE", "Reverse diffusion"): "4.79±.07 4.74±.08 3.60±.02",
    ("VE", "Probability flow"): "15.41±.15 10.54±.08 3.51±.04",
    ("VP", "Ancestral sampling"): "3.24±.02 3.24±.02 3.21±.02",
    ("VP", "Reverse diffusion"): "3.21±.02 3.19±.02 3.18±.01",
    ("VP", "Probability flow"): "3.59±.04 3.23±.03 3.06±.03",
}
C2000 = {"VE": "20.43±.07", "VP": "19.06±.06"}
PUBLISHED = {
    (*row, sampler): (number,)
    for row, numbers in TABLE.items()
    for sampler, number in zip(SAMPLERS, numbers.split(), strict=False)
} | {(sde, "Corrector only", "C2000"): (number,) for sde, number in C2000.items()}


def study() -> Study:
    """As in the paper: 50,000 samples, in batches of 1024."""
    return Study(
        title="Table 1: FID on CIFAR-10 by predictor and corrector",
        points=grid(FULL, SAMPLERS),
        base={
            "evaluation.samples.num_samples": 50_000,
            "evaluation.batch_size": 1024,
            "evaluation.metrics": ("fid",),
        },
        seeds=(0, 1, 2),
        evaluate=[EVALUATE],
        metrics=[Metric("FID", "fid")],
        published=PUBLISHED,
    )


def smoke() -> Study:
    """The same grid on digits."""
    models = {"VE": small.SMLD, "VP": small.DDPM}
    return Study(
        title="Table 1 in small: Fréchet ratio on digits by predictor and corrector",
        note=small.NOTE,
        points=shorten(grid(models, SAMPLERS), small.THOUSAND),
        base=small.SMALL,
        evaluate=[SAMPLE, DIGITS],
        metrics=[Metric("Fréchet ratio", "digits.frechet_ratio", published="FID")],
        published=PUBLISHED,
    )
