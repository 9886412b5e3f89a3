r"""CIFAR-10, unconditional, a variational diffusion model: 30,651,876 parameters; for accelerators.

What it gives: 2.65 bits/dim by the bound on the test images. This is the paper's claim (Kingma et
al. 2021, VDM, arXiv 2107.00630, Table 1), for 10 million steps of batch 1024; it has not been
measured here.

    python -m score_sde.data prepare cifar10        # once; needs pip install -e ".[prepare]"
    python main.py --config=configs/cifar_vdm.py
    python main.py --config=configs/cifar_vdm.py --mode=evaluate

The network is the paper's: 32 residual blocks down and 33 up, all of 128 channels on 32x32 pixels,
with attention in the middle alone, and Fourier features of the spacing of the 256 levels. The log
SNR goes from 13.3 to -5. On a GPU or TPU, --config.model.dtype=bfloat16 is faster. Where memory is
short, add --config.training.accumulate=8 or --config.model.remat=True.
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default()
    config.data.name = "cifar10"

    config.objective.name = "variational"
    config.sde.name = "cosine_vp"
    config.sde.t_min = 8.24e-4  # log SNR 13.3
    config.sde.t_max = 0.9477  # log SNR -5

    config.model.parametrization = "eps"
    config.model.noise_label = "log_sigma"
    config.model.embedding = "fourier_label"
    config.model.fourier_scale = 1.0
    config.model.fourier_features = (7, 8)
    config.model.channels = 128
    config.model.channel_mult = (1,)
    config.model.num_res_blocks = 32
    config.model.attn_resolutions = ()
    config.model.dropout = 0.1

    config.training.batch_size = 1024
    config.training.steps = 10_000_000
    config.training.ema_decays = (0.9999,)
    config.optim.learning_rate = 2e-4
    config.optim.beta2 = 0.99
    config.optim.weight_decay = 0.01
    config.optim.warmup = 1000

    config.sampling.sampler = "dpmpp_2m"
    config.sampling.steps = 50
    config.evaluation.metrics = ("continuous_bound",)
    return config
