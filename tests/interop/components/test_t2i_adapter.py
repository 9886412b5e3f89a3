"""The released T2I-adapters."""

import pytest
from latent_goldens import compiled, error, golden

from score_sde.interop.components import t2i_adapter


@pytest.mark.parametrize("name", ["t2i_sd15", "t2i_sdxl"])
def test_features_of_each_level(shared, name):
    """Against the reference."""
    case = golden(shared, name)
    path = shared / "golden" / "latent" / "t2i_adapter" / name
    found = compiled(path, lambda network, image: network(image))(case["image"])
    for i in range(4):
        assert error(found[f"level_{i}"], case[f"feature_{i}"]) < 1e-5


def test_another_adapter_is_refused():
    """By its type."""
    with pytest.raises(ValueError, match="adapter_type='light_adapter'"):
        t2i_adapter.options({"adapter_type": "light_adapter"})
