"""Handwritten digits, 8x8: a classifier of noisy images, to guide configs/digits_vp.py.

python main.py --config=configs/digits_classifier.py
python -m score_sde.evaluation.classifier runs/digits_classifier
"""

from ml_collections import ConfigDict

from score_sde.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("wide_resnet")
    config.data.name = "digits"

    config.sde.name = "vp"

    config.model.depth = 10
    config.model.width = 2
    config.model.dropout = 0.1
    config.model.noise_channels = 16
    config.model.fourier_scale = 1.0

    config.training.batch_size = 128
    config.training.steps = 600
    config.training.steps_per_call = 10
    config.training.stratified = True
    config.training.ema_decays = (0.995,)
    config.training.log_every = 50
    config.training.eval_every = 100
    config.training.checkpoint_every = 300
    config.optim.learning_rate = 2e-3
    config.optim.warmup = 50
    config.optim.weight_decay = 0.01
    return config
