"""Flax NNX networks."""

from score_sde.models.ncsn import NCSN as NCSN
from score_sde.models.ncsn import NCSNv2 as NCSNv2
from score_sde.models.unet import UNet as UNet

NETWORKS = {"unet": UNet, "ncsn": NCSN, "ncsnv2": NCSNv2}
