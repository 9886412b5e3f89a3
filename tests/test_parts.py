"""Parts: a network in a file, and files that are none."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import parts
from score_sde.formats import safetensors

pytestmark = pytest.mark.usefixtures("quick_compile")

OPTIONS = {"widths": (8, 16), "groups": 4, "num_res_blocks": 1, "latent_channels": 2}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("parts") / "autoencoder.safetensors"
    params, constants = parts.made("autoencoder", OPTIONS).init(jax.random.key(0))
    parts.save(path, "autoencoder", OPTIONS, params, constants)
    return path


def test_a_part_is_its_network(file):
    """Bit for bit, and called by the name of a method."""
    network = parts.made("autoencoder", OPTIONS)
    params, constants = network.init(jax.random.key(0))
    part = parts.load(file)
    assert part.params.keys() == params.keys()
    for name, array in params.items():
        np.testing.assert_array_equal(part.params[name], array)
    z = jnp.ones((1, 2, 3, 2))
    ours = network.apply(params, constants, z, method="decode")
    np.testing.assert_allclose(
        jax.jit(lambda part: part(z, method="decode"))(part), ours, atol=1e-5
    )
    assert parts.described(file) == ("autoencoder", OPTIONS)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({}, "nothing says what network it is"),
        ({"part": "3"}, "nothing says what network it is"),
        ({"part": json.dumps({"kind": "os", "options": {}})}, "os"),
        ({"part": json.dumps({"kind": "autoencoder"})}, "what it says of its network is nothing"),
        ({"part": json.dumps({"kind": "autoencoder", "options": {"rngs": 1}})}, "the option rngs"),
        ({"part": json.dumps({"kind": "autoencoder", "options": {"groups": 3}})}, "no autoencoder"),
        (
            {"part": json.dumps({"kind": "autoencoder", "options": {}})},
            "is not that of its network",
        ),
    ],
)
def test_what_a_file_cannot_be_is_said(file, tmp_path, about, message):
    arrays, _ = safetensors.load(file)
    safetensors.save(tmp_path / "a.safetensors", arrays, about)
    with pytest.raises(ValueError, match=message):
        parts.load(tmp_path / "a.safetensors")
