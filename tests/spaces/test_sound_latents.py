"""Signals as latents of an autoencoder: scaled, and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde import fields, parts
from score_sde.data import arrays
from score_sde.errors import UserError
from score_sde.sections import entries
from score_sde.spaces import SoundLatents

pytestmark = pytest.mark.usefixtures("quick_compile")

OPTIONS = {"latent_channels": 2, "widths": (4, 5), "factors": (4,), "dilations": (1,)}


def made(field=None, options=OPTIONS, **asked):
    network = parts.made("sound_autoencoder", options)
    part = parts.Part(network.apply, *filled(network))
    usual = {name: entry.default for name, entry in entries(SoundLatents).items()}
    usual |= {"channels": 2, "factor": 4}
    field = field or fields.signal(22, 1000)
    return SoundLatents.of(field, **usual | asked).with_parts({"autoencoder": part})


@pytest.mark.parametrize("channels", [0, 2])
def test_states_are_latents_of_unit_variance_and_decode_to_signals(channels):
    """Of a signal with silence after it, to whole frames; a key draws from q(z | x)."""
    field = fields.signal(22, 1000, channels)
    options = OPTIONS | {"signal_channels": channels}
    signals = np.random.default_rng(0).uniform(-1, 1, (64, *field.shape)).astype(np.float32)
    source = arrays.source({"signal": signals}, split="train", fields=[field], hold_out=1000)
    space = made(field, options, sample=False, per_channel=True).fitted(source, "signal")
    assert space.shape == (6, 2)
    kept = source.gather(np.arange(len(source)))["signal"]
    x = quick_jit(lambda space, s: space.encode(s))(space, kept)
    np.testing.assert_allclose(np.asarray(x).mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(np.asarray(x).std((0, 1)), 1, rtol=1e-4)
    padded = np.pad(kept, [(0, 0), (0, 2), *[(0, 0)] * (kept.ndim - 2)])
    mean, _ = space.part(jnp.asarray(padded), method="encode")
    scale, shift = space.arrays().values()
    np.testing.assert_allclose(x, scale * (np.asarray(mean) - shift), atol=1e-4)
    again = space.decode(x)
    assert again.shape == kept.shape
    np.testing.assert_allclose(again, space.part(mean, method="decode")[:, :22], atol=1e-4)
    jacobian = np.diag(np.tile(scale, 6))
    volume = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(space.log_volume(kept[:2]), volume, rtol=1e-5)
    drawn = [made(field, options).encode(kept, jax.random.key(n)) for n in (0, 1)]
    assert np.abs(drawn[0] - drawn[1]).max() > 1e-3
    np.testing.assert_allclose(space.neutral(kept), space.encode(0 * kept), atol=1e-6)


def test_an_autoencoder_of_other_latents_is_one_line():
    source = arrays.source(
        {"signal": np.ones((3, 22), np.float32)},
        split="train",
        fields=[fields.signal(22, 1000)],
        hold_out=1000,
    )
    for asked in ({"channels": 3}, {"factor": 8}):
        with pytest.raises(UserError, match=r"space\.sound_latents.*channels=2.*factor=4"):
            made(**asked).fitted(source, "signal")
    stereo = made(options=OPTIONS | {"signal_channels": 2})
    with pytest.raises(UserError, match=r"sound_latents\.autoencoder: this network"):
        stereo.fitted(source, "signal")


def test_files_are_sounds(tmp_path):
    space = made()
    space.save(tmp_path, ["a"], np.zeros((1, 22)))
    assert [path.name for path in tmp_path.iterdir()] == [f"a.{space.ending}"] == ["a.wav"]
