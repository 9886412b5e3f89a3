"""The released ControlNets."""

import pytest
from latent_goldens import compiled, error, golden, told

from score_sde.interop.components import controlnet


def test_what_a_controlnet_adds(shared):
    """Against the reference; in guess mode it grows from a tenth of the scale to the scale."""
    path = shared / "golden" / "latent" / "controlnet" / "sd15"
    cases = [golden(shared, "controlnet_sd15", f"{name}/") for name in ("plain", "guess")]
    calls = [(*told(case), case["controlnet_cond"]) for case in cases]

    def both(network, *calls):
        first, then = (network(*call[:3], call[3], guess=i == 1) for i, call in enumerate(calls))
        return first, then

    for found, case in zip(compiled(path, both)(*calls), cases, strict=True):
        assert len(found) == 13
        assert error(found["middle"], case["mid"]) < 3e-5
        for i in range(12):
            assert error(found[f"skip_{i}"], case[f"down_{i}"]) < 3e-5


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
