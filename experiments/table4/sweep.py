"""Table 4: P2000 between the noise levels that were trained, FID on CIFAR-10. See README.md."""

from experiments import small
from experiments.samplers import FULL, grid, shorten
from score_sde.sweep import DIGITS, EVALUATE, SAMPLE, Metric, Study

# By predictor: VE, VP.
TABLE = {
    "Ancestral sampling": ("4.92±.02", "3.11±.03"),
    "Reverse diffusion": ("4.72±.07", "3.10±.03"),
    "Probability flow": ("12.87±.09", "3.25±.04"),
}
PUBLISHED = {
    (sde, predictor, "P2000"): (number,)
    for predictor, numbers in TABLE.items()
    for sde, number in zip(("VE", "VP"), numbers, strict=True)
}


def study() -> Study:
    """As in the paper: 50,000 samples, in batches of 1024."""
    return Study(
        title="Table 4: FID on CIFAR-10 with P2000, by interpolated noise levels",
        points=grid(FULL, ["P2000"]),
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
    """The same grid on digits: 100 steps between 50 noise levels."""
    models = {"VE": small.SMLD, "VP": small.DDPM}
    return Study(
        title="Table 4 in small: Fréchet ratio on digits between the noise levels",
        note=small.NOTE,
        points=shorten(grid(models, ["P2000"]), small.THOUSAND),
        base=small.SMALL,
        evaluate=[SAMPLE, DIGITS],
        metrics=[Metric("Fréchet ratio", "digits.frechet_ratio", published="FID")],
        published=PUBLISHED,
    )
