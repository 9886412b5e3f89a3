"""Released text-to-image pipelines through the command line: imported, and what they draw."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shallow
from PIL import Image, ImageSequence

import score_sde
from score_sde import cli
from score_sde.cli import prompts
from score_sde.errors import UserError
from score_sde.formats import safetensors
from score_sde.interop import pipelines
from score_sde.runs import prompted, telling
from score_sde.runs.opened import Run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

PROMPT = "a small red fox resting beside a frozen lake, oil painting"
NEGATIVE = "blurry, low quality, bad hands"
SKIPPED = score_sde.SkipLayers((1, 2), 2.8, 0.01, 0.6)
SHALLOW = "shallow"  # sd15 with few layers of random numbers, where no number is a golden one
# Tokens of T5, which were fewer there.
LENGTHS = {"sd35": ("sd3", 24), "pixart": ("t5", 32)}


def program(*arguments):
    return cli.main(["main.py", "--mode=import", *arguments])


@pytest.fixture(scope="module")
def imported(shared, tmp_path_factory):
    """A pipeline as a run, once each."""

    @functools.cache
    def make(name, *flags):
        workdir = tmp_path_factory.mktemp(name) / "run"
        if name in LENGTHS:
            flags = [*flags, "--config.text.{}.length={}".format(*LENGTHS[name])]
        folder = shared / "golden" / "latent" / "pipelines"
        source = folder / name
        if name == SHALLOW:
            source = shallow.pipeline(folder / "sd15", workdir.parent / "pipeline")
        assert program(f"--checkpoint={source}", f"--workdir={workdir}", *flags) == 0
        return score_sde.load(workdir)

    return make


def test_a_pipeline_draws_what_it_drew(shared, imported):
    """By the compiled loop, whose guidance changes on the way; of others see test_samplings."""
    golden = np.load(shared / "golden" / "latent" / "golden" / "sd35.npz")
    start = jnp.asarray(golden["e2e_skip_layer/init_latents"].transpose(0, 2, 3, 1))
    options = {"steps": 4, "guidance": 5.0, "skip_layers": SKIPPED}
    with jax.default_matmul_precision("highest"):
        out = imported("sd35").generate(PROMPT, NEGATIVE, start=start, **options)
    expected = golden["e2e_skip_layer/latents_per_step"][-1].transpose(0, 2, 3, 1)
    assert np.linalg.norm(out.x - expected) / np.linalg.norm(expected) < 1e-4


def test_clip_skip_is_of_prompts_and_not_of_negative_ones(shared, imported):
    """As released; for both if that is asked for."""
    run = imported("sd15")
    golden = np.load(shared / "golden" / "latent" / "golden" / "sd15.npz")
    config = run.config.copy_and_resolve_references()
    config.text.clip.skip = 1
    for also, away in ((False, "negative"), (True, None)):
        config.text.clip.skip_negative = also
        text = telling.as_given(run, config, ["text.clip.skip", "text.clip.skip_negative"])
        skips = dataclasses.replace(run, experiment=dataclasses.replace(run.experiment, text=text))
        cond, null = telling.both(skips, [PROMPT], (), NEGATIVE, True)
        np.testing.assert_allclose(cond["text"], golden["encode_prompt/clip_skip_1"], atol=1e-4)
        if away:
            np.testing.assert_allclose(null["text"], golden[f"encode_prompt/{away}"], atol=1e-4)
        else:
            assert np.abs(null["text"] - golden["encode_prompt/negative"]).max() > 0.1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sd15", {"frames": 2}, "frames=2: .* knows no motion"),
        ("sd15", {"skip_layers": SKIPPED}, "skip_layers is of Stable Diffusion 3"),
        ("sd15", {"until": 1.5}, "are shares of the steps, from 0 to 1"),
        ("sd15", {"until": 0.4, "sampler": "plms", "steps": 5}, "until=0.4: .* 4 times at least"),
        ("sd15", {"after": 0.5}, "after: give start, the state with which the steps go on"),
        ("sd35", {"skip_layers": score_sde.SkipLayers((9,))}, r"blocks=\(9,\) are to be some of 0"),
        ("sd35", {"skip_layers": score_sde.SkipLayers((1,), 2.8, 0.5, 0.51)}, "none of 28 steps"),
    ],
)
def test_parts_of_steps_and_of_models_that_cannot_be(imported, name, options, message):
    with pytest.raises(UserError, match=message):
        imported(name).generate("a fox", guidance=1.0, **options)


def test_a_picture_does_not_depend_on_its_batch(imported):
    """Nor on what the others are of; one without guidance is of one evaluation a step."""
    run = imported(SHALLOW)
    options = {"steps": 2, "sampler": "ddim", "guidance": 1.0, "key": jax.random.key(3)}
    size = {"height": 16, "width": 24}
    one = run.generate([NEGATIVE], **size, **options)
    four = run.generate([NEGATIVE, *[PROMPT] * 3], **size, **options)
    assert one.images.shape == (1, 16, 24, 3)
    assert (one.nfe, four.images.shape[0]) == (2, 4)
    np.testing.assert_allclose(four.images[0], one.images[0], atol=1e-4)


def test_a_motion_adapter_makes_a_run_of_videos(shared, imported, tmp_path, capsys, monkeypatch):
    """The program writes what it draws as frames of a PNG."""
    latent = shared / "golden" / "latent"
    unet = imported(SHALLOW).workdir.parent / "pipeline" / "unet"
    adapter = shallow.motion_adapter(latent / "motion_adapter", tmp_path / "adapter", unet)
    run, generate, drawn = imported(SHALLOW, f"--motion={adapter}"), prompted.generate, []

    def kept(*args, **kwargs):
        drawn.append(generate(*args, **kwargs))
        return drawn[0]

    asked = (f"--workdir={run.workdir}", "--mode=sample", f"--prompt={PROMPT}")
    more = ("--frames=6", "--config.sampling.steps=3", f"--out={tmp_path}")
    with monkeypatch.context() as patch:
        patch.setattr(Run, "generate", kept)
        assert cli.main(["main.py", *asked, *more]) == 0, capsys.readouterr().err
    (found,) = drawn
    assert found.images.shape == (1, 6, 64, 64, 3)
    assert np.abs(np.diff(found.images, axis=1)).max() > 0.01
    with Image.open(tmp_path / "000000.png") as video:
        shown = [np.asarray(frame) for frame in ImageSequence.Iterator(video)]
        assert json.loads(video.info["parameters"])["frames"] == 6
        assert video.info["duration"] == 125
    assert np.abs(shown - np.round(255 * found.images[0])).max() <= 1
    last = prompted._decoded(run.space, found.x[:, -1])
    np.testing.assert_allclose(found.images[:, -1], last, atol=1e-4)
    with pytest.raises(UserError, match="frames=17: this model draws videos of 1 to 16 frames"):
        run.generate(PROMPT, frames=17)
    with pytest.raises(UserError, match=r"frames=6: .* knows no motion; --mode=import --motion="):
        imported("sd15").generate(PROMPT, frames=6)
    with pytest.raises(UserError, match="leave out image and controls"):
        run.generate(PROMPT, frames=6, image=np.zeros((64, 64, 3)))
    other = (f"--checkpoint={latent / 'pipelines' / 'pixart'}", f"--workdir={tmp_path / 'run'}")
    assert program(*other, f"--motion={latent / 'motion_adapter'}") == 2
    assert "has a transformer: leave it out" in capsys.readouterr().err


def test_a_pipeline_of_classes_knows_their_names(shared):
    """DiT: told labels in place of texts, whose names are those of its folder."""
    assert pipelines.opened(shared / "golden" / "latent" / "pipelines" / "dit").fields[1].names[
        :3
    ] == ("first thing, one", "second thing", "2")


def test_arrays_are_kept_as_they_were_stored(shared, imported):
    """In half precision those that were; of a network that is to compute in bfloat16, kernels."""
    stored = safetensors.load(imported("sd2").workdir / "parts" / "network.safetensors")[0]
    assert {a.dtype for a in stored.values()} == {np.dtype(np.float16)}
    stored = safetensors.load(imported("sd15").workdir / "parts" / "network.safetensors")[0]
    assert {a.dtype for a in stored.values()} == {np.dtype(np.float32)}
    run = imported("pixart", "--config.model.dtype=bfloat16")
    arrays = run.denoise.params
    assert {a.dtype for n, a in arrays.items() if n.endswith("/kernel")} == {
        jnp.dtype(jnp.bfloat16)
    }
    assert {a.dtype for n, a in arrays.items() if not n.endswith("/kernel")} == {
        jnp.dtype(jnp.float32)
    }
    golden = np.load(shared / "golden" / "latent" / "golden" / "pixart.npz")
    start = jnp.asarray(golden["e2e/init_latents"].transpose(0, 2, 3, 1))
    out = run.generate(PROMPT, NEGATIVE, start=start, steps=4, guidance=4.5)
    expected = golden["e2e/latents_per_step"][-1].transpose(0, 2, 3, 1)
    assert np.linalg.norm(out.x - expected) / np.linalg.norm(expected) < 0.05


SPLIT = """
import unittest.mock
import numpy as np, score_sde
from score_sde.models import placing
with unittest.mock.patch.object(placing, "SMALLEST_SPLIT", 128):  # the networks are small
    run = score_sde.load(FOLDER, fsdp=4)
    found = {**run.params, **run.encoders[0].part.params}
large = [a for a in found.values() if a.size >= 128 and any(s % 4 == 0 for s in a.shape)]
assert len(large) > 20, len(large)
for array in large:
    assert len({str(s.index) for s in array.addressable_shards}) == 4
np.savez(OUT, **found)
"""


def test_an_imported_run_is_split_over_devices(imported, eight_devices, tmp_path):
    """Each array of its network and of its text encoder, of which no device has all."""
    run, out = imported("pixart"), tmp_path / "arrays.npz"
    code = SPLIT.replace("FOLDER", repr(str(run.workdir))).replace("OUT", repr(str(out)))
    eight_devices.execute(code, "split")
    with np.load(out) as found:
        expected = {**run.params, **run.encoders[0].part.params}
        assert {*found} == {*expected}
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name])


def test_a_network_larger_than_the_memory_is_not_loaded(imported, monkeypatch):
    """It says what would fit."""
    run = imported("sd15")
    monkeypatch.setattr("score_sde.training.memory.of_devices", lambda count=None: 1_000_000)
    message = "needs at least 1.4 MB of memory, and there are 1.0 MB: --config.model.dtype=bfloat16"
    sizes = run.params.items()
    halved = sum(a.size * (2 if name.endswith("/kernel") else 4) for name, a in sizes)
    with pytest.raises(UserError, match=message) as raised:
        score_sde.load(run.workdir)
    assert f"needs {halved / 1e3:.0f} kB of it" in str(raised.value)
    monkeypatch.setattr("score_sde.training.memory.of_devices", lambda count=None: 1_450_000)
    alone = score_sde.load(run.workdir)
    with pytest.raises(UserError, match="with its text encoders needs at least 1"):
        alone.text("a fox")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": 3}, "a prompt is a text"),
        ({"prompt": []}, "a prompt is a text"),
        ({"prompt": ["a", "b"], "negative": ["c"] * 3}, "2 prompts and 3 negative ones"),
        ({"prompt": "a", "height": 36}, "height=36: give a multiple of 8"),
        ({"prompt": "a", "sampler": "none_such"}, "none_such"),
        ({"prompt": "a", "prompt_2": "b"}, "2 prompts, and 1 encoders"),
        ({"prompt": "a", "steps": 0}, "steps=0"),
        ({"prompt": "a", "clip_skip": 9}, "clip_skip=9: this encoder has 4 layers"),
        ({"prompt": "a", "steps": 2}, "order=4 of PLMS needs 4 times"),
    ],
)
def test_what_cannot_be_drawn_is_said(imported, options, message):
    run = imported("sd15")
    with pytest.raises(UserError, match=message):
        run.generate(**options)


def test_an_imported_model_is_not_trained_over(imported, capsys):
    """Nor drawn from without a prompt, nor evaluated; its files stay as they are."""
    workdir = imported("sd15").workdir
    before = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    for mode, message in (
        ("train", "is an imported model, which stays as it is"),
        ("sample", "draws pictures of texts: give --mode=sample --prompt=TEXT"),
        ("evaluate", "Draw samples, --mode=sample --prompt=FILE.csv, whose pictures python -m"),
    ):
        flags = [f"--workdir={workdir}", f"--mode={mode}", f"--config.data.dir={workdir.parent}"]
        assert cli.main(["main.py", *flags]) == 2
        assert message in capsys.readouterr().err.splitlines()[-1]
    after = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    assert {p: b for p, b in after.items() if p in before} == before


def sample(run, *flags):
    small = ("--height=16", "--width=24", "--config.sampling.steps=2")
    small += ("--config.sampling.sampler=ddim",)
    return cli.main(["main.py", f"--workdir={run.workdir}", "--mode=sample", *small, *flags])


def test_prompts_of_a_file_become_pngs(imported, tmp_path, capsys, monkeypatch):
    """With their parameters inside; a prompt's picture is the same whatever is drawn beside it.

    And it is what Python draws of the same.
    """
    run, out = imported(SHALLOW), tmp_path / "out"
    table = tmp_path / "prompts.csv"
    rows = ["prompt,negative,seed", '"a caf\u00e9, red",,', "a fox,blurry,7", "a fox,blurry,"]
    table.write_text("\n".join(rows), encoding="utf-8")
    two = ("--num_samples=2", "--config.sampling.batch_size=2")
    assert sample(run, f"--prompt={table}", f"--out={out}", *two) == 0
    assert sorted(p.name for p in out.iterdir()) == [f"{i:06d}.png" for i in range(6)]
    said = [json.loads(Image.open(path).text["parameters"]) for path in sorted(out.iterdir())]
    assert [one["prompt"] for one in said] == ["a caf\u00e9, red"] * 2 + ["a fox"] * 4
    assert [one["negative"] for one in said] == [None] * 2 + ["blurry"] * 4
    assert [one["number"] for one in said] == [0, 1] * 3
    assert [one["seed"] for one in said] == [0, 0, 7, 7, 0, 0]
    assert (said[0]["steps"], said[0]["nfe"]) == (2, 4)  # guided
    images = [np.asarray(Image.open(path)) for path in sorted(out.iterdir())]
    assert images[0].shape == (16, 24, 3)
    assert not np.array_equal(images[0], images[1])
    assert not np.array_equal(images[2], images[4])  # of another seed
    assert Image.open(tmp_path / "out.png").width == 6 * 125  # a sheet of all, with their prompts
    alone = tmp_path / "alone"
    asked = ("--prompt=a fox", "--negative=blurry", "--config.sampling.seed=7")
    assert sample(run, *asked, f"--out={alone}", "--config.text.sdxl.skip=1") == 0
    said = "note: config.text.sdxl.skip has no effect with config.text.name=clip"
    assert said in capsys.readouterr().out
    assert not (tmp_path / "alone.png").exists()
    monkeypatch.chdir(alone)
    assert prompts.sheet_of(Path()) == prompts.sheet_of(Path("x/..")) == tmp_path / "alone.png"
    again = np.asarray(Image.open(alone / "000000.png")).astype(int)
    assert np.abs(again - images[2]).max() <= 1
    key = jax.random.fold_in(jax.random.key(7), 0)[None]
    size = {"height": 16, "width": 24}
    drawn = run.generate("a fox", "blurry", **size, steps=2, sampler="ddim", key=key)
    assert np.abs(again - np.round(drawn.images[0] * 255)).max() <= 1
    capsys.readouterr()
    assert sample(run, "--prompt=a fox", f"--out={alone}") == 2
    assert "000000.png exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--prompt=a", "--height=15"), "height=15: give a multiple of 8"),
        (
            ("--prompt=a", "--task=colorize"),
            "--prompt goes with --mode=sample, and with --task=img2img",
        ),
        (("--negative=a",), "goes with --prompt"),
        (("--prompt=a", "--config.text.clip.skip=9"), "clip_skip=9: this encoder has 4 layers"),
        (("--prompt=a", "--config.text.name=t5"), "is told of prompts by config.text.name=clip"),
        (("--prompt=a", "--config.sampling.steps=0"), "steps=0"),
        (("--prompt=a", "--config.sampling.steps=2"), "order=4 of PLMS needs 4 times"),
        (("--prompt=EMPTY.txt",), "EMPTY.txt has no prompt"),
        (("--prompt=NONE.csv",), "cannot read"),
        (("--prompt=a", "--height=800000", "--width=800000"), "TB of memory"),
        (("--prompt=ODD.csv",), "ODD.csv has no column named prompt"),
        (("--prompt=SHORT.csv",), "SHORT.csv has a row that is too short for a prompt"),
        (
            ("--prompt=SEED.csv",),
            "SEED.csv has the seed '-1': give a whole number up to 4294967295",
        ),
    ],
)
def test_flags_of_prompts_that_cannot_be_are_one_line(imported, tmp_path, capsys, flags, message):
    (tmp_path / "EMPTY.txt").write_text("\n")
    (tmp_path / "ODD.csv").write_text("text\na\n")
    (tmp_path / "SHORT.csv").write_text("negative,prompt\na\n")
    (tmp_path / "SEED.csv").write_text("prompt,seed\na,-1\n")
    flags = [f.replace("--prompt=", f"--prompt={tmp_path}/") if "." in f[-4:] else f for f in flags]
    flags += [f"--workdir={imported('sd15').workdir}", f"--out={tmp_path / 'out'}"]
    assert cli.main(["main.py", "--mode=sample", *flags]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


def test_whether_nothing_is_zeros_is_what_the_folder_says(shared, tmp_path):
    """force_zeros_for_empty_prompt of SDXL, which says how a prompt that is missing is told."""
    source = shared / "golden" / "latent" / "pipelines" / "sdxl"
    for i, says in enumerate((True, False)):
        change = changed("model_index.json", force_zeros_for_empty_prompt=says)
        folder = broken(source, tmp_path / str(i), change)
        assert pipelines.propose(folder).text.sdxl.empty_is_zero == says


def broken(source, target, change):
    shutil.copytree(source, target)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    change(target)
    return target


def changed(file, **values):
    def change(folder):
        path = folder / file
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("model_index.json", _class_name="MusicLDMPipeline"), "'MusicLDMPipeline'"),
        (changed("model_index.json", vae=None), "no autoencoder"),
        (changed("unet/config.json", _class_name="UNet1DModel"), "'UNet1DModel'"),
        (changed("unet/config.json", cross_attention_dim=32), "first at"),
        (changed("scheduler/scheduler_config.json", beta_schedule="odd"), "beta_schedule=odd"),
        (lambda f: (f / "vae" / "config.json").unlink(), r"has no vae/config.json"),
        (lambda f: shutil.rmtree(f / "tokenizer"), "tokenizer"),
        (lambda f: (f / "tokenizer" / "merges.txt").write_text("a"), "merges.txt has ('a',) for a"),
        (changed("tokenizer/vocab.json", corgi=5000), "the token 5000, and the text_encoder"),
        (lambda f: (f / "scheduler" / "scheduler_config.json").write_text("{"), "is not JSON"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_line(shared, tmp_path, capsys, change, message):
    """And nothing is left of the run."""
    source = shared / "golden" / "latent" / "pipelines" / "sd15"
    folder = broken(source, tmp_path / "pipeline", change)
    assert program(f"--checkpoint={folder}", f"--workdir={tmp_path / 'run'}") == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1]
    assert len(lines) == 1
    assert not list((tmp_path / "run").rglob("*.safetensors"))


def adapter(shared, name):
    return shared / "golden" / "latent" / "lora" / f"{name}.safetensors"


def test_adapters_of_the_command_are_those_of_with_lora(
    shared, imported, tmp_path, capsys, monkeypatch
):
    """In the network and in its text encoder; with no strength it is the run itself."""
    run, file = imported("sd15"), adapter(shared, "sd15_kohya")
    none, half = (score_sde.with_lora(run, (file, strength)) for strength in (0, 0.5))
    for name, same in (("none", none), ("half", half)):
        told = same.text(PROMPT)["text"]
        assert np.array_equal(told, run.text(PROMPT)["text"]) == (name == "none")
        different = [path for path in run.params if same.params[path] is not run.params[path]]
        assert len(different) == 192
        equal = [np.array_equal(same.params[path], run.params[path]) for path in different]
        assert equal == [name == "none"] * 192
    assert half.weights == "imported + sd15_kohya.safetensors x 0.5"
    with_them = []

    def generate(run, prompts, *args, **kwargs):
        with_them.append(run)
        return prompted.Generated(np.zeros((1, 16, 24, 3)), None, 4)

    monkeypatch.setattr(Run, "generate", generate)
    flags = ("--prompt=a fox", f"--out={tmp_path}", f"--lora={file}:0.25", f"--lora={file}:0.25")
    assert sample(run, *flags) == 0
    with Image.open(tmp_path / "000000.png") as picture:
        assert json.loads(picture.text["parameters"])["weights"].count("sd15_kohya") == 2
    (drawn,) = with_them
    for path, array in half.params.items():
        np.testing.assert_allclose(drawn.denoise.params[path], array, rtol=1e-5, atol=1e-6)
    told = (found.text("a fox")["text"] for found in (drawn, half))
    np.testing.assert_allclose(*told, rtol=1e-5, atol=1e-5)
    capsys.readouterr()
    for flag, message in (
        (f"--lora={adapter(shared, 'sdxl_kohya')}", "does not fit this model, first at"),
        (f"--lora={tmp_path / 'none.safetensors'}", "cannot read"),
        (f"--lora={file}:much", "give FILE or FILE:STRENGTH"),
        (f"--lora={file}:nan", "must be a finite number, not nan"),
    ):
        assert sample(run, "--prompt=a", f"--out={tmp_path / 'no'}", flag) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
