"""Flax NNX networks."""

from score_sde.models.mlp import MLP as MLP
from score_sde.models.ncsn import NCSN as NCSN
from score_sde.models.ncsn import NCSNv2 as NCSNv2
from score_sde.models.unet import UNet as UNet
from score_sde.models.wide_resnet import WideResNet as WideResNet

# Each is called network(x, noise_label, cond=None, *, key=None). WideResNet gives logits of
# p(y | x_t) where the others give a state.
NETWORKS = {
    "unet": UNet,
    "ncsn": NCSN,
    "ncsnv2": NCSNv2,
    "mlp": MLP,
    "wide_resnet": WideResNet,
}
