"""CIFAR-10, unconditional, in one or two evaluations: consistency tuning of EDM's denoiser.

The network of cifar_vp on Fourier features of sigma, 61,869,955 parameters. Not trained here, and
not measured. The first command trains the denoiser, on 205 million images as EDM does; the second
tunes it on a quarter of that. From EDM's released weights the authors report FID 2.73 with two
evaluations after an hour of one A100 (Geng et al. 2024, arXiv 2406.14548).

    python -m score_sde.data prepare cifar10        # once; needs pip install -e ".[prepare]"
    python main.py --config=configs/cifar_ect.py:denoiser --workdir=runs/cifar_ect_denoiser
    python main.py --config=configs/cifar_ect.py --init_from=runs/cifar_ect_denoiser
    python main.py --config=configs/cifar_ect.py --mode=sample --num_samples=64
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config(part: str = "tuning") -> ConfigDict:
    """The recipe.

    Args:
        part: "tuning", or "denoiser" for what is tuned.
    """
    config = recipes.get("cifar_vp")
    config.sde.name = "edm"
    config.sde.beta_min = None
    config.sde.beta_max = None
    config.model.parametrization = "edm"
    config.model.noise_label = "sigma"
    config.model.embedding = "fourier"
    config.model.fourier_scale = 0.5  # small: what is regressed has to be smooth in t
    config.objective.t_min = None
    if part == "denoiser":
        config.objective.denoising.weighting = "edm"
        config.objective.denoising.times = "log_normal"
        config.training.batch_size = 512
        config.training.steps = 400_000
        config.training.ema_decays = (0.9993,)
        config.optim.learning_rate = 1e-3
        config.sampling.sampler = "edm"
        config.sampling.steps = 18
        config.sampling.grid = "karras"
        return config
    config.model.dropout = 0.2
    config.objective.name = "ect"
    config.training.steps = 400_000
    config.optim.name = "radam"
    config.optim.learning_rate = 1e-4
    config.optim.warmup = 0
    config.sampling.sampler = "jump"
    config.sampling.steps = 1
    return config
