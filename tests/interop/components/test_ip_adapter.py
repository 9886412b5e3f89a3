"""IP-Adapter: what does not fit; its numbers are in tests/interop/test_prompt_images.py."""

import jax
import numpy as np
import pytest

from score_sde.formats import safetensors
from score_sde.interop.components import cross_unet, folder, ip_adapter
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def adapter(shared):
    latent = shared / "golden" / "latent"
    return safetensors.load(latent / "ip_adapter" / "ip-adapter_sd15.safetensors")[0]


def test_an_adapter_of_another_unet_is_refused(shared, adapter):
    """Whose blocks are others."""
    config = folder.config(shared / "golden" / "latent" / "pipelines" / "sdxl" / "unet")
    unet = functional(
        lambda rngs: cross_unet.CrossUNet(**cross_unet.COMPONENT.options(config), rngs=rngs)
    )
    pairs = [(np.zeros((1, 4, 8)),) * 2] * 3
    with pytest.raises(ValueError, match=r"for 3 blocks of \[8\] features, and this network has"):
        jax.eval_shape(
            lambda *arrays: unet.apply(
                *arrays, np.zeros((1, 8, 8, 4)), np.zeros(1), {}, beside=[pairs]
            ),
            *unet.shapes,
        )


def test_what_is_no_adapter_of_one_embedding(adapter):
    """Without its layers, or with other numbers."""
    with pytest.raises(ValueError, match="it is no IP-Adapter that is told one embedding"):
        ip_adapter.options({})
    others = {name: a for name, a in adapter.items() if not name.startswith("ip_adapter.3.")}
    with pytest.raises(ValueError, match="not numbered 1, 3, 5"):
        ip_adapter.options(others)
