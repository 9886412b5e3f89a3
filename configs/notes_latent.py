"""Notes of instruments by their names and pitches, drawn as latents of an autoencoder of waveforms.

As notes_text, but a state is a sequence of 32 frames of 16 latents, and samples are what the
decoder of configs/notes_autoencoder.py makes of them: no phases are looked for. The autoencoder is
trained first and kept in this run's folder. 2,387,728 parameters.

    python main.py --config=configs/notes_autoencoder.py
    python main.py --config=configs/notes_latent.py
    python main.py --workdir=runs/notes_latent --mode=sample --condition=text="violin, A4"
    python main.py --workdir=runs/notes_latent --mode=evaluate

Latents can be made once, in place of in each step; the command says the options of their space:

    python -m score_sde.data encode notes --autoencoder=runs/notes_autoencoder --out=notes_latents
    python main.py --config=configs/notes_latent.py --workdir=runs/notes_encoded \
        --config.data.name=encoded --config.data.dir=notes_latents \
        --config.space.name=encoded_sounds --config.space.encoded_sounds.factor=500 \
        --config.space.encoded_sounds.rate=16000 --config.space.encoded_sounds.per_channel=True
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes
from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("notes_text")
    config.data.field = ""  # signals, or the latents that were made of them once
    config.space.name = "sound_latents"
    config.space.sound_latents.autoencoder = "runs/notes_autoencoder"
    config.space.sound_latents.channels = 16
    config.space.sound_latents.factor = 500
    config.space.sound_latents.per_channel = True

    config.model = default("set_transformer").model
    config.model.parametrization = "v"
    config.model.noise_label = "time"
    config.model.ordered = True
    config.model.waves = 0
    config.model.channels = 128
    config.model.depth = 6
    config.model.heads = 4
    config.training.steps = 2_000
    return config
