"""The same as backbone64.py at the size of DiT-L, in the range of Proteina's 200M to 400M.

Nothing of it was trained here: it is what the small recipe becomes on accelerators and more chains
(any source of a field of kind "points", docs/extending.md). 457,214,987 parameters.

    python main.py --config=configs/backbone_l.py --config.training.fsdp=8
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("backbone64")
    config.model.size = "L"
    config.model.channels = 0
    config.model.depth = 0
    config.model.heads = 0
    config.model.qk_norm = True
    config.model.dtype = "bfloat16"
    config.model.remat = True
    config.training.batch_size = 256
    config.training.steps = 400_000
    config.training.ema_decays = (0.9999,)
    config.training.checkpoint_every = 5_000
    config.training.eval_every = 10_000
    config.training.sample_every = 20_000
    config.optim.learning_rate = 1e-4
    config.optim.warmup = 5_000
    return config
