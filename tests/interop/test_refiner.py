"""Stable Diffusion XL's refiner, and its base as a pipeline of images."""

import gzip
import json
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import shallow
from filled import quick_jit
from latent_goldens import error, golden, told

import score_sde
from score_sde import cli
from score_sde.errors import UserError
from score_sde.interop import pipelines, single_file
from score_sde.interop.components import original, original_unet
from score_sde.runs import prompted

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

# What the model_index.json of the released refiner says, but for its scheduler.
INDEX = {
    "_class_name": "StableDiffusionXLImg2ImgPipeline",
    "force_zeros_for_empty_prompt": False,
    "requires_aesthetics_score": True,
    "text_encoder": [None, None],
    "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": [None, None],
    "tokenizer_2": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


@pytest.fixture(scope="module")
def folder(shared, tmp_path_factory):
    """The golden U-Net with the golden base's other parts, in the layout of the release."""
    latent, top = shared / "golden" / "latent", tmp_path_factory.mktemp("refiner") / "refiner"
    shutil.copytree(latent / "unets" / "xl_refiner" / "unet", top / "unet")
    for name in ("vae", "text_encoder_2", "tokenizer_2", "scheduler"):
        shutil.copytree(latent / "pipelines" / "sdxl" / name, top / name)
    top.chmod(0o755)
    (top / "model_index.json").write_text(json.dumps(INDEX))
    return top


@pytest.fixture(scope="module")
def run(folder):
    return imported(folder, folder.parent / "run")


def imported(folder, workdir):
    flags = ["--mode=import", f"--checkpoint={folder}", f"--workdir={workdir}"]
    assert cli.main(["main.py", *flags]) == 0
    return score_sde.load(workdir)


def test_its_network_is_that_of_the_release(shared, run):
    """Told five numbers of a picture; the encoder that it has not is none."""
    case = golden(shared, "unet_xl_refiner", "unet/b2/")
    x, label, cond = told(case)
    out = quick_jit(run.experiment.network.apply)(run.params, run.constants, x, label, cond)
    assert error(out, case["out"]) < 1e-4
    assert run.encoders[0] is None
    system, encoder = run.experiment.text, run.encoders[1]
    tokens = system.tokens([None, encoder.tokenizer], [(), system.read(["a fox"])])[1]
    expected, found = encoder.part(tokens.ids[:, 0]), run.text("a fox")
    np.testing.assert_allclose(found["pooled"], expected.pooled, atol=1e-5)
    np.testing.assert_allclose(found["text"], expected.states[-2], atol=1e-5)


@pytest.fixture
def asked(monkeypatch):
    """What is told, in place of drawing: of what is drawn, of what it is led away from."""

    def drawn(draw, sde, denoise, task, known, key, x, cond):
        asked.append((cond["sizes"].tolist(), denoise.negative["sizes"].tolist()))
        return x, 0

    asked = []
    monkeypatch.setattr(prompted.drawing, "drawn", drawn)
    monkeypatch.setattr(prompted, "_decoded", lambda space, x: x)
    return asked


def test_what_it_is_told_of_a_picture(run, asked):
    """By hand, as the released pipeline does: original size, crop and the aesthetic score."""
    run.generate(["a fox"] * 2, height=64, width=128)
    own = (32.0, 48.0, 1.0, 2.0, 7.5)
    image = np.zeros((32, 64, 3))
    run.generate("a fox", image=image, strength=0.3, sizes=own)
    run.generate("a fox", image=image, strength=0.3, sizes=own, negative_sizes=(9, 8, 7, 6, 5))
    assert asked == [
        ([[64, 128, 0, 0, 6]] * 2, [[64, 128, 0, 0, 2.5]] * 2),
        ([[32, 48, 1, 2, 7.5]], [[32, 48, 1, 2, 2.5]]),
        ([[32, 48, 1, 2, 7.5]], [[9, 8, 7, 6, 5]]),
    ]
    with pytest.raises(UserError, match="this model is told 5 numbers, "):
        run.generate("a fox", sizes=(64, 64, 0, 0, 64, 64))


def test_it_goes_on_where_the_base_ended(shared, folder, tmp_path):
    """The last four of ten steps, from the state of the base after six."""
    run = imported(shallow.pipeline(folder, tmp_path / "few"), tmp_path / "run")
    steps = golden(shared, "sdxl")["e2e_ddim_denoising_end/latents_per_step"]
    start = jnp.asarray(steps[-1].transpose(0, 2, 3, 1))
    out = run.generate("a fox", start=start, after=0.6, sampler="ddim", steps=10)
    assert (out.nfe, out.images.shape) == (8, (1, 64, 64, 3))
    assert 0.01 < error(out.x, start) < 10
    assert np.isfinite(out.images).all()


def test_the_base_may_be_a_pipeline_of_images(shared, tmp_path):
    """With both encoders, and six numbers: it is the same run."""
    source = shared / "golden" / "latent" / "pipelines" / "sdxl"
    copy = shutil.copytree(source, tmp_path / "copy", copy_function=shutil.copyfile)
    copy.chmod(0o755)
    index = json.loads((source / "model_index.json").read_text())
    index["_class_name"] = "StableDiffusionXLImg2ImgPipeline"
    (copy / "model_index.json").write_text(json.dumps(index))
    found = pipelines.propose(copy)
    assert (found.text.sdxl.first, found.text.sdxl.scored) == (True, False)
    assert found == pipelines.propose(source)


def test_a_file_of_real_size_is_that_of_the_refiner(shared, monkeypatch):
    """By its one encoder, which is the second; without one by the features of the text."""
    real = shared / "golden" / "latent" / "real_configs"

    def arrays(name):
        shapes = json.loads(gzip.decompress((real / f"{name}.shapes.json.gz").read_bytes()))
        return {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}

    modules = original_unet.modules(2, (False, True, True, False))
    unet = original.renamed(arrays("sdxl_refiner_unet"), original.inverse(modules))
    unet = {original_unet.PREFIX + name: array for name, array in unet.items()}
    text = arrays("openclip_bigg_text").items()
    text = {f"conditioner.embedders.0.model.{name}": array for name, array in text}
    monkeypatch.setattr(single_file.containers, "arrays", lambda path: given)
    for given in ({**unet, **text}, unet):
        found = single_file.read(Path("refiner.safetensors"))
        assert found.kind is single_file.REFINER
        index = found.index()
        assert {key: INDEX[key] for key in index if key.startswith(("_", "force", "req"))} == {
            key: value for key, value in index.items() if key.startswith(("_", "force", "req"))
        }
        assert ("text_encoder_2" in index, "text_encoder" in index) == (given is not unet, False)
