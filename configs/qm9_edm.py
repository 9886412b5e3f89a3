"""The same as qm9.py at the size that EDM was published with: 9 layers of 256 features.

Nothing of it was trained here; what the paper trains for a week on one GPU is this batch, for 3,000
epochs (Hoogeboom et al. 2022, arXiv 2203.17003, Appendix). 4,617,743 parameters.

    python main.py --config=configs/qm9_edm.py
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("qm9")
    config.model.channels = 256
    config.model.depth = 9
    config.space.molecules.charge_scale = 0.9  # atomic numbers over ten
    config.training.batch_size = 64
    config.training.steps = 4_700_000
    config.training.ema_decays = (0.9999,)
    config.training.checkpoint_every = 10_000
    config.training.eval_every = 50_000
    config.training.sample_every = 50_000
    config.optim.learning_rate = 1e-4
    config.optim.decay = "constant"
    config.sampling.steps = 500
    config.evaluation.num_examples = 0
    config.evaluation.molecules.num_samples = 10_000
    return config
