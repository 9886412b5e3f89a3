"""CIFAR-10, unconditional, EDM with the network DDPM++ of its authors: 55,733,891 parameters.

What it gives: FID 1.97 with 35 evaluations. That is the paper's claim (Karras et al. 2022, arXiv
2206.00364, Table 2, "VP"), for 200 million images, which are 390,000 steps of batch 512 on eight
GPUs; it has not been measured here, where nothing of it was trained: it is for accelerators.

Images are transformed at random and the network is told how, in nine numbers that are zero when it
draws (Appendix F.2). With --config.conditions.fields="('label',)" it is told the class too, which
the paper has at 1.79, then with --config.model.early_conditions="('augment','label')".

    python -m score_sde.data prepare cifar10        # once; needs pip install -e ".[prepare]"
    python main.py --config=configs/cifar_edm.py
    python main.py --config=configs/cifar_edm.py --mode=sample --num_samples=64

On a GPU or TPU, --config.model.dtype=bfloat16 is faster. Where memory is short, add
--config.training.accumulate=4, --config.model.remat=True or, on several devices,
--config.training.fsdp=4.
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default()
    config.data.name = "cifar10"
    config.space.pixels.augmentations = ("xflip", "yflip", "scale", "rotate", "aniso", "translate")
    config.space.pixels.augmentation_probability = 0.12

    config.sde.name = "edm"

    config.model.parametrization = "edm"
    config.model.noise_label = "log_sigma"
    config.model.sigma_data = 0.5
    config.model.channels = 128
    config.model.channel_mult = (2, 2, 2)
    config.model.num_res_blocks = 4
    config.model.attn_resolutions = (16,)
    config.model.dropout = 0.13
    config.model.resblock = "biggan"
    config.model.skip_rescale = True
    config.model.embedding = "positional"
    config.model.early_conditions = ("augment",)

    config.objective.denoising.weighting = "edm"
    config.objective.denoising.times = "log_normal"
    config.objective.denoising.time_mean = -1.2
    config.objective.denoising.time_std = 1.2

    config.training.batch_size = 512
    config.training.steps = 390_000
    config.training.ema_decays = (0.9993,)  # halves in half a million images
    config.training.keep_every = 50_000
    config.optim.learning_rate = 1e-3
    config.optim.warmup = 19_500  # ten million images
    config.optim.clip = 0.0

    config.sampling.sampler = "heun"
    config.sampling.steps = 18
    config.sampling.grid = "karras"
    return config
