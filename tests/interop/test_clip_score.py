"""CLIP's image encoder against the formula, and how well pictures fit their prompts."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from vision import VISION, arrays_of_vision, pooled

from score_sde.errors import UserError
from score_sde.formats import safetensors
from score_sde.interop import clip_score, encoders
from score_sde.interop.components import COMPONENTS, base
from score_sde.models.clip_image import CLIPImage, prepared
from score_sde.models.functional import functional
from score_sde.spaces import pictures

pytestmark = pytest.mark.slow


def test_the_image_encoder_is_the_formula():
    """Of a released file's names; what a file of both encoders has beside is left out."""
    component, given = COMPONENTS["CLIPVisionModelWithProjection"], arrays_of_vision()
    beside = {"logit_scale": np.zeros(()), "text_model.final_layer_norm.bias": np.zeros(3)}
    _, placed = base.place(component, VISION, given | beside)
    network = functional(lambda rngs: CLIPImage(**component.options(VISION), rngs=rngs))
    image = np.random.default_rng(1).normal(size=(2, 8, 8, 3))
    with jax.default_matmul_precision("highest"):
        found = jax.jit(network.apply)(*placed, jnp.asarray(image, jnp.float32))
    np.testing.assert_allclose(found, [pooled(given, one) for one in image], rtol=1e-4, atol=1e-4)


def test_an_image_is_prepared():
    """Its shorter side fits, the middle is taken, and levels are normalised."""
    image = np.zeros((6, 12, 3), np.uint8)
    image[:, 3:9] = 255
    found = prepared(image, 6)
    assert found.shape == (6, 6, 3)
    np.testing.assert_allclose(found[2, 2], [1.9303, 2.0749, 2.1459], atol=1e-4)
    assert prepared(image[:, :7], 3).shape == (3, 3, 3)


@pytest.fixture(scope="module")
def model(shared, tmp_path_factory):
    """The folder of a small CLIP: golden text encoder, random image encoder."""
    source = shared / "golden" / "latent" / "pipelines" / "sdxl"
    folder = tmp_path_factory.mktemp("clip") / "small"
    shutil.copytree(source / "tokenizer", folder)
    folder.chmod(0o755)
    (file,) = (source / "text_encoder_2").glob("*.safetensors")
    arrays = safetensors.load(file)[0]
    width = len(arrays["text_projection.weight"])
    vision = {n: a.astype(np.float32) for n, a in arrays_of_vision().items()}
    vision["visual_projection.weight"] = np.resize(vision["visual_projection.weight"], (width, 16))
    safetensors.save(folder / "model.safetensors", {**arrays, **vision}, {})
    text = json.loads((source / "text_encoder_2" / "config.json").read_text())
    config = {"text_config": text, "vision_config": VISION, "projection_dim": width}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_pictures_fit_what_they_were_asked_for(model, tmp_path, capsys):
    """Cosines of embeddings, and whose prompt is nearest, computed here from both encoders."""
    clip, draw = clip_score.read(model), np.random.default_rng(0)
    images = draw.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    prompts = ["a red fox", "a lake", "oil painting of hands"]
    seen = np.asarray(clip.images.encode(np.stack([prepared(image, 8) for image in images])))
    told = np.asarray(clip.texts(clip.tokenizer(prompts).ids))
    cosines = (seen / np.linalg.norm(seen, axis=1, keepdims=True)) @ (
        told / np.linalg.norm(told, axis=1, keepdims=True)
    ).T
    for i, image in enumerate(images):
        said = {"prompt": prompts[i % 3]}
        pictures.save_png(tmp_path / f"{i:02d}.png", image, {"parameters": json.dumps(said)})
    pictures.save_png(tmp_path / "other.png", images[0])
    assert clip_score.main(["", str(tmp_path), f"--clip={model}"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert "1 PNG files say of no prompt" in printed.err
    assert (found["pictures"], found["prompts"], found["clip"]) == (40, 3, "small")
    assert list(found["sha256"]) == ["model.safetensors"]
    own = np.arange(40) % 3
    expected = 100 * np.maximum(cosines[np.arange(40), own], 0)
    assert found["clip_score"] == pytest.approx(expected.mean(), abs=2e-3)
    assert found["standard_error"] == pytest.approx(expected.std(ddof=1) / 40**0.5, abs=2e-3)
    assert found["retrieval"] == pytest.approx(np.mean(cosines.argmax(axis=1) == own), abs=1e-4)
    assert 0 < found["retrieval"] < 1


def test_what_cannot_be_scored_is_one_line(model, tmp_path, capsys):
    """A folder without pictures, and a model that is no CLIP."""
    for arguments, message in (
        ([str(tmp_path / "none"), f"--clip={model}"], "draw pictures first"),
        ([str(tmp_path), f"--clip={model}"], "no PNG file that says what it was asked for"),
    ):
        assert clip_score.main(["", *arguments]) == 2
        assert message in capsys.readouterr().err
    deep = json.dumps({"prompt": "a"}).replace('"a"', "[" * 100_000)
    pictures.save_png(tmp_path / "deep.png", np.zeros((2, 2, 3), np.uint8), {"parameters": deep})
    for name, message in (("deep.png", "no PNG file that says"), ("damaged.png", "damaged.png")):
        (tmp_path / name).touch()
        assert clip_score.main(["", str(tmp_path), f"--clip={model}"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    with pytest.raises(ValueError, match="has no config"):
        clip_score.read(tmp_path)
    with pytest.raises(UserError, match="not finite"):
        encoders.in_batches(lambda x: x * np.inf, lambda part: np.ones((part.stop, 2)), 3)
