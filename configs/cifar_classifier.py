"""CIFAR-10: a classifier of noisy images, to guide configs/cifar_ve.py: 39,181,770 parameters.

The recipe of Song et al. (2021, arXiv 2011.13456, Appendix I.1): a Wide ResNet 28-10 conditioned on
log sigma by random Fourier features, trained with the cross-entropy on images perturbed by the VE
SDE. The paper gives no number of steps: these are 200 epochs of batch 128, as for Wide ResNets
(arXiv 1605.07146, Section 3), with the optimiser of the score networks. It has not been measured
here.

    python -m score_sde.data prepare cifar10        # once; needs pip install -e ".[prepare]"
    python main.py --config=configs/cifar_classifier.py
    python main.py --config=configs/cifar_classifier.py --mode=evaluate

On a GPU or TPU, --config.model.dtype=bfloat16 is faster.
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("wide_resnet")
    config.objective.name = "classification"
    config.evaluation.metrics = ("accuracy",)
    config.data.name = "cifar10"
    config.space.pixels.flip = True
    config.space.pixels.centered = False

    config.sde.name = "ve"
    config.sde.sigma_min = 0.01
    config.sde.sigma_max = 50.0

    config.model.depth = 28
    config.model.width = 10
    config.model.noise_channels = 128
    config.model.fourier_scale = 16.0

    config.training.batch_size = 128
    config.training.steps = 78_000
    config.training.ema_decays = (0.999,)
    config.optim.learning_rate = 2e-4
    config.optim.warmup = 5000
    config.optim.clip = 1.0
    return config
