"""CIFAR-10, told the class, DiT-S/2 on pixels by flow matching: 32,483,340 parameters.

Not measured here: it is for an accelerator. The network is that of Peebles and Xie (2022, arXiv
2212.09748), with normed queries and keys, rotary positions, SwiGLU and RMS norms. It is trained as
SiT (Ma et al. 2024, arXiv 2401.08740): the velocity of x_t = (1 - t) x_0 + t eps, with the times of
Esser et al. (2024, arXiv 2403.03206). A tenth of the examples are told no class, so that the model
guides itself: --config.guidance.scale=1.5.

    python -m score_sde.data prepare cifar10        # once; needs pip install -e ".[prepare]"
    python main.py --config=configs/cifar_dit.py
    python main.py --config=configs/cifar_dit.py --mode=sample --task=class --num_samples=100

On a GPU or TPU, --config.model.dtype=bfloat16 is faster. Another word is another size, such as
--config.model.size=B/2; where memory is short, add --config.model.remat=True.
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("dit")
    config.data.name = "cifar10"
    config.space.pixels.flip = True
    config.conditions.fields = ("label",)
    config.conditions.label.dropout = 0.1

    config.sde.name = "rectified_flow"

    config.model.parametrization = "velocity"
    config.model.noise_label = "time"
    config.model.size = "S/2"
    config.model.qk_norm = True
    config.model.rope = True
    config.model.feed_forward = "swiglu"
    config.model.norm = "rms"
    config.model.dropout = 0.1

    config.objective.denoising.weighting = "uniform"
    config.objective.denoising.quantity = "velocity"
    config.objective.denoising.times = "logit_normal"
    config.objective.stratified = True

    config.training.batch_size = 256
    config.training.steps = 400_000
    config.training.ema_decays = (0.9999,)
    config.training.keep_every = 50_000
    config.optim.learning_rate = 2e-4
    config.optim.beta2 = 0.99
    config.optim.warmup = 2500

    config.sampling.sampler = "heun"
    config.sampling.steps = 25
    config.sampling.grid = "uniform"
    return config
