"""Table 3: the best FID and Inception Score by architecture, on CIFAR-10. See README.md."""

from experiments import small
from experiments.samplers import fields
from score_sde.sweep import DIGITS, EVALUATE, SAMPLE, Metric, Study, axis

# By model: FID and Inception Score.
PUBLISHED = {
    ("DDPM++",): ("2.78", "9.64"),
    ("DDPM++ cont. (VP)",): ("2.55", "9.58"),
    ("DDPM++ cont. (sub-VP)",): ("2.61", "9.56"),
    ("DDPM++ cont. (deep, VP)",): ("2.41", "9.68"),
    ("DDPM++ cont. (deep, sub-VP)",): ("2.41", "9.57"),
    ("NCSN++",): ("2.45", "9.73"),
    ("NCSN++ cont. (VE)",): ("2.38", "9.83"),
    ("NCSN++ cont. (deep, VE)",): ("2.20", "9.89"),
}
CONFIGS = {
    "DDPM++": "vp/cifar10_ddpmpp",
    "DDPM++ cont. (VP)": "vp/cifar10_ddpmpp_continuous",
    "DDPM++ cont. (sub-VP)": "subvp/cifar10_ddpmpp_continuous",
    "DDPM++ cont. (deep, VP)": "vp/cifar10_ddpmpp_deep_continuous",
    "DDPM++ cont. (deep, sub-VP)": "subvp/cifar10_ddpmpp_deep_continuous",
    "NCSN++": "ve/cifar10_ncsnpp",
    "NCSN++ cont. (VE)": "ve/cifar10_ncsnpp_continuous",
    "NCSN++ cont. (deep, VE)": "ve/cifar10_ncsnpp_deep_continuous",
}
# In small, with the samplers of the full configurations.
_ANCESTRAL = fields(predictor="ancestral", corrector="none")
_EULER_MARUYAMA = fields(predictor="euler_maruyama", corrector="none")
_PC = fields(predictor="reverse_diffusion", corrector="langevin")
_VP = small.VP | small.DDPMPP | _EULER_MARUYAMA
_SUBVP = small.SUBVP | small.DDPMPP | _EULER_MARUYAMA
_VE = small.VE | small.NCSNPP | _PC
SMALL = {
    "DDPM++": small.DDPM | small.DDPMPP | _ANCESTRAL,
    "DDPM++ cont. (VP)": _VP,
    "DDPM++ cont. (sub-VP)": _SUBVP,
    "DDPM++ cont. (deep, VP)": _VP | small.DEEP,
    "DDPM++ cont. (deep, sub-VP)": _SUBVP | small.DEEP,
    "NCSN++": small.SMLD | small.NCSNPP | _PC,
    "NCSN++ cont. (VE)": _VE,
    "NCSN++ cont. (deep, VE)": _VE | small.DEEP,
}


def study() -> Study:
    """50,000 samples by each configuration's own sampler."""
    configs = {model: {"config": f"configs/paper.py:{name}"} for model, name in CONFIGS.items()}
    return Study(
        title="Table 3: FID and Inception Score on CIFAR-10 by architecture",
        points=axis("model", configs),
        base={
            "evaluation.samples.num_samples": 50_000,
            "evaluation.batch_size": 1024,
            "evaluation.metrics": ("fid", "inception_score"),
        },
        evaluate=[EVALUATE],
        metrics=[Metric("FID", "fid"), Metric("IS", "inception_score")],
        published=PUBLISHED,
    )


def smoke() -> Study:
    """The same architectures in small, on digits, which have no Inception Score."""
    return Study(
        title="Table 3 in small: Fréchet and nearest ratio on digits by architecture",
        note=small.NOTE,
        points=axis("model", SMALL),
        base={**small.SMALL, "sampling.steps": small.THOUSAND},
        evaluate=[SAMPLE, DIGITS],
        metrics=[
            Metric("Fréchet ratio", "digits.frechet_ratio", published="FID"),
            Metric("nearest ratio", "digits.nearest_ratio", published="IS"),
        ],
        published=PUBLISHED,
    )
