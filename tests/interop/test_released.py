"""Every released file becomes a run with --config=auto and no more, and gives its numbers."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit
from flax import nnx

import score_sde
from score_sde import cli
from score_sde.formats import safetensors
from score_sde.interop import export
from score_sde.interop.families import FAMILIES
from score_sde.interop.recognise import recognise
from score_sde.models.functional import streams

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

# And how near each example comes. EDM computes log(1 + sigma^2) in float32, which for sigma = 0.02
# has lost three digits: in float64 the numbers here stay where they are.
EDM = {
    "edm_ddpmpp": 1e-5,
    "edm_ncsnpp_cond": 1e-5,
    "edm_adm_cond": 1e-5,
    "edm_vp_precond": 1e-4,
    "edm_ve_precond": 2e-5,
    "edm_iddpm_precond": 1e-5,
}
# What no file says: the heads of a width that was not published, the size of small images.
FLAGS = {
    "dit_p2": ("--config.model.heads=4",),
    "adm_uncond_newattn": ("--config.model.head_channels=8",),
    "improved_cond": ("--config.data.image_size=16",),
}
MODERN = ("dit_p1_nosigma", "adm_cond", "adm_classifier", "uvit", "edm2_cond")


def program(*arguments):
    return cli.main(["main.py", *map(str, arguments)])


@pytest.fixture(scope="module")
def imported(shared, tmp_path_factory):
    """The run of a file, imported once."""

    @functools.cache
    def make(name):
        workdir = tmp_path_factory.mktemp(name) / "run"
        file = released(shared, name, workdir.parent)
        arguments = ("--mode=import", f"--checkpoint={file}", f"--workdir={workdir}")
        assert program(*arguments, *FLAGS.get(name, ())) == 0
        return workdir

    return make


def golden(shared, name):
    for folder in ("checkpoints", "modern", ""):
        path = shared / "golden" / folder / f"{name}.npz"
        if path.exists():
            return dict(np.load(path))
    raise FileNotFoundError(name)


def released(shared, name, folder):
    """The container of a network; one of golden/modern that has none is written as tensors."""
    if name not in MODERN:
        (found,) = (shared / "golden" / "checkpoints").rglob(f"{name}.p*")
        return found
    modern = shared / "golden" / "modern"
    arrays = golden(shared, name)
    state = {k.removeprefix("state/"): a for k, a in arrays.items() if k.startswith("state/")}
    file = folder / f"{name}.safetensors"
    safetensors.save(file, state, {})
    file.with_suffix(".json").write_text((modern / f"{name}.json").read_text())
    return file


def near(found, expected, each=1e-5):
    """Relative L2 below 1e-5, and of each example below `each`."""
    found = np.asarray(found)
    assert np.linalg.norm(found - expected) < 1e-5 * np.linalg.norm(expected)
    for one, reference in zip(found, expected, strict=True):
        assert np.linalg.norm(one - reference) < each * np.linalg.norm(reference)


def nhwc(array):
    return jnp.asarray(array.transpose(0, 2, 3, 1))


def told(arrays):
    """The condition of a golden file."""
    cond = {}
    if "class_labels" in arrays:
        cond["label"] = jnp.asarray(arrays["class_labels"].argmax(axis=1))
    if "augment_labels" in arrays:
        cond["augment"] = jnp.asarray(arrays["augment_labels"])
    if "y" in arrays:
        cond["label"] = jnp.asarray(arrays["y"], jnp.int32)
    return cond or None


def denoised(run, arrays):
    """D(x; sigma) of EDM's frame, whose x and sigma are those of the signal."""
    sigma = arrays["sigma"].astype(np.float64)
    t = run.sde.time_at_log_snr(-2 * np.log(sigma))
    x = nhwc(arrays["x_nchw"]) * run.sde.alpha(t)[:, None, None, None]
    x, t = jnp.asarray(x, jnp.float32), jnp.asarray(t, jnp.float32)
    return run.denoise(x, t, told(arrays)).x0.transpose(0, 3, 1, 2)


@pytest.mark.parametrize("name", EDM)
def test_denoised_by_networks_of_edm(shared, imported, name):
    """Each network and each preconditioner, with the process that is proposed."""
    arrays = golden(shared, name)
    near(denoised(score_sde.load(imported(name)), arrays), arrays["denoised"], EDM[name])


def test_a_snapshot_of_another_torch_is_the_same_run(imported):
    one, two = (score_sde.load(imported(f"edm_vp_precond{n}")) for n in ("", "_torch2"))
    assert one.params.keys() == two.params.keys()
    assert all(np.array_equal(one.params[key], two.params[key]) for key in one.params)


@pytest.mark.parametrize("name", ["edm2_cond", "edm2_cond_fp16"])
def test_denoised_by_a_network_of_edm2(shared, imported, name):
    """And u(t); weights in half are widened when they are imported, which changes 3e-6."""
    arrays, run = golden(shared, name), score_sde.load(imported(name))
    near(denoised(run, arrays), arrays["y_denoised"])
    u = run.experiment.own(run.params, run.constants, run.sde, jnp.asarray(arrays["sigma"]))
    np.testing.assert_allclose(u, arrays["y_logvar"][:, 0, 0, 0], rtol=1e-4, atol=1e-5)
    assert (run.config.objective.denoising.time_mean, run.space.shape) == (-0.4, (16, 16, 3))


def divided_in_half(arrays):
    """Gains in half, which that network divides in half before they meet a weight, as it has them.

    By the root of the number of inputs of a layer; the error is up to 5e-4.
    """
    found = dict(arrays)
    for name, array in arrays.items():
        if name.endswith("_gain"):
            layer = "emb_linear" if name.endswith("emb_gain") else "out_conv"
            weight = arrays[f"{name.rpartition('.')[0]}.{layer}.weight"]
            root = np.sqrt(np.float32(weight[0].size))
            found[name] = (array.astype(np.float32) / root).astype(np.float16) * root
    return found


def test_snapshots_of_edm2(shared, imported):
    """Of latents: one that was saved in training, in float32, and one made of several, in half."""
    arrays = golden(shared, "edm2_phema")
    run = score_sde.load(imported("network-snapshot-0000131-0.050"))
    assert str(arrays["in_file"][0]) == "network-snapshot-0000131-0.050.pkl"
    near(denoised(run, arrays), arrays["in0/y_denoised"])
    assert run.space.shape == (8, 8, 4)
    assert len(run.config.space.latents.scale) == 4
    name = "edm2_phema_out-0000393-0.075"
    made = recognise(released(shared, name, None))
    made = dataclasses.replace(made, ema=divided_in_half(made.ema))
    model = nnx.eval_shape(lambda: run.experiment.module(streams(0)))
    weights = FAMILIES["edm2"].fill(model, made, True)
    run = dataclasses.replace(run, denoise=dataclasses.replace(run.denoise, params=weights.average))
    near(denoised(run, arrays), arrays["std0.075/y_denoised_fp16_weights"])


def outputs(run):
    """The network as a function of (x, t, cond), compiled once, and of other weights."""
    return quick_jit(run.experiment.network.apply)


@pytest.mark.parametrize(
    "name", ["adm_cond_fp16", "adm_uncond_newattn", "improved_cond", "uvit_tiny", *MODERN[:-1]]
)
def test_outputs_of_networks_of_levels(shared, imported, name):
    """Of guided- and improved-diffusion, U-ViT and DiT, at the times that they are told."""
    if name == "adm_classifier":
        return check_classifier(shared, imported, name, gradients=False)
    arrays, run = golden(shared, name), score_sde.load(imported(name))
    x, t = nhwc(arrays["x_nchw"]), jnp.asarray(arrays["t"])
    out = outputs(run)(run.params, run.constants, x, t, told(arrays))
    near(out.transpose(0, 3, 1, 2), arrays["y_out"])
    return None


def check_classifier(shared, imported, name, gradients):
    arrays, run = golden(shared, name), score_sde.load_classifier(imported(name))
    x, t = nhwc(arrays["x_nchw"]), jnp.asarray(arrays["t"])
    apply = run.experiment.network.apply

    def chosen(x):
        logits = apply(run.params, run.constants, x, t)
        log_probs = jax.nn.log_softmax(logits)
        return log_probs[jnp.arange(len(x)), arrays["labels"]].sum(), logits

    if not gradients:
        near(quick_jit(lambda x: chosen(x)[1])(x), arrays["y_logits"])
        return
    gradient, logits = quick_jit(jax.grad(chosen, has_aux=True))(x)
    near(logits, arrays["y_logits"])
    found, expected = gradient.transpose(0, 3, 1, 2), arrays["y_grad_logp"]
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


def test_the_classifier(shared, imported):
    """Logits to 1e-5, the gradient of log p(y | x) to 1e-4; it knows its size and its classes."""
    check_classifier(shared, imported, "adm_classifier_small", gradients=True)
    run = score_sde.load_classifier(imported("adm_classifier_small"))
    assert (run.space.shape, run.label.values) == ((16, 16, 3), 5)


def test_guidance_of_a_dit(shared, imported):
    """u + w (c - u) of the first three channels, u that of no class; and the plain output."""
    arrays, run = golden(shared, "dit_p2"), score_sde.load(imported("dit_p2"))
    apply, x = outputs(run), nhwc(arrays["x_nchw"])
    out = apply(run.params, run.constants, x, jnp.asarray(arrays["t"]), told(arrays))
    near(out.transpose(0, 3, 1, 2), arrays["y_out"])
    x, label = jnp.concatenate([x[:2], x[:2]]), jnp.asarray(arrays["cfg_y"], jnp.int32)
    out = apply(run.params, run.constants, x, jnp.asarray(arrays["cfg_t"]), {"label": label})
    out = np.array(out.transpose(0, 3, 1, 2))
    c, u = out[:2, :3], out[2:, :3]
    guided = u + arrays["cfg_scale"] * (c - u)
    out[:, :3] = np.concatenate([guided, guided])
    near(out, arrays["y_cfg"])


def test_both_weights_of_a_dit_in_training(shared, imported):
    """The file names DiT-XL/2, and holds another: shapes count."""
    arrays, name = golden(shared, "dit_train_ckpt"), "dit_train_ckpt"
    apply = None
    for weights, key in (("ema", "y_out"), ("raw", "y_out_model")):
        run = score_sde.load(imported(name), weights=weights)
        apply = apply or outputs(run)
        x, t = nhwc(arrays["x_nchw"]), jnp.asarray(arrays["t"])
        out = apply(run.params, run.constants, x, t, told(arrays))
        near(out.transpose(0, 3, 1, 2), arrays[key])


def test_the_flow_of_a_sit(shared, imported):
    """Its time runs from noise to data, so that its velocity is the negative of ours."""
    arrays, apply = golden(shared, "sit_train_ckpt"), None
    x, cond = nhwc(arrays["x_nchw"]), told(arrays)
    for weights, key in (("ema", "y_out"), ("raw", "y_out_model")):
        run = score_sde.load(imported("sit_train_ckpt"), weights=weights)
        apply = apply or outputs(run)
        out = apply(run.params, run.constants, x, jnp.asarray(arrays["t"]), cond)
        near(-out.transpose(0, 3, 1, 2), arrays[key])
    t = jnp.linspace(0.1, 0.9, len(x))
    found = run.denoise(x, t, cond).velocity(run.sde, t)
    near(found, np.asarray(apply(run.params, run.constants, x, 1 - t, cond)))


@pytest.mark.parametrize(
    "name", ["edm_iddpm_precond", "edm2_cond_fp16", "sit_train_ckpt", "uvit_tiny", "improved_cond"]
)
def test_export_gives_back_the_file_and_is_read_again(shared, imported, tmp_path, name):
    """Every array by its name, bit for bit, with a config that need not be said."""
    run, out = imported(name), tmp_path / "out.safetensors"
    assert export.main([str(run), str(out)]) == 0
    again, before = recognise(out), recognise(released(shared, name, tmp_path))
    assert again.arrays.keys() == before.arrays.keys()
    for key, array in before.arrays.items():
        found, expected = np.array(again.arrays[key]), np.array(array, np.float32)
        if name.startswith("sit") and key.startswith("final_layer.linear"):
            # Of each of 4 pixels 4 channels, and 4 which nobody reads.
            found, expected = (a.reshape(4, 2, 4, -1)[:, 0] for a in (found, expected))
        assert found.shape == expected.shape
        made = key == "u" or "resample_filter" in key
        np.testing.assert_allclose(found, expected, rtol=1e-3 if made else 0)
    arguments = ("--mode=import", f"--checkpoint={out}", f"--workdir={tmp_path / 'again'}")
    assert program(*arguments) == 0
    one, two = score_sde.load(run), score_sde.load(tmp_path / "again")
    assert one.config.to_dict() == two.config.to_dict()
    assert one.space.shape == two.space.shape
    assert all(np.array_equal(one.params[key], two.params[key]) for key in one.params)


def test_a_state_dict_is_exported_where_that_is_what_was_released(imported, tmp_path, capsys):
    assert export.main([str(imported("dit_p2")), str(tmp_path / "DiT.pt")]) == 0
    found, run = recognise(tmp_path / "DiT.pt"), score_sde.load(imported("dit_p2"))
    assert found.family == "dit"
    assert sum(a.size for a in found.arrays.values()) == run.experiment.parameters + 16 * 64
    for name, message in (
        ("edm_vp_precond", "hold the source of its code: give NAME.safetensors"),
        ("uvit_tiny", "--num_scales is of the networks of Song et al., not of uvit"),
    ):
        options = ["--num_scales=10"] if "num" in message else []
        assert export.main([str(imported(name)), str(tmp_path / "no.pt"), *options]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "no.pt").exists()


def test_the_order_of_queries_is_that_of_the_name(shared, imported, tmp_path):
    """The newer one under a name that says so; that of tensors with a config is never in doubt."""
    run = imported("adm_uncond_newattn")
    official = recognise(released(shared, "adm_uncond_newattn", tmp_path)).arrays
    key = "middle_block.1.qkv.weight"
    for name, same in (("a_newattn.pt", True), ("b.pt", False), ("c_newattn.safetensors", False)):
        assert export.main([str(run), str(tmp_path / name)]) == 0
        found = recognise(tmp_path / name).arrays
        assert found.keys() == official.keys()
        assert np.array_equal(found[key], official[key]) == same
    file, workdir = tmp_path / "c_newattn.safetensors", tmp_path / "again"
    assert program("--mode=import", f"--checkpoint={file}", f"--workdir={workdir}") == 0
    one, two = score_sde.load(run), score_sde.load(workdir)
    assert all(np.array_equal(one.params[name], two.params[name]) for name in one.params)


def test_a_run_of_latents_samples_and_trains_on(shared, imported, tmp_path):
    """Samples are latents, by the sampler that the authors used; a step of training moves it."""
    workdir = imported("dit_train_ckpt")
    few = ("--num_samples=2", "--config.sampling.batch_size=2", "--config.sampling.steps=2")
    assert program(f"--workdir={workdir}", "--mode=sample", *few, f"--out={tmp_path}") == 0
    samples = np.load(tmp_path / "samples.npz")["samples"]
    assert (samples.shape, samples.dtype) == ((2, 8, 8, 4), np.float32)
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((20, 8, 8, 4)).astype(np.float32)
    np.savez(tmp_path / "data.npz", latent=latent, label=np.arange(20) % 6)
    file = shared / "golden" / "checkpoints" / "dit_train_ckpt.pt"
    workdir = tmp_path / "run"
    common = (
        f"--config.data.dir={tmp_path / 'data.npz'}",
        "--config.training.batch_size=2",
        "--config.training.steps=1",
        "--config.training.eval_every=0",
        "--config.training.sample_every=0",
    )
    arguments = ("--mode=import", f"--checkpoint={file}", f"--workdir={workdir}")
    assert program(*arguments, *common) == 0
    assert program(f"--workdir={workdir}") == 0
    before, after = (score_sde.load(workdir, weights="raw", step=step) for step in (0, 1))
    moved = {key: np.abs(after.params[key] - before.params[key]).max() for key in before.params}
    assert all(0 < step < 1.1e-4 for step in moved.values()), moved


def refused(capsys, *arguments):
    assert program(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_what_does_not_fit_is_one_line(shared, tmp_path, capsys):
    folder, workdir = shared / "golden" / "checkpoints", tmp_path / "run"

    def of(file, *more):
        arguments = ("--mode=import", f"--checkpoint={file}", f"--workdir={workdir}")
        return refused(capsys, *arguments, *more)

    levels = of(folder / "edm_iddpm_precond.pkl", "--config.sde.scales=500")
    assert "first at u: it says [" in levels
    assert "first at blocks.2.attn.qkv.weight" in of(
        folder / "dit_p2.pt", "--config.model.depth=3", "--config.model.heads=4"
    )
    assert "posix.system" in of(folder / "hostile" / "dit_args_system.pt")
    arrays = dict(recognise(folder / "dit_p2.pt").arrays)
    del arrays["blocks.0.mlp.fc1.weight"]
    safetensors.save(tmp_path / "DiT.safetensors", arrays, {})
    lacking = of(tmp_path / "DiT.safetensors")
    assert "DiT.safetensors: it lacks blocks.0.mlp.fc1.weight of dit" in lacking
    arrays = recognise(folder / "edm2_cond_fp16.pkl").arrays
    safetensors.save(tmp_path / "edm2.safetensors", dict(arrays), {})
    assert "nothing says img_resolution: write the arg" in of(tmp_path / "edm2.safetensors")
    other = of(folder / "edm2_cond_fp16.pkl", "--config=digits_vp")
    assert "is of edm2, which no config.model.name=unet has: give --config=auto" in other
    assert not workdir.exists()


def test_what_stands_beside_a_file(shared, tmp_path, capsys):
    """Arguments of the constructor; what is no JSON object is refused."""
    arrays = recognise(shared / "golden" / "checkpoints" / "adm_uncond_newattn.pt").arrays
    file = tmp_path / "mine.safetensors"
    safetensors.save(file, dict(arrays), {})
    known = {"num_heads": 4, "num_head_channels": -1, "noise_schedule": "cosine"}
    beside = file.with_suffix(".json")
    beside.write_text(json.dumps(known))
    workdir = tmp_path / "run"
    arguments = ("--mode=import", f"--checkpoint={file}", f"--workdir={workdir}")
    assert program(*arguments) == 0
    config = score_sde.load(workdir).config
    assert (config.model.heads, config.sde.schedule) == (4, "cosine")
    beside.write_text("[1]")
    assert f"{beside} beside it is not a JSON object" in refused(capsys, *arguments)
    beside.write_text('{"attention_resolutions": 2}')
    assert "or the file beside it says is not of guided_diffusion" in refused(capsys, *arguments)
    beside.write_text('{"use_new_attention_order": "no"}')
    assert "beside it: use_new_attention_order is true or false" in refused(capsys, *arguments)
    beside.write_text('{"num_groups": 4}')
    assert "the network has no option 'num_groups' here" in refused(capsys, *arguments)
