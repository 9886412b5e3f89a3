"""Bach's chorales by masked diffusion: four voices in eighths, a transformer of 47 tokens.

The chorales are those of the package music21, which is read and not imported; one in ten is held
out. An example is 32 eighths. What is drawn is shown as notes and lies in MIDI files, in
samples_mid/, and --task=infill --keep=0::4 keeps the soprano of held-out chorales and draws the
other voices: infill_mid/, and a picture beside Bach's own.

It needs 1.355 +- 0.025 bits a token of held-out chorales after 368 s of training on two cores (JAX
0.10.2, 2026-11-28), without places (`absolute`) 1.540; 4-grams of each voice 1.70 to 2.25. Of 64
harmonised sopranos 3.4 % of the steps have voices that cross (of the same chorales 2.2 %), and
5.3 % of the pairs that both move are parallel fifths or octaves (0.15 %).

    python main.py --config=configs/bach_masked.py --config.data.dir=music21.whl
    python main.py --workdir=runs/bach_masked --mode=evaluate
    python main.py --workdir=runs/bach_masked --mode=sample
    python main.py --workdir=runs/bach_masked --mode=sample --task=infill --keep=0::4
    python -m score_sde.evaluation.counterpoint runs/bach_masked/samples.npz --beside=chorales \
        --data_dir=music21.whl
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("token_transformer")
    config.data.name = "chorales"
    config.space.name = "score"
    config.space.score.transpose = 3
    config.sde.name = "masked"
    config.objective.name = "masked"

    config.model.channels = 128
    config.model.depth = 4
    config.model.heads = 4
    config.model.absolute = True

    config.training.batch_size = 32
    config.training.steps = 2500
    config.training.steps_per_call = 10
    config.training.ema_decays = (0.998,)
    config.training.log_every = 50
    config.training.eval_every = 500
    config.training.sample_every = 500
    config.training.checkpoint_every = 500
    config.optim.learning_rate = 2e-3
    config.optim.warmup = 100
    config.optim.decay = "cosine"

    config.sampling.sampler = "first_hitting"
    config.sampling.steps = 128
    config.sampling.num_samples = 64

    config.evaluation.metrics = ("token_bound",)
    config.evaluation.batch_size = 64
    return config
