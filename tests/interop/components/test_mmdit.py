"""Stable Diffusion 3 and 3.5's transformers: golden numbers, real sizes."""

import functools

import jax
import numpy as np
import pytest
from components import check_back, check_real, nhwc, opened, relative
from filled import quick_jit

from score_sde.interop.components import base
from score_sde.interop.components.mmdit import MMDIT


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "golden" / "latent" / "pipelines" / "sd35" / "transformer"


@functools.cache
def golden(shared):
    return dict(np.load(shared / "golden" / "latent" / "golden" / "sd35.npz"))


@functools.cache
def network(folder):
    """The network with its arrays, compiled: of x, time, text and pooled."""
    net, placed, _ = opened(MMDIT, folder)

    def apply(x, time, text, pooled):
        with jax.default_matmul_precision("highest"):
            return net.apply(*placed, x, time, {"text": text, "pooled": pooled})

    return quick_jit(apply)


@pytest.mark.parametrize("case", ["b2", "nonsquare"])
def test_numbers(shared, folder, case):
    """Dual blocks, the last one, and the middle of the table of positions."""
    x, text, pooled, time, out = (
        golden(shared)[f"transformer/{case}/{name}"]
        for name in (
            "hidden_states",
            "encoder_hidden_states",
            "pooled_projections",
            "timestep",
            "out",
        )
    )
    assert relative(network(folder)(nhwc(x), time, text, pooled), nhwc(out)) < 1e-5


def test_it_is_written_as_it_was_read(folder):
    """Every array, the table of positions too."""
    check_back(MMDIT, folder)


@pytest.mark.parametrize("name", ["sd3_medium", "sd35_medium", "sd35_large"])
def test_real_sizes(shared, name):
    """Names, shapes and the count; nothing is made."""
    check_real(shared, MMDIT, f"{name}_transformer")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"qk_norm": "layer_norm"},
            "qk_norm='layer_norm' is not known here, None or 'rms_norm' is",
        ),
        ({"out_channels": 8}, "out_channels=8 is not known here, None or 16 is"),
        ({"dual_attention_layers": [30]}, "dual: there is no block 30, for depth=18"),
    ],
)
def test_what_there_is_not_is_refused(config, message):
    """By the value of config.json."""
    with pytest.raises(ValueError, match=message):
        base.abstract(MMDIT, config)
