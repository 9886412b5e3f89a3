"""Inverse problems: observations that turn a denoiser into that of the data given them."""

from score_sde.inverse.observation import Colorization, Inpainting, Observation

__all__ = ["Colorization", "Inpainting", "Observation"]
