"""Emoji, 32x32, drawn as 8x8 latents: latent diffusion by a transformer of 1,864,580 parameters.

Of the autoencoder of configs/emoji_autoencoder.py, which is trained first and kept in this run's
folder; scale and shift of its latents are measured when the run begins. What it gives in the end is
not measured yet.

    python main.py --config=configs/emoji_autoencoder.py
    python main.py --config=configs/emoji_latent.py
    python main.py --config=configs/emoji_latent.py --mode=sample

The encoder runs in each step. To run it once, write its latents as a data set:

    python -m score_sde.data encode emoji --autoencoder=runs/emoji_autoencoder --out=emoji_latents
    python main.py --config=configs/emoji_latent.py:encoded --workdir=runs/emoji_encoded
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config(data: str = "emoji") -> ConfigDict:
    """The recipe.

    Args:
        data: "emoji", or "encoded", their latents in the folder emoji_latents.
    """
    config = default("dit")
    config.data.name = data
    config.data.image_size = 32
    config.space.name = "autoencoded"
    config.space.autoencoded.autoencoder = "runs/emoji_autoencoder"
    config.space.autoencoded.channels = 4
    config.space.autoencoded.factor = 4
    if data == "encoded":
        config.data.dir = "emoji_latents"
        config.data.image_size = 0
        config.space.name = "encoded"
        config.space.encoded.factor = 4

    config.sde.name = "vp"

    config.model.parametrization = "v"
    config.model.noise_label = "time"
    config.model.patch = 1
    config.model.channels = 128
    config.model.depth = 6
    config.model.heads = 4

    config.training.batch_size = 64
    config.training.steps = 2_000
    config.objective.stratified = True
    config.training.ema_decays = (0.998,)
    config.training.log_every = 50
    config.training.eval_every = 500
    config.training.sample_every = 500
    config.training.checkpoint_every = 500
    config.optim.learning_rate = 1e-3
    config.optim.warmup = 100
    config.optim.decay = "cosine"

    config.sampling.sampler = "dpmpp_2m"
    config.sampling.steps = 25

    config.evaluation.metrics = ("log_likelihood",)
    config.evaluation.batch_size = 64
    config.evaluation.num_examples = 256
    config.evaluation.log_likelihood.divergence = "hutchinson"
    config.evaluation.log_likelihood.rtol = 1e-4
    config.evaluation.log_likelihood.atol = 1e-4
    return config
