"""A folder of text files by masked diffusion: a transformer of characters or of released tokens.

    python -m score_sde.data prepare texts --texts=FOLDER --data_dir=data/texts
    python main.py --config=configs/text_masked.py --config.data.dir=data/texts

With --tokenizer=tokenizer.json (pip install tokenizers) the first makes tokens by any released
tokeniser. The network is that of bach_masked.py, without places, and sees as many tokens in
training, 9.8 million. On the 2.5 million characters of Debian's packages fortunes and fortunes-min,
their files named *.txt, it takes 616 s on two cores beside other programs, alone 570 s, and has
3.31 +- 0.02 bits a character of what is held out (JAX 0.10.2, 2026-11-28). `model.channels`,
`depth`, `heads` and `training.steps` scale it, and llada_8b.py is the same network at the size of
LLaDA.

A prediction draws two tokens of a text of 256; --config.sampling.steps=256 draws one by each.
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

    config.model.channels = 128
    config.model.depth = 4
    config.model.heads = 4

    config.training.batch_size = 32
    config.training.steps = 1_200
    config.training.steps_per_call = 10
    config.training.ema_decays = (0.998,)
    config.training.log_every = 50
    config.training.eval_every = 400
    config.training.sample_every = 400
    config.training.checkpoint_every = 400
    config.optim.learning_rate = 2e-3
    config.optim.warmup = 100
    config.optim.decay = "cosine"

    config.sampling.sampler = "ordered"
    config.sampling.ordered.by = "entropy"
    config.sampling.steps = 128
    config.sampling.batch_size = 16
    config.sampling.num_samples = 16

    config.evaluation.metrics = ("token_bound",)
    config.evaluation.batch_size = 64
    return config
