r"""Words of a list by masked diffusion: a transformer of 27 tokens and 13 places.

A word is 3 to 12 letters and its end; 60,540 of SCOWL, of which 3,000 are held out. The list is
that of the Debian package wamerican, unless config.data.dir names another. The bound is that of
MDLM and LLaDA (arXiv 2406.07524, 2502.09992).

It needs 25.57 +- 0.12 bits a word after 407 s of training on two cores (JAX 0.10.2, 2026-11-28);
without places (`absolute`) 26.44, and words that begin with their end.
A network of 64 channels and depth 2, 0.10M, needs 28.34 +- 0.13 after 1,000 steps.
N-grams, smoothed by Witten and Bell, need 38.19, 32.09, 28.04, 24.68, 21.92 and 21.02 for n = 1 to
6 (+- 0.1 to 0.17), by the last command.

    python main.py --config=configs/words_masked.py
    python main.py --config=configs/words_masked.py --mode=evaluate
    python main.py --config=configs/words_masked.py --mode=sample --num_samples=64
    python main.py --config=configs/words_masked.py --mode=sample --task=infill --text="qu___y\n"
    python -m score_sde.evaluation.ngrams words --end=0
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("token_transformer")
    config.data.name = "words"
    config.space.name = "tokens"
    config.sde.name = "masked"
    config.objective.name = "masked"

    config.model.channels = 128
    config.model.depth = 4
    config.model.heads = 4
    config.model.absolute = True

    config.training.batch_size = 256
    config.training.steps = 5000
    config.training.steps_per_call = 25
    config.training.ema_decays = (0.998,)
    config.training.log_every = 100
    config.training.eval_every = 1000
    config.training.sample_every = 1000
    config.training.checkpoint_every = 1000
    config.optim.learning_rate = 2e-3
    config.optim.warmup = 100
    config.optim.decay = "cosine"

    config.sampling.sampler = "first_hitting"
    config.sampling.steps = 13
    config.sampling.batch_size = 256

    config.evaluation.metrics = ("token_bound",)
    config.evaluation.batch_size = 500
    return config
