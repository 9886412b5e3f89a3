"""Prompts of a telephone exchange by their names, in one voice: 1.5 seconds of sound of 8 kHz.

As notes_text, of log-mel spectra of 96 frames and 48 bands, which a diffusion transformer draws as
72 patches; 1,831,360 parameters. A long prompt is cut into pieces, and the network is told where a
piece begins, in seconds, beside the text; without --condition=start that of a training example.
It trains in 249 s of processor time (JAX 0.10.2, 2026-11-28); the log-likelihood of held-out
spectra is -1,626 +- 223 nats then. Normal variables of the training's means and variances have
-5,907 +- 145, and probabilistic PCA with 200 components, the best of it, 1,015 +- 151: of 1,123
examples in minutes this is for prompts that can be told, not for densities.

    apt-get install asterisk-core-sounds-en-wav
    python -m score_sde.data prepare speech
    python main.py --config=configs/speech_text.py
    python main.py --workdir=runs/speech_text --mode=sample --condition=text="7" --condition=start=0

Other sounds, WAV files in a folder with a text beside each or in its name, are prepared by

    python -m score_sde.data prepare sounds --sounds=FOLDER --data_dir=data/sounds

and trained on with --config.data.name=encoded --config.data.dir=data/sounds.
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("notes_text")
    config.data.name = "speech"
    config.conditions.fields = ("text", "start")
    config.conditions.number.scale = 3.0
    config.conditions.number.dropout = 0.1
    config.space.log_mel.frame = 512
    config.space.log_mel.hop = 128
    config.space.log_mel.bands = 48
    config.training.steps = 1_000
    config.evaluation.metrics = ("log_likelihood",)
    config.evaluation.log_likelihood.divergence = "hutchinson"
    config.evaluation.log_likelihood.rtol = 1e-4
    config.evaluation.log_likelihood.atol = 1e-4
    return config
