"""Which data set a released network is taken to be of, and which values a config is given."""

import pytest

from score_sde import fields
from score_sde.errors import UserError
from score_sde.interop import proposal


@pytest.mark.parametrize(
    ("shape", "classes", "named", "name"),
    [
        ((32, 32, 3), 10, "", "cifar10"),
        ((64, 64, 3), 1000, "64x64_diffusion", "imagenet2012"),
        ((256, 256, 3), 0, "lsun_bedroom", "lsun/bedroom"),
        ((256, 256, 3), 0, "lsun_uncond_100M_1200K_bs128", "lsun/bedroom"),
        ((256, 256, 3), 0, "lsun_horse", "folder"),
        ((64, 64, 3), 0, "datasets/ffhq-64x64.zip", "folder"),
        ((32, 32, 4), 1000, "DiT-XL-2-256x256", "arrays"),
    ],
)
def test_the_data_set_of_a_size_and_a_name(shape, classes, named, name):
    found = proposal.data(shape, classes, named)
    assert found["data.name"] == name
    assert ("conditions.fields" in found) == bool(classes)
    assert ("space.name" in found) == (name == "arrays")


def test_the_fields_of_its_examples():
    """An image, or a latent of other channels, and a label where there are classes."""
    latent, label = proposal.described((32, 32, 4), 1000)
    assert (latent, label) == (fields.latent((32, 32, 4)), fields.label(1000))
    assert proposal.described((64, 64, 1), 0) == (fields.image((64, 64, 1)),)


def test_values_are_those_of_fields():
    config = proposal.config("dit", {"model.patch": 4, **proposal.learned_variance(True)})
    assert (config.model.patch, config.sampling.sampler) == (4, "improved_ddpm")
    assert proposal.learned_variance(False) == {"objective.denoising.times": "discrete"}
    with pytest.raises(UserError, match=r"config\.model\.patch"):
        proposal.config("dit", {"model.patch": -1})
