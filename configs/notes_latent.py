"""Notes of instruments by their names and pitches, drawn as latents of an autoencoder of waveforms.

As notes_text, but a state is a sequence of 64 frames of 32 latents, and samples are what the
decoder of configs/notes_autoencoder.py makes of them: no phases are looked for. The autoencoder is
trained first and kept in this run's folder; the latents of all notes are made once. 2,391,840
parameters.

Made in 41 s and trained for 668 s on two cores beside other programs, 616 s of processor time (JAX
0.10.2, 2026-11-28), 26.6 +- 2.8 % of 256 notes are of the pitch that was asked for, and 13.7 +- 2.2
% of the family, where the autoencoder leaves 78.1 and 81.5 % of held-out recordings recognised. So
minutes do not teach the phases of waves, which these latents hold: notes_text.py has 72.7 and 84.8
%. More steps and more channels are what this recipe is for.

    python main.py --config=configs/notes_autoencoder.py
    python -m score_sde.data encode notes --autoencoder=runs/notes_autoencoder --out=notes_latents
    python main.py --config=configs/notes_latent.py
    python main.py --workdir=runs/notes_latent --mode=sample --condition=text="violin, A4"

The encoder can run in each step in place of once, which trains at a fifth of the speed:

    python main.py --config=configs/notes_latent.py:notes --workdir=runs/notes_sound_latents
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes
from score_sde.runs.config import default


def get_config(data: str = "encoded") -> ConfigDict:
    """The recipe.

    Args:
        data: "encoded", the latents in the folder notes_latents, or "notes", the sounds.
    """
    config = recipes.get("notes_text")
    config.data.name = data
    config.data.field = ""  # signals, or their latents
    space = config.space.sound_latents
    space.autoencoder = "runs/notes_autoencoder"
    space.channels = 32
    space.factor = 250
    space.per_channel = True
    config.space.name = "sound_latents"
    if data == "encoded":
        config.data.dir = "notes_latents"
        config.space.name = "encoded_sounds"
        config.space.encoded_sounds.factor = space.factor
        config.space.encoded_sounds.rate = 16_000
        config.space.encoded_sounds.per_channel = space.per_channel

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
