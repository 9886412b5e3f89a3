"""A folder of text files by masked diffusion: a transformer of characters or of released tokens.

    python -m score_sde.data prepare texts --texts=FOLDER --data_dir=data/texts
    python main.py --config=configs/text_masked.py --config.data.dir=data/texts

With --tokenizer=tokenizer.json (pip install tokenizers) the first makes tokens by any released
tokeniser. Several predictions a token are few: give config.sampling.steps what a text is long for
one each. The model is small; `model.channels`, `depth` and `heads` scale it, and llada_8b.py is the
same network at the size of LLaDA.
"""

from ml_collections import ConfigDict

from score_sde.runs.config import default


def get_config() -> ConfigDict:
    """The recipe."""
    config = default("token_transformer")
    config.data.name = "encoded"
    config.space.name = "tokens"
    config.sde.name = "masked"
    config.objective.name = "masked"

    config.model.channels = 256
    config.model.depth = 6
    config.model.heads = 4

    config.training.batch_size = 64
    config.training.steps = 10_000
    config.training.ema_decays = (0.999,)
    config.training.log_every = 100
    config.training.eval_every = 1000
    config.training.sample_every = 1000
    config.training.checkpoint_every = 1000
    config.optim.learning_rate = 1e-3
    config.optim.warmup = 200
    config.optim.decay = "cosine"

    config.sampling.sampler = "ordered"
    config.sampling.ordered.by = "entropy"
    config.sampling.steps = 128
    config.sampling.batch_size = 16
    config.sampling.num_samples = 16

    config.evaluation.metrics = ("token_bound",)
    config.evaluation.batch_size = 64
    return config
