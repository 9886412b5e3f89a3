"""Factors that were trained here, as files that this and other programs read."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from score_sde.errors import UserError
from score_sde.interop import export, pipelines
from score_sde.interop.components import COMPONENTS, base, folder
from score_sde.interop.lora import file, names, write
from score_sde.interop.lora.use import with_lora
from score_sde.models.functional import streams
from score_sde.models.lora import LoRA, factors, product
from score_sde.models.unet import UNet
from score_sde.runs import build
from score_sde.runs import config as configs
from score_sde.runs.folder import load


def numbers(rng, shape):
    """Whole ones, whose products are exact."""
    return rng.integers(-3, 4, shape).astype(np.float32)


def abstract(shared, pipeline):
    if pipeline == "own":
        make = lambda: UNet(shape=(8, 8, 3), channels=8, channel_mult=(1, 2), rngs=streams(0))  # noqa: E731
        return nnx.eval_shape(make)
    part = "unet" if pipeline.startswith("sd1") else "transformer"
    config = folder.config(shared / "golden" / "latent" / "pipelines" / pipeline / part)
    return base.abstract(COMPONENTS[config["_class_name"]], config)


@pytest.mark.parametrize("pipeline", ["sd15", "sd35", "flux_dev", "pixart", "own"])
def test_each_official_weight_has_its_part_of_the_factors(shared, pipeline):
    """Of joined queries and keys, of stacks, of halves that are swapped: the same product."""
    network, rng = names.named("network", abstract(shared, pipeline)), np.random.default_rng(0)
    assert network.released == (pipeline != "own")
    lora = LoRA(rank=2)
    for slot in network.slots:
        down, up = (numbers(rng, s) for s in lora._shapes(slot.variables[0].shape))
        whole = slot.back(np.asarray(product(jnp.asarray(down), jnp.asarray(up))))
        pairs = write.split(slot, down, up)
        assert list(pairs) == list(slot.shapes)
        for expected, (theirs, back) in zip(whole, pairs.values(), strict=True):
            delta = file.Factors(theirs, back).delta()
            np.testing.assert_array_equal(delta.reshape(expected.shape), expected)


@pytest.fixture(scope="module")
def adapted(shared, tmp_path_factory):
    """A pipeline as a run, and one that has trained factors beside its weights."""
    workdir = tmp_path_factory.mktemp("sd15") / "run"
    path = shared / "golden" / "latent" / "pipelines" / "sd15"
    pipelines.import_pipeline(pipelines.propose(path), pipelines.opened(path), workdir)
    run = load(workdir)
    config = run.config.copy_and_resolve_references()
    configs.set_field(config, "training.lora.rank", 3)
    configs.set_field(config, "training.lora.alpha", 2.0)
    experiment = build.experiment(config, run.experiment.data)
    rng = np.random.default_rng(1)
    params = {
        path: jnp.asarray(0.1 * rng.standard_normal(a.shape), a.dtype)
        for path, a in experiment.network.shapes[0].items()
    }
    constants = run.params | run.constants
    return run, dataclasses.replace(run, experiment=experiment, params=params, constants=constants)


@pytest.mark.slow
@pytest.mark.parametrize("layout", write.LAYOUTS)
def test_what_is_written_is_what_was_trained(adapted, tmp_path, layout):
    """Beside the weights, and added to them: the same to 1e-6; the factors bit for bit."""
    run, trained = adapted
    path = tmp_path / "adapter.safetensors"
    assert write.write(trained, path, layout)
    merged = trained.experiment.adapter.merged(trained.params, run.params)
    found = with_lora(run, path).params
    for name, array in merged.items():
        np.testing.assert_allclose(found[name], array, rtol=0, atol=1e-6)
    layers = file.read(path)
    assert len(layers) == sum(name.endswith("kernel") for name in run.params)  # of depth 1
    key = {
        "peft": "unet.down_blocks.0.attentions.0.proj_in",
        "kohya": "lora_unet_down_blocks_0_attentions_0_proj_in",
    }[layout]
    down, up = factors(trained.params)["encoder/down/0/attentions/0/dense_in/kernel"]
    factor = layers[key].factors
    assert (factor.down.shape, factor.up.shape) == ((3, 8, 1, 1), (8, 3, 1, 1))
    np.testing.assert_array_equal(factor.down[..., 0, 0], down.T)
    np.testing.assert_array_equal(factor.up[..., 0, 0], up.T)
    assert factor.scale == pytest.approx(2 / 3)


@pytest.mark.slow
def test_diffusers_and_peft_load_what_is_written(adapted, shared, tmp_path):
    """And add the same to the same weights. Skipped where they are not installed."""
    torch, diffusers = pytest.importorskip("torch"), pytest.importorskip("diffusers")
    pytest.importorskip("peft")
    run, trained = adapted
    path = shared / "golden" / "latent" / "pipelines" / "sd15"
    merged = trained.experiment.adapter.merged(trained.params, run.params)
    network = names.named("network", abstract(shared, "sd15"))
    paths = names.slots.names(network.model)
    expected = {}
    for slot in network.slots:
        arrays = slot.back(np.asarray(merged[paths[id(slot.variables[0])]]))
        expected |= dict(zip(slot.shapes, arrays, strict=True))
    for layout in write.LAYOUTS:
        file = tmp_path / f"{layout}.safetensors"
        write.write(trained, file, layout)
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(
            path, safety_checker=None, torch_dtype=torch.float32
        )
        pipe.load_lora_weights(str(tmp_path), weight_name=file.name)
        pipe.fuse_lora()
        pipe.unload_lora_weights()
        weights = pipe.unet.state_dict()
        for name, array in expected.items():
            theirs = weights[name].numpy().reshape(array.shape)
            np.testing.assert_allclose(theirs, array, rtol=0, atol=1e-5, err_msg=name)


@pytest.mark.slow
def test_what_cannot_be_written_is_one_line(adapted, tmp_path):
    with pytest.raises(UserError, match=r"--layout is of runs of config\.training\.lora\.rank"):
        export.export_run(adapted[0].workdir, tmp_path / "a.safetensors", layout="kohya")
