"""Notes of one second of 16 kHz: an autoencoder of waveforms, to 64 frames of 32 latents.

As that of Stable Audio (arXiv 2402.04825), in small: residual units, Snake activations, two strided
convolutions, and a KL term; beside the squared error of samples the loss has a distance of spectra,
and no discriminator. It takes 2,048 numbers of 16,000. 985,537 parameters. After 493 s on two cores
beside other programs (JAX 0.10.2, 2026-11-28) the signal-to-noise ratio of 256 held-out notes is
10.7 +- 0.3 dB.

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

    config.model.latent_channels = 32
    config.model.widths = (16, 64, 128)
    config.model.factors = (10, 25)
    config.model.dilations = (1,)

    # Of least squares the mean is learnt first, and phases from it. Laplace's median of waves whose
    # phases are not known yet is silence, and stays so.
    config.objective.autoencoding.likelihood = "gaussian"
    config.objective.autoencoding.kl_weight = 1e-3
    config.objective.autoencoding.perceptual = 0.1

    config.training.batch_size = 16
    config.training.steps = 900
    config.training.ema_decays = (0.99,)
    config.training.steps_per_call = 10
    config.training.log_every = 50
    config.training.eval_every = 300
    config.training.sample_every = 450
    config.training.checkpoint_every = 300
    config.optim.learning_rate = 2e-3
    config.optim.warmup = 100
    config.optim.decay = "cosine"

    config.evaluation.batch_size = 64
    config.evaluation.num_examples = 256
    return config
