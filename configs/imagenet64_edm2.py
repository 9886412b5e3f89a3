r"""ImageNet at 64x64 pixels, told the class, by EDM2's network of size S: 280,209,381 parameters.

What it gives: FID 1.58 with 63 evaluations. That is the claim of Karras et al. (2023, arXiv
2312.02696, Table 3) for 1,074 million images, which are 524,288 steps of batch 2048, with images
made smaller in another way; it has not been measured here, where nothing of it was trained.

It learns what loss to expect at each noise level and divides by it. Two power-function averages are
kept in snapshots, from which any other length is made after training:

    python -m score_sde.data prepare imagenet_resized/64x64     # once
    python main.py --config=configs/imagenet64_edm2.py
    python main.py --config=configs/imagenet64_edm2.py --mode=sample --num_samples=64 \
        --weights=posthoc:0.075

On a GPU or TPU, --config.model.dtype=bfloat16 is faster; on several, add --config.training.fsdp=8.
Where memory is short, add --config.training.accumulate=8 or --config.model.remat=True.
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("edm2")
    config.data.name = "imagenet_resized/64x64"
    config.space.pixels.flip = True
    config.conditions.fields = ("label",)

    config.sde.name = "edm"

    config.model.parametrization = "edm"
    config.model.noise_label = "log_sigma"
    config.model.sigma_data = 0.5
    config.model.size = "s"

    config.objective.denoising.weighting = "edm"
    config.objective.denoising.times = "log_normal"
    config.objective.denoising.time_mean = -0.8
    config.objective.denoising.time_std = 1.6
    config.objective.denoising.uncertainty = True

    config.training.batch_size = 2048
    config.training.steps = 524_288
    config.training.ema_profiles = (0.05, 0.10)
    config.training.ema_snapshot_every = 4096
    config.training.checkpoint_every = 4096
    config.optim.name = "adam"
    config.optim.learning_rate = 0.01
    config.optim.beta2 = 0.99
    config.optim.warmup = 4_900  # ten million images
    config.optim.decay = "inverse_sqrt"
    config.optim.decay_steps = 35_000
    config.optim.clip = 0.0

    config.sampling.sampler = "heun"
    config.sampling.steps = 32
    config.sampling.grid = "karras"
    return config
