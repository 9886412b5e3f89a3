"""IP-Adapter on a released U-Net: golden outputs by its scale, and what does not fit."""

import jax
import numpy as np
import pytest
from components import nhwc, relative
from filled import quick_jit

from score_sde.formats import safetensors
from score_sde.interop.components import base, folder, ip_adapter
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow


def test_numbers_by_scale(shared):
    """With the image fully, by half, at scale 0 and without, which are the U-Net itself."""
    latent = shared / "golden" / "latent"
    golden = np.load(latent / "golden" / "ip_adapter_sd15.npz")
    config = folder.config(latent / "pipelines" / "sd15" / "unet")
    adapter = safetensors.load(latent / "ip_adapter" / "ip-adapter_sd15.safetensors")[0]
    component = ip_adapter.component(config, adapter)
    arrays = folder.arrays(latent / "pipelines" / "sd15" / "unet") | adapter
    _, placed = base.place(component, {}, arrays)
    network = functional(lambda rngs: component.make(**component.options({}), rngs=rngs))
    apply = quick_jit(network.apply)
    x, time = nhwc(golden["sample"]), golden["timestep"].astype(np.float32)
    text = {"text": golden["encoder_hidden_states"]}
    image = {"image_prompt": golden["image_embeds"]}
    with jax.default_matmul_precision("highest"):
        for scale in ("0.0", "0.5", "1.0"):
            told = text | image | {"image_prompt_scale": np.full(len(x), scale, np.float32)}
            expected = nhwc(golden[f"scale_{scale}/unet_out"])
            assert relative(apply(*placed, x, time, told), expected) < 3e-5
        found = apply(*placed, x, time, text)
    assert relative(found, nhwc(golden["unet_out_without"])) < 3e-5


def test_an_adapter_of_another_unet_is_refused(shared):
    latent = shared / "golden" / "latent"
    adapter = safetensors.load(latent / "ip_adapter" / "ip-adapter_sd15.safetensors")[0]
    other = folder.config(latent / "pipelines" / "sdxl" / "unet")
    with pytest.raises(ValueError, match="tokens of 24 features, and this U-Net looks at those of"):
        ip_adapter.options(adapter, other)
    with pytest.raises(ValueError, match="it is no IP-Adapter"):
        ip_adapter.options({}, other)
