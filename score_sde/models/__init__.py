"""Flax NNX networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from flax import nnx

from score_sde.checks import check_name
from score_sde.models import arguments
from score_sde.models.adm import ADM
from score_sde.models.adm_classifier import ADMClassifier
from score_sde.models.autoencoder import Autoencoder
from score_sde.models.cross_unet import CrossUNet
from score_sde.models.dit import DiT
from score_sde.models.edm2 import EDM2
from score_sde.models.egnn import EGNN
from score_sde.models.flux import Flux
from score_sde.models.functional import Maker, abstract
from score_sde.models.mlp import MLP
from score_sde.models.mmdit import MMDiT
from score_sde.models.ncsn import NCSN, NCSNv2
from score_sde.models.pixart import PixArt
from score_sde.models.set_transformer import SetTransformer
from score_sde.models.sound_autoencoder import SoundAutoencoder
from score_sde.models.stable_audio import StableAudio
from score_sde.models.token_transformer import TokenTransformer
from score_sde.models.unet import UNet
from score_sde.models.uvit import UViT
from score_sde.models.video import VideoDiT, VideoUNet
from score_sde.models.wide_resnet import WideResNet

__all__ = [
    "ADM",
    "EDM2",
    "EGNN",
    "MLP",
    "NCSN",
    "NETWORKS",
    "ADMClassifier",
    "Autoencoder",
    "DiT",
    "NCSNv2",
    "SetTransformer",
    "TokenTransformer",
    "UNet",
    "UViT",
    "VideoDiT",
    "VideoUNet",
    "WideResNet",
    "read",
]

# Each is called network(x, noise_label, cond=None, *, key=None). Where others give a state,
# classifiers give logits of p(y | x_t), and networks of tokens those of each token; an autoencoder
# has encode and decode instead.
NETWORKS: dict[str, type[nnx.Module]] = {
    "unet": UNet,
    "adm": ADM,
    "adm_classifier": ADMClassifier,
    "edm2": EDM2,
    "dit": DiT,
    "uvit": UViT,
    "set_transformer": SetTransformer,
    "egnn": EGNN,
    "cross_unet": CrossUNet,
    "mmdit": MMDiT,
    "flux": Flux,
    "pixart": PixArt,
    "stable_audio": StableAudio,
    "ncsn": NCSN,
    "ncsnv2": NCSNv2,
    "mlp": MLP,
    "wide_resnet": WideResNet,
    "token_transformer": TokenTransformer,
    "autoencoder": Autoencoder,
    "sound_autoencoder": SoundAutoencoder,
    "video_unet": VideoUNet,
    "video_dit": VideoDiT,
}
# Those that look at what frozen encoders make of a text.
ENCODED = ("cross_unet", "mmdit", "pixart", "flux", "stable_audio")


def read(
    section: Mapping[str, Any], given: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Callable[[nnx.Rngs], nnx.Module]:
    """The network that a section `model` of a config names, as a function that makes it.

    Args:
        section: its name and its options; what else stands there is not read.
        given: arguments that it may be given, by name; see models.arguments.
        wanted: arguments that it must take, for what it is trained for.

    Raises:
        ValueError: the name or the dtype is unknown, or the network is not for what is given or
            wanted.
    """
    name = section["name"]
    check_name("config.model.name", name, NETWORKS)
    network, given = NETWORKS[name], {**given, **wanted}
    if not _goes(network, given, wanted):
        raise ValueError(
            f"config.model.name={name} does not go with this space and objective"
            + instead(name, given, wanted)
        )
    own = {option: section[option] for option in arguments.options(network)}
    check_name("config.model.dtype", own["dtype"], ("float32", "bfloat16"))
    own["dtype"] = jnp.dtype(own["dtype"])
    own |= {argument: v for argument, v in given.items() if argument in arguments.given(network)}
    return Maker(network, own)


def instead(name: str, given: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """For a message, which networks to choose in the place of one that cannot be made.

    Args:
        name: of that network.
        given: as for `read`.
        wanted: as for `read`.

    Returns:
        "" if it can be, with its own options: then it is these that cannot work.
    """
    if _is_made(NETWORKS[name], given, wanted):
        return ""
    found = fitting(given, wanted)
    return f": choose {' or '.join(found)}" if found else ": no network goes with both"


def fitting(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The networks that can be made with their own options; arguments as for `read`.

    Those that look at what frozen encoders make of a text are left out: a run has to have these.
    """
    plain = {name: network for name, network in NETWORKS.items() if name not in ENCODED}
    return [name for name, network in plain.items() if _is_made(network, given, wanted)]


def _is_made(
    network: type[nnx.Module], given: Mapping[str, Any], wanted: Mapping[str, Any]
) -> bool:
    """Whether a network with its own options can be made for this, abstractly."""
    given = {**given, **wanted}
    if not _goes(network, given, wanted):
        return False
    own = {option: entry.default for option, entry in arguments.options(network).items()}
    own["dtype"] = jnp.dtype(own["dtype"])
    own |= {argument: v for argument, v in given.items() if argument in arguments.given(network)}
    try:
        abstract(Maker(network, own))
    except ValueError:
        return False
    return True


def _goes(network: type[nnx.Module], given: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a network is given all it takes, and takes all that is wanted."""
    takes = arguments.given(network) - {"rngs", "param_dtype"}
    return wanted.keys() <= takes <= given.keys()
