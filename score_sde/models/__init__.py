"""Flax NNX networks."""

from score_sde.models.unet import UNet as UNet

NETWORKS = {"unet": UNet}
