r"""Handwritten digits, 8x8: a classifier of noisy images, to guide configs/digits_vp.py.

A Wide ResNet of 324,938 parameters (depth 10, width 2) that is told the noise level. What it gives,
measured on 2 cores of an AMD EPYC on 2026-11-21 (JAX 0.10.2, Python 3.11): 600 steps in 38 s,
compilation included. On the 500 held-out images, by the evaluation below:

    t                0.001   0.1    0.2    0.3    0.4    0.5    0.7    1
    sigma / alpha    0.01    0.34   0.72   1.2    2.0    3.4    12     152
    accuracy         0.990   0.980  0.890  0.658  0.414  0.294  0.166  0.106
    cross-entropy    0.05    0.08   0.34   0.94   1.69   2.09   2.28   2.33     (nats)

It guides a run of configs/digits_vp.py: of 300 images drawn by 250 steps of Euler-Maruyama, 30 of
each class, a classifier fitted to clean images takes for the class that was asked for

    scale of the guidance    0      1      2      3      5
    share                    0.083  0.827  0.970  0.987  0.997
    Fréchet ratio            1.01   0.92   0.97   1.10   1.25    (see evaluation.digit_quality)

A scale of 3 is a good choice: above it the images of a class become more alike.

    python main.py --config=configs/digits_classifier.py
    python main.py --config=configs/digits_classifier.py --mode=evaluate
    python main.py --config=configs/digits_vp.py --mode=sample --task=class --num_samples=300 \
        --classifier=runs/digits_classifier --scale=3 \
        --config.sampling.sampler=predictor_corrector --config.sampling.steps=250 \
        --out=runs/digits_vp/class_250
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("wide_resnet")
    config.objective.name = "classification"
    config.evaluation.metrics = ("accuracy",)
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
    config.objective.stratified = True
    config.training.ema_decays = (0.995,)
    config.training.log_every = 50
    config.training.eval_every = 100
    config.training.checkpoint_every = 300
    config.optim.learning_rate = 2e-3
    config.optim.warmup = 50
    config.optim.weight_decay = 0.01
    return config
