"""Digits."""

from ml_collections import ConfigDict

from configs import digits_vp


def get_config() -> ConfigDict:
    """The recipe."""
    config = digits_vp.get_config()
    config.sde.name = "subvp"
    return config
