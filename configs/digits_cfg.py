"""Handwritten digits of a class, 8x8, by classifier-free guidance.

python main.py --config=configs/digits_cfg.py
"""

from ml_collections import ConfigDict

from score_sde.runs import recipes


def get_config() -> ConfigDict:
    """The recipe."""
    config = recipes.get("digits_vp")
    config.conditions.fields = ("label",)
    config.conditions.label.dropout = 0.1  # so that it knows no class too
    config.guidance.scale = 2.0
    config.sampling.sampler = "dpmpp_2m"
    config.sampling.steps = 20
    return config
