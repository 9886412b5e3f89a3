"""Components of released systems: a folder with a config.json and arrays each.

To add one: a module here with a `base.Component`, and its line in COMPONENTS.
"""

from collections.abc import Mapping

from score_sde.interop.components import (
    autoencoder,
    controlnet,
    cross_unet,
    llada,
    mdlm,
    motion,
    oobleck,
    stable_audio,
    t2i_adapter,
)
from score_sde.interop.components.base import Component
from score_sde.interop.components.clip import CLIP_TEXT, CLIP_TEXT_WITH_PROJECTION
from score_sde.interop.components.clip_image import CLIP_IMAGE, CLIP_IMAGE_WITH_PROJECTION
from score_sde.interop.components.dinov2 import DINOV2, DINOV2_WITH_REGISTERS
from score_sde.interop.components.dit import DIT, TRANSFORMER_2D
from score_sde.interop.components.flux import FLUX
from score_sde.interop.components.mmdit import MMDIT
from score_sde.interop.components.pixart import PIXART
from score_sde.interop.components.t5 import T5_ENCODER

# By what config.json calls its class: "_class_name", or the one of "architectures".
COMPONENTS: Mapping[str, Component] = {
    "AutoencoderKL": autoencoder.COMPONENT,
    "AutoencoderOobleck": oobleck.COMPONENT,
    "CLIPTextModel": CLIP_TEXT,
    "CLIPTextModelWithProjection": CLIP_TEXT_WITH_PROJECTION,
    "CLIPVisionModel": CLIP_IMAGE,
    "CLIPVisionModelWithProjection": CLIP_IMAGE_WITH_PROJECTION,
    "Dinov2Model": DINOV2,
    "Dinov2WithRegistersModel": DINOV2_WITH_REGISTERS,
    "T5EncoderModel": T5_ENCODER,
    "UNet2DConditionModel": cross_unet.COMPONENT,
    motion.CLASS: motion.COMPONENT,  # with its U-Net, see motion.joined
    "SD3Transformer2DModel": MMDIT,
    "FluxTransformer2DModel": FLUX,
    "PixArtTransformer2DModel": PIXART,
    "DiTTransformer2DModel": DIT,
    "Transformer2DModel": TRANSFORMER_2D,  # the old name of the last two
    stable_audio.CLASS: stable_audio.COMPONENT,  # with what embeds seconds, see its `joined`
    "ControlNetModel": controlnet.COMPONENT,
    "T2IAdapter": t2i_adapter.COMPONENT,
    "LLaDAModelLM": llada.COMPONENT,
    "MDLM": mdlm.COMPONENT,
}
