"""Notes of one second of 16 kHz: an autoencoder of waveforms, to 32 frames of 16 latents.

As that of Stable Audio (arXiv 2402.04825), in small: residual units of dilated convolutions, Snake
activations, four strided convolutions, and a KL term; beside the error of samples the loss has a
distance of spectra, and no discriminator. It takes 512 numbers of 16,000. 326,689 parameters. After
432 s on one core (JAX 0.10.2, 2026-11-28) 256 held-out notes come back with 20.8 +- 0.2 dB.

    python -m score_sde.data prepare notes --from=/usr/share/sounds/sf2/TimGM6mb.sf2
    python main.py --config=configs/notes_autoencoder.py
    python main.py --config=configs/notes_autoencoder.py --mode=evaluate

configs/notes_latent.py trains a model of its latents.
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("sound_autoencoder")
    config.data.name = "notes"
    config.data.field = "signal"
    config.space.name = "waveforms"
    config.space.waveforms.unit = False
    config.objective.name = "autoencoding"
    config.evaluation.metrics = ("reconstruction",)

    config.model.latent_channels = 16
    config.model.widths = (8, 16, 32, 64, 64)
    config.model.factors = (4, 5, 5, 5)
    config.model.dilations = (1, 3)

    config.objective.autoencoding.kl_weight = 1e-2
    config.objective.autoencoding.perceptual = 2.0

    config.training.batch_size = 16
    config.training.steps = 600
    config.training.ema_decays = (0.99,)
    config.training.steps_per_call = 10
    config.training.log_every = 50
    config.training.eval_every = 250
    config.training.sample_every = 500
    config.training.checkpoint_every = 500
    config.optim.learning_rate = 2e-3
    config.optim.warmup = 100
    config.optim.decay = "cosine"

    config.evaluation.batch_size = 64
    config.evaluation.num_examples = 256
    return config
