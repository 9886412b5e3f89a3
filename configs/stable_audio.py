"""Stable Audio Open: 47 s of stereo sound of 44.1 kHz by what a text says, as 1,024 latents.

The whole of Evans et al. 2024 (arXiv 2407.14358): a frozen autoencoder makes 64 numbers of 2,048
samples, frozen T5 reads the text, and a transformer that is told its tokens, where in a sound the
example begins and how long that is, predicts v of a cosine process; a tenth of the examples have no
text. 1,057,335,552 parameters. Nothing of it was trained here; a test builds it.

What is frozen is that of a released folder, such as stable-audio-open-1.0, which becomes a run and
draws:

    python main.py --mode=import --checkpoint=stable-audio-open-1.0 --workdir=runs/stable_audio
    python main.py --workdir=runs/stable_audio --mode=sample --num_samples=1 \
        --condition=text="a dog barks" --condition=start=0 --condition=seconds=10

Training begins with its weights, on WAV files with a text beside each or in its name:

    python -m score_sde.data prepare sounds --sounds=FOLDER --rate=44100 --seconds=47.554467 \
        --channels=2 --data_dir=data/sounds
    python main.py --config=configs/stable_audio.py --config.data.dir=data/sounds \
        --init_from=runs/stable_audio --workdir=runs/sounds
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("stable_audio")
    config.data.name = "encoded"
    config.space.name = "sound_latents"
    config.space.sound_latents.autoencoder = "runs/stable_audio"
    config.space.sound_latents.channels = 64
    config.space.sound_latents.factor = 2048
    config.space.sound_latents.scale = (1.0,)
    config.space.sound_latents.shift = (0.0,)

    config.text.name = "stable_audio"
    config.text.field = "text"
    config.text.dropout = 0.1
    config.conditions.fields = ("start", "seconds")

    config.sde.name = "cosine_vp"
    config.model.parametrization = "v"
    config.model.noise_label = "angle"
    config.model.dtype = "bfloat16"
    config.model.remat = True
    config.objective.denoising.weighting = "uniform"
    config.objective.denoising.quantity = "v"

    config.training.batch_size = 256
    config.training.steps = 400_000
    config.training.ema_decays = (0.9999,)
    config.training.sample_every = 0
    config.training.checkpoint_every = 5_000
    config.optim.learning_rate = 5e-5
    config.optim.warmup = 1_000

    config.sampling.sampler = "dpmpp_2m_sde"
    config.sampling.steps = 100
    config.sampling.batch_size = 4
    config.guidance.scale = 7.0
    config.guidance.keeps = ("start", "seconds")
    return config
