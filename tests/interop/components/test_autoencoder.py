"""The released autoencoders."""

import jax.numpy as jnp
import numpy as np
import pytest
from latent_goldens import compiled, error, golden

from score_sde.interop import slots
from score_sde.interop.components import autoencoder, folder
from score_sde.interop.components.base import abstract


def test_encoding_and_decoding(shared):
    """Against the reference: mean, log variance, what a denoiser sees of a sample, an image."""
    case = golden(shared, "sd15", "vae/0/")
    path = shared / "golden" / "latent" / "pipelines" / "sd15" / "vae"

    def both(network, image, z):
        return *network(image, method="encode"), network(z, method="decode")

    mean, logvar, image = compiled(path, both)(case["image"], case["z"])
    assert error(mean, case["mean"]) < 1e-5
    assert error(logvar, case["logvar"]) < 1e-5
    assert error(image, case["decode"]) < 1e-5
    shift, scale = autoencoder.scaling(folder.config(path))
    seen = (mean + jnp.exp(logvar / 2) * case["noise"] - shift[None, None, None]) * scale[0]
    assert error(seen, case["sampled_scaled"]) < 1e-5


@pytest.mark.parametrize("name", ["sd2", "sdxl", "sd35"])
def test_every_array_has_its_place(shared, name):
    """With old names of attention, with and without the layers of each pixel."""
    path = shared / "golden" / "latent" / "pipelines" / name / "vae"
    config, component = folder.config(path), autoencoder.COMPONENT
    arrays = component.prepare(folder.arrays(path), config)
    model = abstract(component, config)
    slots.check(component.slots(model), {k: np.shape(a) for k, a in arrays.items()})


def test_attention_of_a_single_file_is_the_same():
    """Its 1x1 convolutions, under old names or today's, are the layers of today."""
    kernel = np.arange(4.0).reshape(2, 2)
    for name in ("query", "to_q"):
        found = autoencoder.prepare({f"e.attentions.0.{name}.weight": kernel[..., None, None]}, {})
        assert found.keys() == {"e.attentions.0.to_q.weight"}
        np.testing.assert_array_equal(found["e.attentions.0.to_q.weight"], kernel)


def test_what_a_config_says_of_the_scaling():
    """0.18215 where an old file says nothing; means and deviations of each channel."""
    old = autoencoder.scaling({})
    np.testing.assert_allclose(old.scale, [0.18215] * 4, rtol=1e-6)
    np.testing.assert_array_equal(old.shift, [0] * 4)
    flux = autoencoder.scaling(
        {"latent_channels": 16, "scaling_factor": 0.3611, "shift_factor": 0.1159}
    )
    np.testing.assert_allclose(flux.shift, [0.1159] * 16, rtol=1e-6)
    both = {"scaling_factor": 0.5, "latents_mean": [1, 2, 3, 4], "latents_std": [1, 1, 2, 2]}
    np.testing.assert_array_equal(autoencoder.scaling(both).scale, [0.5, 0.5, 0.25, 0.25])
    np.testing.assert_array_equal(autoencoder.scaling(both).shift, [1, 2, 3, 4])
    with pytest.raises(ValueError, match=r"latents_mean=\[1, 2\]; it must be 4 values"):
        autoencoder.scaling({"latents_mean": [1, 2]})


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"act_fn": "relu"}, "act_fn='relu'; the network here has 'silu'"),
        ({"down_block_types": ["AttnDownEncoderBlock2D"]}, "down_block_types"),
        ({"in_channels": 4}, "in_channels=4 and out_channels=3"),
        ({"temporal_layers": 2}, "temporal_layers=2, which is not known here"),
    ],
)
def test_what_we_do_not_have_is_refused(said, message):
    """By the value."""
    with pytest.raises(ValueError, match=message):
        autoencoder.options(said)
