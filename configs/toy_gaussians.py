"""Eight Gaussians on a ring in the plane, VP SDE, the network of configs/toy_moons.py.

What it gives, measured on 2 cores of an AMD EPYC on 2026-11-25 (JAX 0.10.2, Python 3.11):
2500 steps in 17 s, compilation included, at about 150,000 points/s; the evaluation takes 17 s too.
Of the 2,000 held-out points:

    log-likelihood        -2.201 nats a point; the data's own, exact: -2.131
    their difference      -0.070 +- 0.008
    KL(data || model)      0.080 nats, on a grid of 60 x 60 points

    python main.py --config=configs/toy_gaussians.py
    python main.py --config=configs/toy_gaussians.py --mode=sample --num_samples=2000
    python main.py --config=configs/toy_gaussians.py --mode=evaluate
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("toy_moons")
    config.data.name = "gaussians"
    return config
