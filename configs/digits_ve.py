"""Handwritten digits, 8x8, VE SDE, a U-Net of 584,569 parameters.

What it gives, measured on 2 cores of an AMD EPYC on 2026-11-21 (JAX 0.10.2, Python 3.11):
800 steps in 1 min 56 s, compilation included, at about 1,400 images/s; 500 samples with a corrector
in 49 s. Of these 500 samples, against the 1,297 training and 500 held-out images:

    smallest share of a class            6.8 %   (by a classifier fitted to the training images)
    Fréchet distance in pixel space      1.70 times that of the held-out images
    distance to nearest training image   1.18 times that of the held-out images (medians)

Three other draws of 500 (config.sampling.seed): 1.28, 1.20 and 1.57 times in pixel space.

    python main.py --config=configs/digits_ve.py
    python main.py --config=configs/digits_ve.py --mode=sample --num_samples=500 --overwrite
    python -m score_sde.evaluation.digit_quality runs/digits_ve/samples.npz
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default()
    config.data.name = "digits"
    config.space.pixels.centered = False

    config.sde.name = "ve"
    config.sde.sigma_min = 0.01
    config.sde.sigma_max = 8.0

    config.model.parametrization = "score"
    config.model.noise_label = "sigma"
    config.model.channels = 24
    config.model.channel_mult = (1, 2)
    config.model.num_res_blocks = 2
    config.model.attn_resolutions = (4,)
    config.model.dropout = 0.0
    config.model.embedding = "fourier"
    config.model.fourier_scale = 2.0
    config.model.scale_by_sigma = True

    config.training.batch_size = 128
    config.training.steps = 800
    config.training.steps_per_call = 10
    config.training.ema_decays = (0.995,)
    config.training.log_every = 50
    config.training.eval_every = 200
    config.training.sample_every = 400
    config.training.checkpoint_every = 400
    config.optim.learning_rate = 1e-3
    config.optim.warmup = 100

    config.sampling.sampler = "predictor_corrector"
    config.sampling.predictor_corrector.predictor = "reverse_diffusion"
    config.sampling.predictor_corrector.corrector = "langevin"
    config.sampling.predictor_corrector.snr = 0.16
    config.sampling.steps = 150
    config.sampling.batch_size = 250
    config.evaluation.samples.features = "pixels"
    config.evaluation.samples.num_samples = 500
    return config
