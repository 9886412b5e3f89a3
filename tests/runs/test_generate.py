"""Drawing images: batches, remainders and labels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from made_info import image_info

from score_sde import analytic, data, samplers
from score_sde.errors import UserError
from score_sde.runs import build
from score_sde.runs import config as configs
from score_sde.runs.generate import Generator, at_random
from score_sde.spaces import Pixels
from score_sde.training.sharding import make_mesh

pytestmark = pytest.mark.slow


def small(mesh=None, **fields):
    config = configs.default()
    config.model.channels = 4
    config.model.channel_mult = (1,)
    config.model.num_res_blocks = 1
    config.model.attn_resolutions = ()
    config.sampling.sampler = "rk45"
    config.sampling.rk45.rtol = config.sampling.rk45.atol = 1e-2
    for path, value in fields.items():
        configs.set_field(config, path, value)
    return build.experiment(config, image_info("digits", "train", 10, (8, 8, 1), 10, 17), mesh)


@pytest.fixture(scope="module")
def experiment():
    return small()


def test_any_number_of_images_from_any_batch_size(experiment):
    params, constants = experiment.network.init(jax.random.key(0))
    seen = []
    generator = Generator(experiment, make_mesh(), batch_size=4)
    images, nfe = generator(params, constants, jax.random.key(1), 10, seen.append)
    assert images.shape == (10, 8, 8, 1)
    assert images.dtype == np.uint8
    assert seen == sorted(seen)  # the solver tells how far it is in a batch
    assert {0, 4, 8, 10} < set(seen)
    assert nfe > 6
    levels = np.round(np.arange(17) * 255 / 16)
    assert set(np.unique(images)) <= set(levels.astype(int))
    again, _ = generator(params, constants, jax.random.key(1), 10)
    np.testing.assert_array_equal(images, again)
    assert (images[:4] != images[4:8]).any()


def test_parts_of_a_batch_are_told_and_the_network_is_compiled_once(experiment):
    """Of two batches; nothing is done when the first has only been compiled."""
    sampler = samplers.get("predictor_corrector", corrector="none", steps=60)
    experiment = dataclasses.replace(
        experiment,
        sampler=sampler,
        make=lambda params, constants: analytic.gaussian(experiment.sde, np.zeros((8, 8, 1)), 0.5),
    )
    seen = []
    generator = Generator(experiment, make_mesh(), batch_size=4)
    generator({}, {}, jax.random.key(1), 6, seen.append)
    assert seen == sorted(set(seen))
    assert seen[:2] == [0, 4 / 60]
    assert {4, 6} < set(seen)
    assert generator._advance._cache_size() == 1


def test_what_draws_alike_is_compiled_once():
    """The same functions of equal networks, processes, samplers and batches; else others."""
    mesh = make_mesh()
    found = Generator(small(mesh), mesh, 4)._advance
    assert Generator(small(make_mesh()), make_mesh(), 4)._advance is found
    for fields in (
        {"model.channels": 8},
        {"model.parametrization": "v"},
        {"sde.beta_max": 10.0},
        {"sampling.rk45.rtol": 0.1},
        {"conditions.fields": ("label",)},
    ):
        assert Generator(small(mesh, **fields), mesh, 4)._advance is not found
    assert Generator(small(mesh), mesh, 5)._advance is not found
    assert Generator(small(), mesh, 4)._advance is not found  # of no mesh


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Loud(Pixels):
    """Of states of finite numbers it makes examples that are not."""

    def decode(self, x):
        return jnp.exp(1e4 + x)


def test_examples_that_are_no_numbers_are_not_drawn(experiment):
    """As the signals of log-mel spectra that are too loud."""
    loud = Loud(**{f.name: getattr(experiment.space, f.name) for f in dataclasses.fields(Pixels)})
    sampler = samplers.get("predictor_corrector", corrector="none", steps=60)

    def make(params, constants):
        return analytic.gaussian(experiment.sde, params, 0.5)

    changed = dataclasses.replace(experiment, sampler=sampler, make=make, space=loud)
    generator = Generator(changed, make_mesh(), batch_size=4)
    with pytest.raises(UserError, match="3 of 3 samples are not of finite numbers"):
        generator(np.zeros((8, 8, 1)), {}, jax.random.key(1), 3)


def test_samples_that_are_no_numbers_are_not_drawn(experiment):
    """As integers they would look like any others."""

    def make(params, constants):
        return analytic.gaussian(experiment.sde, params, 0.5)

    sampler = samplers.get("predictor_corrector", corrector="none", steps=60)
    experiment = dataclasses.replace(experiment, sampler=sampler, make=make)
    generator = Generator(experiment, make_mesh(), batch_size=4)
    assert len(generator(np.zeros((8, 8, 1)), {}, jax.random.key(1), 3)[0]) == 3
    with pytest.raises(UserError, match="3 of 3 samples are not of finite numbers"):
        generator(np.full((8, 8, 1), np.nan), {}, jax.random.key(1), 3)


def test_images_are_in_the_models_range(experiment):
    x = jnp.array([-1.0, 0.0, 1.0]).reshape(3, 1, 1, 1)
    np.testing.assert_array_equal(experiment.space.decode(x).ravel(), [0, 128, 255])


@pytest.mark.parametrize("levels", [17, 256])
def test_a_model_of_dequantised_data_draws_the_levels_that_its_data_had(levels):
    """A perfect sample is dequantised data; a known pixel comes back as it is."""
    config = configs.default()
    config.space.pixels.dequantize = True
    info = image_info("digits", "train", 10, (8, 8, 1), 10, levels)
    experiment = build.experiment(config, info)
    pixels = np.round(np.arange(levels) * 255 / (levels - 1)).astype(np.uint8)
    images = jnp.asarray(np.resize(pixels, (64, 8, 8, 1)))
    space = experiment.space
    x = space.encode(images, jax.random.key(0))
    assert (space.decode(x) == images).mean() > 0.999  # but for float32 at the edges
    np.testing.assert_array_equal(space.decode(space.encode(images)), images)


def test_what_no_memory_holds_is_not_told():
    """Points of the plane, two numbers of 4 bytes each."""
    source = data.load("moons")
    assert at_random(source, 5, seed=0)["vector"].shape == (5, 2)
    with pytest.raises(UserError, match=r"what 1,000,000,000,000,000 samples .* moons, needs"):
        at_random(source, 10**15, seed=0)
