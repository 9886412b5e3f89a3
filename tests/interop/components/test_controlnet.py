"""The released ControlNets."""

import pytest
from latent_goldens import compiled, error, golden, told

from score_sde.interop.components import controlnet

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
def test_what_a_controlnet_adds(shared, name):
    """Against the reference; in guess mode it grows from a tenth of the scale to the scale."""
    path = shared / "golden" / "latent" / "controlnet" / name
    modes = ("plain", "guess") if name == "sd15" else ("scaled",)
    cases = [golden(shared, f"controlnet_{name}", f"{mode}/") for mode in modes]
    calls = [(*told(case), case["controlnet_cond"]) for case in cases]

    def each(network, *calls):
        return [network(*call[:3], call[3], guess=i == 1) for i, call in enumerate(calls)]

    for found, case in zip(compiled(path, each)(*calls), cases, strict=True):
        skips, scale = [key for key in case if key.startswith("down_")], case["conditioning_scale"]
        assert len(found) == len(skips) + 1
        assert error(scale * found["middle"], case["mid"]) < 3e-5
        for key in skips:
            assert error(scale * found[key.replace("down", "skip")], case[key]) < 3e-5


def test_what_a_config_says():
    """A ControlNet's own values, and those that it shares with a U-Net."""
    found = controlnet.options(
        {"global_pool_conditions": True, "conditioning_channels": 1, "attention_head_dim": 8}
    )
    assert found["pooled"]
    assert found["control_channels"] == 1
    assert found["control_widths"] == (16, 32, 96, 256)
    assert found["heads"] == (8, 8, 8, 8)
    with pytest.raises(ValueError, match="channel_order='bgr'"):
        controlnet.options({"controlnet_conditioning_channel_order": "bgr"})
