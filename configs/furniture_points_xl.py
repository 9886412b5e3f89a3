"""The same as furniture_points.py at the size of DiT-XL, told names: 695,281,091 parameters.

Nothing of it was trained here: it is what the small recipe becomes on accelerators and larger sets.
Sets of any number of points are any source of a field of kind "points" (docs/extending.md).

    python main.py --config=configs/furniture_points_xl.py --config.training.fsdp=8
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("furniture_points:name")
    config.model.size = "XL"
    config.model.channels = 0
    config.model.depth = 0
    config.model.heads = 0
    config.model.qk_norm = True
    config.model.dtype = "bfloat16"
    config.model.remat = True
    config.conditions.text.features = 512
    config.conditions.text.depth = 6
    config.conditions.text.heads = 8

    config.training.batch_size = 256
    config.training.steps = 400_000
    config.training.ema_decays = (0.9999,)
    config.training.checkpoint_every = 5_000
    config.training.eval_every = 10_000
    config.training.sample_every = 20_000
    config.optim.learning_rate = 1e-4
    config.optim.warmup = 5_000
    return config
