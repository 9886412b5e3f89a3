"""Flux's transformers: golden numbers, real sizes."""

import jax
import numpy as np
import pytest
from components import check_back, check_real, opened, relative
from filled import quick_jit

from score_sde.interop.components import base
from score_sde.interop.components.flux import FLUX


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "golden" / "latent" / "pipelines" / "flux_dev" / "transformer"


def unpacked(tokens, ids):
    """Latents, NHWC, of tokens with the channel slowest: [batch, rows * columns, channels * 4]."""
    rows, columns = (int(ids[:, axis].max()) + 1 for axis in (1, 2))
    x = tokens.reshape(len(tokens), rows, columns, -1, 2, 2)
    return x.transpose(0, 1, 4, 2, 5, 3).reshape(len(x), 2 * rows, 2 * columns, -1)


@pytest.mark.parametrize("case", ["b2", "nonsquare"])
def test_numbers(shared, folder, case):
    """Of latents, which the network itself packs and places."""
    arrays = np.load(shared / "golden" / "latent" / "golden" / "flux_dev.npz")
    given = {
        k.split("/")[2]: arrays[k] for k in arrays.files if k.startswith(f"transformer/{case}/")
    }
    x, out = (unpacked(given[name], given["img_ids"]) for name in ("hidden_states", "out"))
    assert not given["txt_ids"].any()
    cond = {
        "text": given["encoder_hidden_states"],
        "pooled": given["pooled_projections"],
        "guidance": given["guidance"],
    }
    network, placed, _ = opened(FLUX, folder)
    with jax.default_matmul_precision("highest"):
        found = quick_jit(network.apply)(*placed, x, given["timestep"], cond)
    assert relative(found, out) < 1e-5


def test_it_is_written_as_it_was_read(folder):
    """Every array."""
    check_back(FLUX, folder)


@pytest.mark.parametrize("name", ["flux_dev", "flux_schnell"])
def test_real_sizes(shared, name):
    """Names, shapes and the count; nothing is made."""
    check_real(shared, FLUX, f"{name}_transformer")


def test_channels_beside_the_data():
    """As networks that are told edges or a mask have: 128 numbers of a token in, 64 out."""
    model = base.abstract(FLUX, {"in_channels": 128, "out_channels": 64})
    assert model.shape == (128, 128, 16)
    assert model.channels_in == 32
    assert model.dense_in.kernel.shape == (128, 3072)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"patch_size": 2}, "patch_size=2 is not known here, 1 is"),
        ({"attention_head_dim": 64}, "attention_head_dim=64 is not known here, 128 is"),
        ({"in_channels": 63}, "63 in_channels are no patches of 2 pixels"),
    ],
)
def test_what_there_is_not_is_refused(config, message):
    """By the value of config.json."""
    with pytest.raises(ValueError, match=message):
        base.abstract(FLUX, config)
