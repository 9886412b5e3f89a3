"""Digits."""

from score_sde.config import default


def get_config():
    """The recipe."""
    config = default()
    config.data.name = "digits"
    config.training.batch_size = 128
    config.training.steps = 200
    config.training.steps_per_call = 10
    config.training.log_every = 50
    config.training.eval_every = 100
    config.training.sample_every = 100
    config.training.checkpoint_every = 100
    config.sampling.steps = 100
    return config
