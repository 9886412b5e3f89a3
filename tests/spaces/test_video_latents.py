"""Videos as latents of an autoencoder, frame by frame."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from made_subject import made_source
from PIL import Image

from score_sde import fields, parts, spaces
from score_sde.errors import UserError
from score_sde.spaces import Autoencoded, Encoded, EncodedSounds, EncodedVideos, VideoLatents

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

OPTIONS = {"widths": (8, 16), "groups": 4, "num_res_blocks": 1, "latent_channels": 2}
OF = {"autoencoder": "", "channels": 2, "factor": 2, "sample": True}
AFFINE = {"scale": (0.5, 2.0), "shift": (0.25,)}
FIELD = fields.video((3, 8, 12, 3))


@pytest.fixture(scope="module")
def part():
    network = parts.made("autoencoder", OPTIONS)
    return parts.Part(network.apply, *quick_jit(network.init)(jax.random.key(0)))


def videos(n=2):
    return np.random.default_rng(0).integers(0, 256, (n, *FIELD.shape)).astype(np.uint8)


def made(cls, field, part, **options):
    return cls.of(field, **OF, **options).with_parts({"autoencoder": part})


def test_it_is_the_autoencoder_on_each_frame(part):
    """Encoded and decoded, beside the space of one frame: to rounding."""
    space = made(VideoLatents, FIELD, part, **AFFINE)
    frame = made(Autoencoded, fields.image(FIELD.shape[1:]), part, **AFFINE)
    assert spaces.kinds({"name": "video_latents"}) == ("video",)
    assert space.shape == (3, *frame.shape) == (3, 4, 6, 2)
    examples = videos()
    x = quick_jit(lambda space, v: space.encode(v))(space, examples)
    shown = quick_jit(lambda space, x: space.images(x))(space, x)
    decoded = np.asarray(quick_jit(lambda space, x: space.decode(x))(space, x))
    assert x.shape == (2, *space.shape)
    assert decoded.dtype == np.uint8
    assert decoded.shape == examples.shape
    alone = quick_jit(lambda space, v: (space.encode(v), space.images(space.encode(v))))
    for i in range(3):
        state, image = alone(frame, examples[:, i])
        np.testing.assert_allclose(x[:, i], state, atol=1e-5)
        np.testing.assert_allclose(shown[:, i], image, atol=1e-5)
    np.testing.assert_array_equal(decoded, np.round(np.clip((shown + 1) / 2, 0, 1) * 255))
    np.testing.assert_allclose(
        space.log_volume(examples), 3 * np.asarray(frame.log_volume(examples[:, 0])), rtol=1e-6
    )


def test_draws_of_all_frames_differ_and_depend_on_their_video_alone(part):
    """One key, or one for each: mean + std e with e standard normal."""
    space = made(VideoLatents, FIELD, part, **AFFINE)
    examples = np.repeat(np.repeat(videos(1)[:, :1], 3, axis=1), 4, axis=0)
    encode = quick_jit(lambda space, v, key: space.encode(v, key))
    mean = quick_jit(lambda space, v: space.encode(v))(space, examples[:1])
    std = quick_jit(lambda space, v: space.posterior(v).std)(space, examples[:1])
    each = jax.random.split(jax.random.key(1), 4)
    for key in (jax.random.key(1), each):
        x = np.asarray(encode(space, examples, key))
        e = (x - mean) / (np.array(AFFINE["scale"]) * np.asarray(std)[None])
        assert len({frame.tobytes() for video in x for frame in video}) == 12
        assert abs(e.mean()) < 4 / np.sqrt(e.size)
        assert abs(e.var() - 1) < 4 * np.sqrt(2 / e.size)
    one = encode(space, examples[:1], each[:1])
    np.testing.assert_allclose(one, encode(space, examples, each)[:1], atol=1e-5)


def test_scale_and_shift_are_measured_over_all_frames(part):
    """States of the examples have mean 0 and, with their spread, variance 1."""
    source = made_source({"video": videos(6)}, [FIELD])
    space = made(VideoLatents, FIELD, part, scale=(), shift=()).fitted(source, "video")
    q = quick_jit(lambda space, v: space.posterior(v))(space, videos(6))
    scale, shift = (float(space.arrays()[name][0]) for name in ("scale", "shift"))
    assert shift == pytest.approx(float(jnp.mean(q.mean)), abs=1e-5)
    variance = jnp.var(q.mean) + jnp.mean(q.std**2)
    assert scale**2 * float(variance) == pytest.approx(1, rel=1e-4)


def test_what_was_encoded_once_is_the_same(part):
    """The state of q(z | video) is that of the video, with the same keys, and so is its video."""
    stored = parts.Stored("autoencoder", OPTIONS, part.params, part.constants)
    q = quick_jit(EncodedVideos.encoder(stored))(part, jnp.asarray(videos()))
    assert q.mean.shape == (2, 3, 4, 6, 2)
    latent = fields.gaussian((3, 4, 6, 2))
    assert EncodedVideos.options_of(FIELD, latent, stored) == {"factor": 2}
    options = {"factor": 2, "sample": True, **AFFINE}
    space = EncodedVideos.of(latent, **options).with_parts({"autoencoder": part})
    plain = made(VideoLatents, FIELD, part, **AFFINE)
    assert space.shape == plain.shape
    assert space.states == plain.states
    examples = jnp.concatenate([q.mean, q.std], axis=-1)
    encode = quick_jit(lambda space, v, key: space.encode(v, key))
    for key in (None, jax.random.key(1), jax.random.split(jax.random.key(1), 2)):
        x = encode(space, examples, key)
        np.testing.assert_allclose(x, encode(plain, videos(), key), atol=1e-5)
    mean = EncodedVideos.of(fields.latent((3, 4, 6, 2)), **options)
    expected = encode(plain, videos(), None)
    np.testing.assert_allclose(encode(mean, q.mean, jax.random.key(1)), expected, atol=1e-5)
    assert space.decoded(latent) == fields.video(FIELD.shape)
    again = quick_jit(lambda space, x: space.decode(x))(plain, expected)
    assert np.abs(np.asarray(space.viewed(examples), int) - again).max() <= 1


@pytest.mark.parametrize("cls", [Encoded, EncodedSounds, EncodedVideos])
def test_latents_of_others_are_refused(cls):
    shapes = [shape for shape in ((8, 4), (4, 4, 4), (3, 4, 6, 4)) if len(shape) != cls.AXES]
    assert len(shapes) == 2
    for shape in shapes:
        field = fields.Field("latent", "gaussian", shape)
        with pytest.raises(ValueError, match=f"{cls.SECTION}: .* is not of a {cls.MADE_OF}"):
            cls.of(field, factor=2, scale=(), shift=())


def test_files_and_refusals(part, tmp_path):
    """As videos of pixels; an autoencoder of other latents is named with its option."""
    space = made(VideoLatents, FIELD, part, **AFFINE)
    space.show(tmp_path / "a.png", videos())
    with Image.open(tmp_path / "a.gif") as picture:
        assert picture.n_frames == 3
    space.save(tmp_path, ["a_left", "a_right"], videos())
    assert (tmp_path / "a_right.png").exists()
    assert space.corner(2) is None
    options = {**OF, **AFFINE, "scale": (1.0,)}
    other = VideoLatents.of(FIELD, **options | {"channels": 4})
    source = made_source({"video": videos()}, [FIELD])
    with pytest.raises(UserError, match=r"give --config.space.video_latents.channels=2 --config"):
        other.with_parts({"autoencoder": part}).fitted(source, "video")
    with pytest.raises(ValueError, match=r"config.space.video_latents.factor=5: images of 8 x 12"):
        VideoLatents.of(FIELD, **options | {"factor": 5})
    with pytest.raises(ValueError, match=r"config.space.video_latents.scale has 3 numbers"):
        VideoLatents.of(FIELD, **options | {"scale": (1.0, 1.0, 1.0)})
