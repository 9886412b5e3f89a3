"""Pictures of prompts that are about an image: by the command line, against golden samplings."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shallow
from latent_goldens import error, golden
from PIL import Image
from vision import VISION, arrays_of_vision

import score_sde
from score_sde import cli, parts, samplers
from score_sde.cli import prompt_images
from score_sde.cli.prompt_options import ControlOption, PromptOptions
from score_sde.controls import Controls
from score_sde.errors import UserError
from score_sde.formats import safetensors, torch_writer
from score_sde.interop.components import original
from score_sde.models.clip_image import prepared
from score_sde.runs import controlled, pictured, upscaling

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

PROMPT = "a small red fox resting beside a frozen lake, oil painting"
KEY = jax.random.key(0)
NEGATIVE = "blurry, low quality, bad hands"


@pytest.fixture(scope="module")
def run(shared, tmp_path_factory):
    """The pipeline sd15."""
    workdir = tmp_path_factory.mktemp("sd15") / "run"
    return imported(shared / "golden" / "latent" / "pipelines" / "sd15", workdir)


@pytest.fixture(scope="module")
def few(shared, tmp_path_factory):
    """The same with few layers, of random numbers."""
    folder = tmp_path_factory.mktemp("few")
    source = shared / "golden" / "latent" / "pipelines" / "sd15"
    return imported(shallow.pipeline(source, folder / "pipeline"), folder / "run")


def imported(source, workdir):
    flags = ["--mode=import", f"--checkpoint={source}", f"--workdir={workdir}"]
    assert cli.main(["main.py", *flags]) == 0
    return score_sde.load(workdir)


def sample(run, *flags):
    small = ("--config.sampling.steps=2", "--config.sampling.sampler=ddim", "--prompt=a fox")
    return cli.main(["main.py", f"--workdir={run.workdir}", "--mode=sample", *small, *flags])


@pytest.fixture
def picture(tmp_path):
    """A file of 30 x 20 pixels."""
    levels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(levels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_img2img_by_the_command_line(few, picture, tmp_path):
    """Resized as asked; the file says what it is of."""
    flags = ("--task=img2img", f"--image={picture}", "--strength=0.5", "--height=16", "--width=24")
    assert sample(few, *flags, "--config.guidance.scale=1", f"--out={tmp_path / 'out'}") == 0
    drawn = Image.open(tmp_path / "out" / "000000.png")
    said = json.loads(drawn.text["parameters"])
    assert drawn.size == (24, 16)
    assert (said["task"], said["strength"], said["nfe"]) == ("img2img", 0.5, 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--task=img2img", "--image=IMAGE"), "of 20 x 30 pixels, which are no multiples of 8"),
        (("--task=img2img",), "--task=img2img is about an image: give --image=FILE"),
        (("--image=IMAGE",), "--image goes with --prompt and --task=img2img"),
        (("--task=img2img", "--image=IMAGE", "--strength=0"), "--strength=0.0 must be above 0"),
        (("--task=img2img", "--image=IMAGE", "--height=16", "--width=24", "--strength=0.4"), "0.5"),
        (("--task=outpaint", "--image=IMAGE"), "give --extend=right:64, for example"),
        (("--task=outpaint", "--image=IMAGE", "--extend=up:8"), "SIDE one of top, bottom"),
        (("--task=outpaint", "--image=IMAGE", "--extend=top:8"), "give another --extend"),
        (("--task=inpaint", "--image=IMAGE", "--factor=2"), "--factor does not go with"),
        (("--task=edit", "--image=IMAGE"), "give --prompt_from=TEXT"),
        (("--task=superres", "--image=IMAGE"), "makes no small images larger"),
        (("--task=img2img", "--image=TEXT", "--height=16", "--width=24"), "not a readable image"),
    ],
)
def test_what_cannot_be_about_an_image_is_one_line(run, picture, tmp_path, capsys, flags, message):
    (tmp_path / "text.txt").write_text("text")
    names = {"IMAGE": str(picture), "TEXT": str(tmp_path / "text.txt")}
    flags = [f.replace(w, names[w]) if (w := f.rpartition("=")[2]) in names else f for f in flags]
    assert sample(run, *flags, f"--out={tmp_path / 'out'}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 0.5}, "give image"),
        ({"image": np.zeros((16, 24, 3)), "mask": np.ones((16, 24))}, "nothing is left to draw"),
        ({"image": np.zeros((16, 24, 3)), "mask": np.ones((8, 24))}, "mask is of 8 x 24 pixels"),
        ({"image": np.zeros((16, 24, 3)), "mask": np.eye(16, 24)}, "no square of 8 x 8 pixels"),
        ({"image": np.zeros((16, 24, 3)), "method": "dps"}, "give mask too"),
        ({"prompt_from": "a fox"}, "give image, and no mask or strength"),
        ({"image": np.zeros((16, 24, 4))}, r"image is \(16, 24, 4\): give \[height, width, 3\]"),
        ({"image": np.full((16, 24, 3), 2.0)}, "numbers from 0 to 1"),
        ({"image": np.zeros((16, 24, 3)), "height": 32}, "leave out height and width"),
        ({"image": np.zeros((16, 23, 3))}, "width=23: give a multiple of 8"),
        ({"image": np.zeros((16, 24, 3)), "sampler": "rk45"}, "RK45 has no steps"),
        ({"image": np.zeros((16, 24, 3)), "sampler": "plms", "steps": 4}, "needs 4 times at least"),
        ({"start": np.zeros((1, 2, 3, 4)), "after": 0.5, "sampler": "plms", "steps": 4}, "4 times"),
    ],
)
def test_what_python_cannot_give(run, options, message):
    with pytest.raises(UserError, match=message):
        run.generate("a fox", guidance=1.0, **options)


def test_outpainting_by_the_command_line(few, picture, tmp_path):
    """What is known stays, to the last bit; the rest is drawn."""
    small = tmp_path / "small.png"
    Image.open(picture).crop((0, 0, 16, 8)).save(small)
    flags = ("--task=outpaint", f"--image={small}", "--extend=right:8", "--extend=top:8")
    assert sample(few, *flags, "--config.guidance.scale=1", f"--out={tmp_path / 'out'}") == 0
    drawn = Image.open(tmp_path / "out" / "000000.png")
    said, levels = json.loads(drawn.text["parameters"]), np.asarray(drawn)
    assert levels.shape == (16, 24, 3)
    np.testing.assert_array_equal(levels[8:, :16], np.asarray(Image.open(small)))
    assert np.abs(np.diff(levels[:8, :16].astype(int), axis=0)).max() > 0  # not the edge again
    assert said["extend"] == {"right": 8, "top": 8}


def test_known_latents_are_known_at_the_end_and_on_the_way(run):
    """By replacement: of two states the first's known part is that of the image, at its time."""
    image = np.random.default_rng(1).uniform(size=(1, 16, 24, 3)).astype(np.float32)
    mask = np.zeros((16, 24), bool)
    mask[:, :13] = True  # of three latents a row one and a part of the next are known
    draw, noise = samplers.get("ddim", steps=2), jax.random.normal(jax.random.key(0), (1, 2, 3, 4))
    given = pictured.given(run, 1, image, mask, None, "replacement")
    asked = pictured.question(run, given, draw, noise, KEY)
    levels = np.round(255 * image).astype(np.uint8)
    known = jax.jit(lambda space, x: space.encode(x))(run.space, levels)
    np.testing.assert_allclose(asked.known, known, atol=0.05)  # but for rounding
    alpha, sigma = run.sde.alpha(1.0), run.sde.sigma(1.0)
    first = asked.start[:, :, :1]
    np.testing.assert_allclose(
        first, (alpha * asked.known + sigma * noise)[:, :, :1], rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(asked.start[:, :, 1:], noise[:, :, 1:], rtol=1e-3)
    again = asked.task.finish(jnp.zeros_like(noise), asked.known)
    np.testing.assert_array_equal(again[:, :, :1], asked.known[:, :, :1])
    assert not again[:, :, 1:].any()


def test_a_network_that_is_told_of_masks(shared, tmp_path, capsys):
    """A U-Net of 9 channels as released: the mask, then the latents of what is left, gray else."""
    latent = shared / "golden" / "latent"
    folder = tmp_path / "pipeline"
    unet = latent / "unets" / "inpaint9" / "unet"
    shallow.pipeline(latent / "pipelines" / "sd15", folder, unet)
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = "StableDiffusionInpaintPipeline"
    (folder / "model_index.json").write_text(json.dumps(index))
    inpaints = imported(folder, tmp_path / "run")
    image = np.random.default_rng(1).integers(0, 256, (16, 24, 3), np.uint8)
    mask = np.arange(24) < np.full((16, 1), 13)
    options = {"steps": 1, "sampler": "ddim", "guidance": 1.0}
    given = pictured.given(inpaints, 1, image, mask, None, "replacement")
    noise = jnp.zeros((1, 2, 3, 4))
    cond = pictured.question(inpaints, given, samplers.get("ddim"), noise, KEY).cond
    np.testing.assert_array_equal(cond["concat"][0, ..., 0], [[0, 0, 1]] * 2)
    left = np.where(mask[..., None], image / np.float32(255), np.float32(0.5))
    rest = jax.jit(lambda space, x: space.of_images(x))(inpaints.space, 2 * left[None] - 1)
    np.testing.assert_allclose(cond["concat"][..., 1:], rest, atol=1e-4)
    out = inpaints.generate("a fox", image=image, mask=mask, **options)
    np.testing.assert_array_equal(out.images[0][mask], (image / np.float32(255))[mask])
    assert np.isfinite(out.images).all()
    capsys.readouterr()
    assert sample(inpaints, f"--out={tmp_path / 'out'}") == 2
    assert "draws what is missing of an image: give image and mask" in capsys.readouterr().err


CONTROLNET, ADAPTER = "controlnet/sd15", "t2i_adapter/t2i_sd15"


@pytest.fixture(scope="module")
def control(shared, adapter, tmp_path_factory):
    """Released networks that steer, as controls."""
    latent, made = shared / "golden" / "latent", tmp_path_factory.mktemp("controls")
    for name in (CONTROLNET, "controlnet/sdxl", ADAPTER):
        import_control(latent / name, made / name)
    nested = {name: original.within(adapter, f"{name}.") for name in ("image_proj", "ip_adapter")}
    torch_writer.save(made / "ip_adapter.bin", nested)
    write_encoder(made / "image_encoder", 20)
    import_control(made / "ip_adapter.bin", made / "ip_adapter")
    return made


@pytest.fixture(scope="module")
def few_control(shared, adapter, tmp_path_factory):
    """The same for the network of few layers."""
    latent, made = shared / "golden" / "latent", tmp_path_factory.mktemp("few_controls")
    for name in (CONTROLNET, ADAPTER):
        source = shallow.steering(latent / name, made / name.replace("/", "_"))
        import_control(source, made / name)
    safetensors.save(made / "ip_adapter.safetensors", shallow.image_prompt(adapter), {})
    write_encoder(made / "image_encoder", 20)
    import_control(made / "ip_adapter.safetensors", made / "ip_adapter")
    return made


@pytest.fixture(scope="module")
def adapter(shared):
    """The arrays of an IP-Adapter."""
    file = shared / "golden" / "latent" / "ip_adapter" / "ip-adapter_sd15.safetensors"
    return safetensors.load(file)[0]


def import_control(checkpoint, workdir):
    flags = ["--mode=import", f"--checkpoint={checkpoint}", f"--workdir={workdir}"]
    assert cli.main(["main.py", *flags]) == 0


def write_encoder(folder, projection):
    """An image encoder as IP-Adapters are released with."""
    folder.mkdir()
    about = {"architectures": ["CLIPVisionModelWithProjection"], **VISION}
    (folder / "config.json").write_text(json.dumps(about | {"projection_dim": projection}))
    arrays = {n: a.astype(np.float32) for n, a in arrays_of_vision(0, projection).items()}
    safetensors.save(folder / "model.safetensors", arrays, {})


def test_a_controlnet_that_is_not_trained_changes_nothing(few, few_control):
    """Bit for bit: its last layers are zero. In guess mode what leads away is not steered."""
    asked = score_sde.Control(few_control / CONTROLNET, np.ones((64, 64, 3)), guess=True)
    steers = controlled.steering(few, [asked], samplers.get("ddim"), (64, 64), 1)
    assert (steers.cond["control_0_scale"], steers.null["control_0_scale"]) == (1, 0)
    (member,) = steers.controls.members
    params = {
        name: jnp.zeros_like(a) if name.startswith(("skips/", "middle/")) else a
        for name, a in member.part.params.items()
    }
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, 4))
    t, told = jnp.full(1, 0.5), few.text([PROMPT])
    found = []
    for changed in (member.part.params, params):
        part = dataclasses.replace(member.part, params=changed)
        one = Controls((dataclasses.replace(member, part=part),))
        steered = dataclasses.replace(few.denoise, controls=one)
        found.append(steered(x, t, told | steers.cond).eps)
    plain = few.denoise(x, t, told).eps
    np.testing.assert_array_equal(found[1], plain)
    assert error(found[0], np.asarray(plain)) > 0.01


def test_an_adapter_steers(shared, run, control):
    """What a released U-Net gives with its features, times the scale."""
    case = golden(shared, "t2i_sd15")
    asked = score_sde.Control(control / ADAPTER, case["image"], 0.8)
    steers = controlled.steering(run, [asked], samplers.get("ddim"), (64, 64), 1)
    steered = dataclasses.replace(run.denoise, controls=steers.controls)
    told = {"text": jnp.asarray(case["encoder_hidden_states"]), **steers.cond}
    t = jnp.asarray(case["timestep"] / 999, jnp.float32)
    with jax.default_matmul_precision("highest"):
        found = steered(jnp.asarray(case["sample"]), t, told).eps
    assert error(found, case["unet_out"]) < 3e-5


def test_images_prompt(shared, run, control):
    """What a released U-Net gives of an embedding by its scale; two at once are added."""
    case = golden(shared, "ip_adapter_sd15")
    network = controlled.opened(control / "ip_adapter")
    image = np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8)
    asked = [score_sde.Control(network, image)] * 2
    steers = controlled.steering(run, asked, samplers.get("ddim"), (64, 64), 2)
    shown = parts.called(network.encoder[1], prepared(image, 8)[None])
    both = Controls(steers.controls.members)
    for seen, cond in ((shown, steers.cond), (0 * shown, steers.null)):
        tokens = np.broadcast_to(parts.called(network.part, seen), (2, 4, 24))
        np.testing.assert_allclose(cond["control_1_tokens"], tokens, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(cond["control_1_scale"], [1, 1])
    steered = dataclasses.replace(run.denoise, controls=both)
    text = {"text": jnp.asarray(case["encoder_hidden_states"])}
    x, t = jnp.asarray(case["sample"]), jnp.asarray(case["timestep"] / 999, jnp.float32)
    for scales, name in (
        ((0, 0), "unet_out_without"),
        ((0, 0.5), "scale_0.5/unet_out"),
        ((0.25, 0.75), "scale_1.0/unet_out"),
    ):
        told = [both.told(i, jnp.asarray(case["image_embeds"]), scales[i])[0] for i in (0, 1)]
        with jax.default_matmul_precision("highest"):
            found = steered(x, t, text | told[0] | told[1]).eps
        assert error(found, case[name]) < 3e-5
    other = asked[0]._replace(network=network._replace(options={"text_features": 25}))
    with pytest.raises(UserError, match="is for a network with text_features=25"):
        controlled.checked(run, [other], samplers.get("ddim"))


def test_an_image_that_prompts_says_nothing_of_the_size(run, control, picture):
    """But one that steers otherwise does."""
    ones = [ControlOption("a", str(picture)), ControlOption("b", "no file is read")]
    others = [controlled.opened(control / name) for name in (ADAPTER, "ip_adapter")]
    options = PromptOptions(controls=tuple(ones[1:]))
    assert prompt_images.size(options, run, others[1:]) == run.space.image[:2]
    with pytest.raises(UserError, match="of 20 x 30 pixels, which are no multiples of 8"):
        prompt_images.size(PromptOptions(controls=tuple(ones)), run, others)


def test_an_adapter_needs_the_encoder_that_it_is_for(control, tmp_path, capsys):
    """There has to be one, which makes embeddings of as many features."""
    write_encoder(tmp_path / "other", 12)
    (tmp_path / "none").mkdir()
    file = control / "ip_adapter.bin"
    for components, message in (
        (tmp_path / "other", "is for embeddings of 20 features, and"),
        (tmp_path / "none", "is an IP-Adapter, and no image_encoder is in"),
    ):
        flags = [f"--checkpoint={file}", f"--components={components}", f"--workdir={tmp_path}/run"]
        assert cli.main(["main.py", "--mode=import", *flags]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
        assert not (tmp_path / "run" / "parts").exists()


def test_controls_by_the_command_line(few, few_control, picture, tmp_path):
    """A ControlNet and both kinds of adapters at once, with an image that is resized."""
    flags = [f"--control={few_control}/{CONTROLNET}:{picture}:0.8:0:0.5"]
    flags += [f"--control={few_control}/{ADAPTER}:{picture}", "--height=64", "--width=64"]
    flags += [f"--control={few_control}/ip_adapter:{picture}:0.6"]
    assert sample(few, *flags, "--config.guidance.scale=1", f"--out={tmp_path / 'out'}") == 0
    said = json.loads(Image.open(tmp_path / "out" / "000000.png").text["parameters"])
    assert [one["scale"] for one in said["controls"]] == [0.8, 1.0, 0.6]
    assert (said["controls"][0]["end"], said["nfe"]) == (0.5, 2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("controlnet/sd15", "give FOLDER:IMAGE"),
        ("controlnet/sd15:IMAGE:a", "give FOLDER:IMAGE"),
        ("controlnet/sd15:IMAGE:1:0.5:0.5", "the first below the second"),
        ("controlnet/sd15:IMAGE:1:0.1:0.2", "none of 2 steps"),
        ("controlnet/sdxl:IMAGE", "is for a network with widths=(8, 16, 24)"),
        ("none_such:IMAGE", "is no control: --mode=import"),
        ("ip_adapter:none.png", "none.png cannot be opened"),
    ],
)
def test_a_control_that_cannot_steer_is_one_line(
    run, control, picture, tmp_path, capsys, asked, message
):
    flags = [f"--control={control}/{asked.replace('IMAGE', str(picture))}"]
    flags += ["--height=64", "--width=64", f"--out={tmp_path / 'out'}"]
    assert sample(run, *flags) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


def test_an_image_is_edited_along_its_own_ode(run):
    """Where data are Gaussian about a mean that the prompt says: the closed form of both ways."""

    def gaussian(x, t, cond=None):
        mean = 100 * cond["text"].mean(axis=(1, 2)).reshape(-1, 1, 1, 1)
        alpha, sigma = (c(t).reshape(-1, 1, 1, 1) for c in (run.sde.alpha, run.sde.sigma))
        gain = alpha * 0.25 / (alpha**2 * 0.25 + sigma**2)
        x0 = mean + gain * (x - alpha * mean)
        return score_sde.Prediction(x0, (x - alpha * x0) / sigma)

    image = np.random.default_rng(1).uniform(size=(1, 16, 24, 3)).astype(np.float32)
    exact = samplers.get("rk45", rtol=1e-5, atol=1e-5)
    options = {"image": image, "prompt_from": "a fox", "guidance": 1.0, "sampler": exact}
    out = dataclasses.replace(run, denoise=gaussian).generate(NEGATIVE, **options)
    first, then = (float(100 * run.text(prompt)["text"].mean()) for prompt in ("a fox", NEGATIVE))
    assert abs(first - then) > 0.1
    # x_t = alpha_t mean + s_t u, s_t^2 = alpha_t^2 / 4 + sigma_t^2, along each of the two.
    t = np.array([run.sde.t_min, run.sde.t_max])
    alpha, s = run.sde.alpha(t), np.hypot(run.sde.alpha(t) / 2, run.sde.sigma(t))
    moved = (alpha[0] - s[0] / s[1] * alpha[1]) * (then - first)
    known = np.asarray(pictured.encoded(run.space, image))
    np.testing.assert_allclose(out.x, known + moved, atol=2e-3)
    assert out.nfe > 20


def test_a_small_image_is_made_larger(shared, tmp_path, capsys):
    """The network is told the image under the noise of a level, of the chain that it is for."""
    latent = shared / "golden" / "latent"
    folder = tmp_path / "pipeline"
    unet = latent / "unets" / "upscaler7" / "unet"
    shallow.pipeline(latent / "pipelines" / "sd2", folder, unet)
    (folder / "low_res_scheduler").mkdir()
    low = {"_class_name": "DDPMScheduler", "beta_schedule": "scaled_linear", "beta_end": 0.02}
    (folder / "low_res_scheduler" / "scheduler_config.json").write_text(json.dumps(low))
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"_class_name": "StableDiffusionUpscalePipeline", "max_noise_level": 350}
    index |= {"low_res_scheduler": ["diffusers", "DDPMScheduler"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    larger = imported(folder, tmp_path / "run")
    keys = jax.random.split(jax.random.key(0), 4096)
    told = upscaling.told(larger, np.full((4096, 1, 1, 1), 0.75, np.float32), 200, keys)
    betas = np.linspace(1e-4**0.5, 0.02**0.5, 1000) ** 2
    kept = np.cumprod(1 - betas)[200]
    assert (told["label"] == 200).all()
    assert abs(told["concat"].mean() - 0.5 * kept**0.5) < 4 * ((1 - kept) / 4096) ** 0.5
    assert abs(told["concat"].var() / (1 - kept) - 1) < 4 * (2 / 4096) ** 0.5
    small = np.random.default_rng(1).integers(0, 256, (3, 5, 3), np.uint8)
    Image.fromarray(small).save(tmp_path / "small.png")
    flags = ["--task=superres", f"--image={tmp_path / 'small.png'}", "--noise_level=30"]
    assert sample(larger, *flags, f"--out={tmp_path / 'out'}") == 0
    factor = larger.space.factor
    assert Image.open(tmp_path / "out" / "000000.png").size == (5 * factor, 3 * factor)
    capsys.readouterr()
    for flags, message in (
        (("--task=superres", f"--image={tmp_path / 'small.png'}", "--noise_level=351"), "0 to 350"),
        ((), "makes small images larger: give image"),
    ):
        assert sample(larger, *flags, f"--out={tmp_path / 'other'}") == 2
        assert message in capsys.readouterr().err
