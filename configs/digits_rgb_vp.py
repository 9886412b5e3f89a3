"""Coloured handwritten digits, 8x8x3, VP SDE: digits_vp.py with three channels."""

from ml_collections import ConfigDict

from configs import digits_vp


def get_config() -> ConfigDict:
    """The recipe."""
    config = digits_vp.get_config()
    config.data.name = "digits_rgb"
    return config
