r"""Handwritten digits, 8x8, in one evaluation of the network: consistency tuning.

The denoiser, of EDM's process and loss, is the first command; the second tunes it. What it gives
has not been measured yet.

    python main.py --config=configs/digits_ect.py:denoiser --workdir=runs/digits_ect_denoiser
    python main.py --config=configs/digits_ect.py --init_from=runs/digits_ect_denoiser
    python main.py --config=configs/digits_ect.py --mode=sample --num_samples=500 --overwrite
    python -m score_sde.evaluation.digit_quality runs/digits_ect/samples.npz
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config(part: str = "tuning") -> ConfigDict:
    """The recipe.

    Args:
        part: "tuning", or "denoiser" for what is tuned.
    """
    config = recipes.get("digits_vp")
    config.sde.name = "edm"
    config.sde.t_min = 0.005
    config.sde.t_max = 10.0  # about the largest distance of two digits: 9
    config.model.parametrization = "edm"
    config.model.noise_label = "sigma"
    config.model.embedding = "fourier"
    config.model.fourier_scale = 0.5
    config.model.sigma_data = 0.75
    if part == "denoiser":
        config.objective.denoising.weighting = "edm"
        config.objective.denoising.times = "log_normal"
        config.objective.denoising.time_mean = -0.5
        return config
    config.objective.name = "ect"
    config.objective.ect.time_mean = 0.0
    config.objective.ect.time_std = 1.5
    config.training.steps = 1000
    config.optim.learning_rate = 5e-4
    config.sampling.sampler = "jump"
    config.sampling.steps = 1
    return config
