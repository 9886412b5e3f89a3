"""Table 2: bits/dim and FID of the probability-flow ODE, on CIFAR-10. See README.md."""

from experiments import small
from score_sde.sweep import DIGITS, EVALUATE, SAMPLE, Metric, Study, axis, product

# By model and SDE: bits/dim and FID.
PUBLISHED = {
    ("DDPM cont.", "VP"): ("3.21", "3.69"),
    ("DDPM cont.", "sub-VP"): ("3.05", "3.56"),
    ("DDPM++ cont.", "VP"): ("3.16", "3.93"),
    ("DDPM++ cont.", "sub-VP"): ("3.02", "3.16"),
    ("DDPM++ cont. deep", "VP"): ("3.13", "3.08"),
    ("DDPM++ cont. deep", "sub-VP"): ("2.99", "2.92"),
}
CONFIGS = {
    ("DDPM cont.", "VP"): "vp/ddpm/cifar10_continuous",
    ("DDPM cont.", "sub-VP"): "subvp/cifar10_ddpm_continuous",
    ("DDPM++ cont.", "VP"): "vp/cifar10_ddpmpp_continuous",
    ("DDPM++ cont.", "sub-VP"): "subvp/cifar10_ddpmpp_continuous",
    ("DDPM++ cont. deep", "VP"): "vp/cifar10_ddpmpp_deep_continuous",
    ("DDPM++ cont. deep", "sub-VP"): "subvp/cifar10_ddpmpp_deep_continuous",
}


def study() -> Study:
    """As in the paper: 50,000 samples; bits/dim over 5 dequantisations of the test set."""
    points = [
        point
        for (model, sde), name in CONFIGS.items()
        for point in product(
            axis("model", {model: {}}), axis("SDE", {sde: {"config": f"configs/paper.py:{name}"}})
        )
    ]
    return Study(
        title="Table 2: bits/dim and FID of the probability-flow ODE on CIFAR-10",
        points=points,
        base={
            "sampling.sampler": "rk45",
            # The released code removes the noise that is left at 1e-3, by nearly this step.
            "sampling.denoise_final": "tweedie",
            "evaluation.samples.num_samples": 50_000,
            "evaluation.batch_size": 1024,
            "evaluation.metrics": ("bits_per_dim", "fid"),
            "evaluation.bits_per_dim.repeats": 5,
            # The paper's likelihoods begin where its training does, its samples end at 1e-3.
            "evaluation.bits_per_dim.t_min": 1e-5,
        },
        evaluate=[EVALUATE],
        metrics=[Metric("bits/dim", "bits_per_dim"), Metric("FID", "fid")],
        published=PUBLISHED,
    )


def smoke() -> Study:
    """The same models and SDEs in small, on digits."""
    models = {
        "DDPM cont.": small.DDPM_NET,
        "DDPM++ cont.": small.DDPMPP,
        "DDPM++ cont. deep": small.DDPMPP | small.DEEP,
    }
    return Study(
        title="Table 2 in small: bits/dim and Fréchet ratio of the probability-flow ODE on digits",
        note=small.NOTE,
        points=product(axis("model", models), axis("SDE", {"VP": small.VP, "sub-VP": small.SUBVP})),
        base={
            **small.SMALL,
            "sampling.sampler": "rk45",
            "evaluation.num_examples": 100,
            "evaluation.bits_per_dim.rtol": 1e-3,
            "evaluation.bits_per_dim.atol": 1e-3,
        },
        evaluate=[SAMPLE, DIGITS, EVALUATE],
        metrics=[
            Metric("bits/dim", "bits_per_dim"),
            Metric("Fréchet ratio", "digits.frechet_ratio", published="FID"),
        ],
        published=PUBLISHED,
    )
