"""Flax NNX networks."""

from score_sde.models.ncsn import NCSN as NCSN
from score_sde.models.ncsn import NCSNv2 as NCSNv2
from score_sde.models.unet import UNet as UNet
from score_sde.models.wide_resnet import WideResNet as WideResNet

NETWORKS = {"unet": UNet, "ncsn": NCSN, "ncsnv2": NCSNv2}

# Of p(y | x_t): these give logits where the others give an image.
CLASSIFIERS = {"wide_resnet": WideResNet}
