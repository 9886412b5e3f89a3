"""Two moons in the plane, VP SDE, a multilayer perceptron of 56,130 parameters.

What it gives, measured on 2 cores of an AMD EPYC on 2026-11-25 (JAX 0.10.2, Python 3.11):
2500 steps in 17 s, compilation included, at about 150,000 points/s; the evaluation takes 17 s too.
Of the 2,000 held-out points:

    log-likelihood        -1.436 nats a point; the data's own, exact: -1.413
    their difference      -0.023 +- 0.005
    KL(data || model)      0.028 nats, on a grid of 60 x 60 points

evaluation/density_map.png shows log p beside the exact one, samples, the score at two noise levels,
and paths of the probability flow from noise to data.

    python main.py --config=configs/toy_moons.py
    python main.py --config=configs/toy_moons.py --mode=sample --num_samples=2000
    python main.py --config=configs/toy_moons.py --mode=evaluate
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("mlp")
    config.data.name = "moons"
    config.space.name = "vectors"

    config.sde.name = "vp"

    config.model.parametrization = "v"
    config.model.channels = 64
    config.model.depth = 4

    config.training.batch_size = 512
    config.training.steps = 2500
    config.training.steps_per_call = 25
    config.training.ema_decays = (0.998,)
    config.training.log_every = 250
    config.training.eval_every = 1250
    config.training.sample_every = 1250
    config.training.checkpoint_every = 2500
    config.objective.stratified = True
    config.optim.learning_rate = 2e-3
    config.optim.decay = "cosine"
    config.optim.warmup = 100

    config.sampling.sampler = "rk45"
    config.sampling.rk45.rtol = 1e-4
    config.sampling.rk45.atol = 1e-4
    config.sampling.num_samples = 2000
    config.sampling.batch_size = 2000

    config.evaluation.batch_size = 2000
    config.evaluation.metrics = ("log_likelihood", "density_map")
    config.evaluation.log_likelihood.rtol = 1e-4
    config.evaluation.log_likelihood.atol = 1e-4
    config.evaluation.samples.features = "values"
    config.evaluation.samples.num_samples = 2000
    return config
