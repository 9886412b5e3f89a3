"""Digits."""

from ml_collections import ConfigDict

from score_sde.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default()
    config.data.name = "digits"

    config.sde.name = "vp"

    config.model.parametrization = "eps"
    config.model.noise_label = "time"
    config.model.channels = 24
    config.model.channel_mult = (1, 2)
    config.model.num_res_blocks = 2
    config.model.attn_resolutions = (4,)
    config.model.dropout = 0.0

    config.training.batch_size = 128
    config.training.steps = 1000
    config.training.steps_per_call = 10
    config.training.stratified = True
    config.training.ema_decays = (0.995,)
    config.training.log_every = 50
    config.training.eval_every = 250
    config.training.sample_every = 250
    config.training.checkpoint_every = 500
    config.optim.learning_rate = 2e-3
    config.optim.warmup = 100

    config.sampling.predictor = "euler_maruyama"
    config.sampling.corrector = "none"
    config.sampling.steps = 250
    config.sampling.batch_size = 250
    return config
