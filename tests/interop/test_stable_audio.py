"""Stable Audio Open, in a folder as it is released, against its layout's sums in NumPy."""

import json
import math
import re
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax
from sound_layout import layout

import score_sde
from score_sde import cli, samplers
from score_sde.data import stored
from score_sde.fields import encode_texts, number, signal, text
from score_sde.formats import safetensors
from score_sde.interop.components import COMPONENTS, base, stable_audio
from score_sde.interop.slots import check
from score_sde.runs import schedulers

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

FRAMES, CHANNELS, TEXT, HEADS, SIZE, DEPTH = 6, 3, 8, 2, 8, 2
WIDTH, FACTORS, RATE = HEADS * SIZE, (2, 4), 800
TRANSFORMER = {
    "_class_name": "StableAudioDiTModel",
    "sample_size": FRAMES,
    "in_channels": CHANNELS,
    "num_layers": DEPTH,
    "attention_head_dim": SIZE,
    "num_attention_heads": HEADS,
    "num_key_value_attention_heads": 1,
    "out_channels": CHANNELS,
    "cross_attention_dim": TEXT,
    "time_proj_dim": 256,
    "global_states_input_dim": 2 * TEXT,
    "cross_attention_input_dim": TEXT,
}
PROJECTION = {
    "_class_name": "StableAudioProjectionModel",
    "text_encoder_dim": TEXT,
    "conditioning_dim": TEXT,
    "min_value": 0,
    "max_value": 512,
}
VAE = {
    "_class_name": "AutoencoderOobleck",
    "encoder_hidden_size": 4,
    "downsampling_ratios": FACTORS,
    "channel_multiples": (1, 2),
    "decoder_channels": 4,
    "decoder_input_channels": CHANNELS,
    "audio_channels": 2,
    "sampling_rate": RATE,
}
T5 = {
    "architectures": ["T5EncoderModel"],
    **{"d_ff": 12, "d_kv": 4, "d_model": TEXT, "num_heads": 2, "num_layers": 1},
    **{"feed_forward_proj": "relu", "vocab_size": 384},
}
SCHEDULER = {"_class_name": "CosineDPMSolverMultistepScheduler", "sigma_max": 500, "sigma_min": 0.3}
CLASSES = {
    "scheduler": "CosineDPMSolverMultistepScheduler",
    "text_encoder": "T5EncoderModel",
    "tokenizer": "T5TokenizerFast",
    "transformer": "StableAudioDiTModel",
    "projection_model": "StableAudioProjectionModel",
    "vae": "AutoencoderOobleck",
}


def transformer_shapes(width=WIDTH, depth=DEPTH, kv=SIZE, told=TEXT, channels=CHANNELS):
    """Names and shapes as the class StableAudioDiTModel of diffusers 0.42 has them."""
    found = {"time_proj.weight": (128,)}
    for name, n_in, n_out in (("timestep", 256, width), ("global", 2 * told, width)):
        found |= {f"{name}_proj.0.weight": (n_out, n_in), f"{name}_proj.2.weight": (n_out, n_out)}
    found |= {f"timestep_proj.{i}.bias": (width,) for i in (0, 2)}
    found |= {f"cross_attention_proj.{i}.weight": (told, told) for i in (0, 2)}
    ends = {"proj_in": (width, channels), "proj_out": (channels, width)}
    ends |= dict.fromkeys(("preprocess_conv", "postprocess_conv"), (channels, channels, 1))
    found |= {f"{name}.weight": shape for name, shape in ends.items()}
    for i in range(depth):
        block = {f"norm{n}.{kind}": (width,) for n in (1, 2, 3) for kind in ("weight", "bias")}
        block |= {f"attn1.{n}.weight": (width, width) for n in ("to_q", "to_k", "to_v", "to_out.0")}
        block |= {f"attn2.{n}.weight": (width, width) for n in ("to_q", "to_out.0")}
        block |= {f"attn2.{n}.weight": (kv, told) for n in ("to_k", "to_v")}
        block |= {"ff.net.0.proj.weight": (8 * width, width), "ff.net.0.proj.bias": (8 * width,)}
        block |= {"ff.net.2.weight": (width, 4 * width), "ff.net.2.bias": (width,)}
        found |= {f"transformer_blocks.{i}.{name}": shape for name, shape in block.items()}
    return found


def projection_shapes(told=TEXT):
    """The same of StableAudioProjectionModel, whose layer of texts is none."""
    parts = {"0.weights": (128,), "1.weight": (told, 257), "1.bias": (told,)}
    return {
        f"{name}_number_conditioner.time_positional_embedding.{part}": shape
        for name in ("start", "end")
        for part, shape in parts.items()
    }


def t5_shapes():
    """Of T5 1.0, without a gate."""
    block, inner = "encoder.block.0.layer", 2 * 4
    return {
        "shared.weight": (384, TEXT),
        f"{block}.0.SelfAttention.relative_attention_bias.weight": (32, 2),
        **{f"{block}.0.SelfAttention.{n}.weight": (inner, TEXT) for n in "qkv"},
        f"{block}.0.SelfAttention.o.weight": (TEXT, inner),
        f"{block}.0.layer_norm.weight": (TEXT,),
        f"{block}.1.DenseReluDense.wi.weight": (12, TEXT),
        f"{block}.1.DenseReluDense.wo.weight": (TEXT, 12),
        f"{block}.1.layer_norm.weight": (TEXT,),
        "encoder.final_layer_norm.weight": (TEXT,),
    }


def drawn(shapes, seed=0):
    rng = np.random.default_rng(seed)
    found = {n: 0.3 * rng.standard_normal(s) + ("norm" in n) for n, s in shapes.items()}
    return {name: array.astype(np.float32) for name, array in found.items()}


ARRAYS = {
    "transformer": drawn(transformer_shapes()),
    "projection_model": drawn(projection_shapes(), 1),
    "text_encoder": drawn(t5_shapes(), 2),
    "vae": drawn(layout(4, 2, CHANNELS, FACTORS, (1, 2)), 3),
}


@pytest.fixture(scope="module")
def released(shared, tmp_path_factory):
    """A folder, whose tokeniser is a small one."""
    folder = tmp_path_factory.mktemp("released") / "stable-audio"
    folder.mkdir()
    index = {name: ["", cls] for name, cls in CLASSES.items()}
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": "StableAudioPipeline", **index})
    )
    configs = {"transformer": TRANSFORMER, "projection_model": PROJECTION, "vae": VAE}
    for name, config in {**configs, "text_encoder": T5}.items():
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config))
        file = "model" if name == "text_encoder" else "diffusion_pytorch_model"
        safetensors.save(folder / name / f"{file}.safetensors", ARRAYS[name], {"format": "pt"})
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    source = shared / "golden" / "latent" / "pipelines" / "pixart" / "tokenizer"
    shutil.copytree(source, folder / "tokenizer", copy_function=shutil.copyfile)
    return folder


@pytest.fixture(scope="module")
def run(released, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("imported") / "run"
    line = ["main.py", "--mode=import", f"--checkpoint={released}", f"--workdir={workdir}"]
    assert cli.main([*line, "--config.text.stable_audio.length=5"]) == 0
    return score_sde.load(workdir)


class Theirs:
    """The network in float64, each sum written out."""

    def __init__(self):
        own = ARRAYS["transformer"] | ARRAYS["projection_model"]
        self.arrays = {name: array.astype(np.float64) for name, array in own.items()}

    def linear(self, name, x):
        weight = self.arrays[f"{name}.weight"]
        return x @ weight.reshape(len(weight), -1).T + self.arrays.get(f"{name}.bias", 0)

    def two(self, name, x):
        h = self.linear(f"{name}.0", x)
        return self.linear(f"{name}.2", h / (1 + np.exp(-h)))

    def norm(self, name, x):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
        return x * self.arrays[f"{name}.weight"] + self.arrays[f"{name}.bias"]

    def attention(self, name, x, other, turned):
        heads = [self.linear(f"{name}.to_{n}", x if n == "q" else other) for n in "qkv"]
        query, key, value = (a.reshape(*a.shape[:2], -1, SIZE) for a in heads)
        if turned:
            query, key = turn(query), turn(key)
        key, value = (np.repeat(a, HEADS // a.shape[2], axis=2) for a in (key, value))
        logits = np.einsum("bihd,bjhd->bhij", query, key) / math.sqrt(SIZE)
        found = np.einsum("bhij,bjhd->bihd", softmax(logits, axis=-1), value)
        return self.linear(f"{name}.to_out.0", found.reshape(x.shape))

    def number(self, name, seconds):
        prefix = f"{name}_number_conditioner.time_positional_embedding"
        share = np.clip(seconds, 0, 512)[:, None] / 512
        angles = 2 * np.pi * share * self.arrays[f"{prefix}.0.weights"]
        return self.linear(
            f"{prefix}.1", np.concatenate([share, np.sin(angles), np.cos(angles)], -1)
        )

    def __call__(self, x, t, text, start, seconds):
        both = self.number("start", start), self.number("end", seconds)
        tokens = np.concatenate([text, np.stack(both, axis=1)], axis=1)
        told = self.two("cross_attention_proj", tokens * text.any(axis=(1, 2))[:, None, None])
        angles = 2 * np.pi * t[:, None] * self.arrays["time_proj.weight"]
        waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)
        first = self.two("global_proj", np.concatenate(both, axis=-1))
        first = first + self.two("timestep_proj", waves)
        h = self.linear("proj_in", x + self.linear("preprocess_conv", x))
        h = np.concatenate([first[:, None], h], axis=1)
        for i in range(DEPTH):
            b = f"transformer_blocks.{i}"
            y = self.norm(f"{b}.norm1", h)
            h = h + self.attention(f"{b}.attn1", y, y, True)
            h = h + self.attention(f"{b}.attn2", self.norm(f"{b}.norm2", h), told, False)
            wide = self.linear(f"{b}.ff.net.0.proj", self.norm(f"{b}.norm3", h))
            up, gate = np.split(wide, 2, axis=-1)
            h = h + self.linear(f"{b}.ff.net.2", up * gate / (1 + np.exp(-gate)))
        out = self.linear("proj_out", h)[:, 1:]
        return out + self.linear("postprocess_conv", out)


def turn(x):
    """The first half of a head by its position, of which halves turn together."""
    half = SIZE // 4
    angles = np.arange(x.shape[1])[:, None, None] * 1e4 ** (-np.arange(half) / half)
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], axis=-1)


def test_it_gives_the_same_numbers(run):
    """Of the whole pipeline's pair, of an example with a text and of one without."""
    rng = np.random.default_rng(4)
    x, text = rng.standard_normal((2, FRAMES, CHANNELS)), rng.standard_normal((2, 5, TEXT))
    text[1] = 0
    t, start, seconds = np.array([0.3, 0.9]), np.array([0.0, 5.0]), np.array([30.0, 600.0])
    v = Theirs()(x, t, text, start, seconds)
    cond = {"text": text, "start": start, "seconds": seconds}
    found = run.denoise(*(jnp.asarray(a, jnp.float32) for a in (x, t)), cond)
    alpha, sigma = (f(np.pi / 2 * t)[:, None, None] for f in (np.cos, np.sin))
    expected = alpha * x - sigma * v
    assert np.linalg.norm(found.x0 - expected) < 2e-6 * np.linalg.norm(v)


def test_texts_are_told_as_zeros_after_their_end(run):
    (found,) = np.asarray(run.text("a fox")["text"])
    length = int(run.encoders[0].tokenizer(["a fox"]).mask.sum())
    assert found.shape == (5, TEXT)
    assert found[:length].any(axis=1).all()
    assert not found[length:].any()


def test_noise_levels_are_the_released_ones(run):
    """Equally spaced in the logarithm of sigma, and the network is told 2 / pi arctan sigma."""
    sampler = samplers.read({**run.config.sampling, "steps": 5})
    points = sampler.grid_points(run.sde)
    np.testing.assert_allclose(points.ratio, np.geomspace(500, 0.3, 5), rtol=1e-6)
    np.testing.assert_allclose(points.t, 2 / np.pi * np.arctan(points.ratio), rtol=1e-12)
    assert (run.config.sampling.sampler, run.config.sampling.steps) == ("dpmpp_2m_sde", 100)


def test_the_program_draws_sounds_of_texts(run, capsys):
    asked = ("--condition=text=a fox", "--condition=start=0", "--condition=seconds=1")
    small = ("--num_samples=2", "--config.sampling.steps=3")
    line = ["main.py", f"--workdir={run.workdir}", "--mode=sample", *small]
    assert cli.main([*line, *asked]) == 0, capsys.readouterr().err
    names = sorted(path.name for path in (run.workdir / "samples_wav").iterdir())
    assert names == [f"sample_00{i}_a_fox_start_0_seconds_1.wav" for i in range(2)]
    drawn_of = {}
    for word in ("fox", "bird"):
        again = (f"--condition=text=a {word}", *asked[1:], "--overwrite")
        assert cli.main([*line, *again]) == 0
        with np.load(run.workdir / "samples.npz") as arrays:
            drawn_of[word] = arrays["samples"]
    assert drawn_of["fox"].shape == (2, FRAMES * math.prod(FACTORS), 2)
    assert np.abs(drawn_of["fox"] - drawn_of["bird"]).max() > 1e-4
    capsys.readouterr()
    assert cli.main(["main.py", f"--workdir={run.workdir}", "--mode=sample", "--prompt=a fox"]) == 2
    said = capsys.readouterr().err
    assert "--condition=NAME=VALUE says" in said
    assert said.count("\n") == 1
    assert cli.main(["main.py", f"--workdir={run.workdir}", "--mode=evaluate"]) == 2
    assert "Draw samples, --mode=sample --condition=text=TEXT" in capsys.readouterr().err


def test_the_recipe_begins_with_it(run, tmp_path, capsys):
    """Two steps, told texts by its encoder; what was frozen is kept with the new run."""
    samples = FRAMES * math.prod(FACTORS)
    rng = np.random.default_rng(5)
    fields = (signal(samples, RATE, 2), text(16), number("start"), number("seconds"))
    split = {
        "signal": rng.uniform(-0.5, 0.5, (4, samples, 2)).astype(np.float32),
        "text": encode_texts(["a fox", "", "two", "a bird"], 16),
        **{name: np.ones(4, np.float32) for name in ("start", "seconds")},
    }
    stored.write(tmp_path / "data", "encoded", fields, {"train": split}, note="", license="")
    model = {"channels": WIDTH, "depth": DEPTH, "heads": HEADS, "key_value_heads": 1}
    model |= {"text_features": TEXT, "remat": False, "dtype": "float32"}
    space = {"autoencoder": run.workdir, "channels": CHANNELS, "factor": math.prod(FACTORS)}
    training = {"batch_size": 2, "steps": 2, "steps_per_call": 1, "checkpoint_every": 2}
    flags = [f"--config.model.{name}={value}" for name, value in model.items()]
    flags += [f"--config.space.sound_latents.{name}={value}" for name, value in space.items()]
    flags += [f"--config.training.{name}={value}" for name, value in training.items()]
    flags += ["--config.text.stable_audio.length=5", f"--config.data.dir={tmp_path / 'data'}"]
    flags += [f"--init_from={run.workdir}", f"--workdir={tmp_path / 'run'}"]
    assert cli.main(["main.py", "--config=configs/stable_audio.py", *flags]) == 0
    said = capsys.readouterr().out
    assert "100.0% of the parameters" in said
    trained = score_sde.load(tmp_path / "run", weights="raw")
    assert (trained.step, trained.text(["a fox"])["text"].shape) == (2, (1, 5, TEXT))
    moved = [np.abs(trained.params[n] - run.params[n]).max() for n in run.params]
    assert min(moved) > 0


def test_names_and_shapes_are_those_of_the_network():
    """An array that is missing or of another shape, and one more, is named."""
    config = stable_audio.joined(TRANSFORMER, PROJECTION)
    arrays = {**ARRAYS["transformer"], **named(ARRAYS["projection_model"])}
    place = lambda arrays: base.place(stable_audio.COMPONENT, config, arrays)  # noqa: E731
    place(arrays)
    for name in arrays:
        less = {n: a for n, a in arrays.items() if n != name}
        for wrong in (less, {**less, name: np.zeros((3, 1), np.float32)}):
            with pytest.raises(ValueError, match=rf"first at {re.escape(name)}: the checkpoint"):
                place(wrong)
    with pytest.raises(ValueError, match=r"first at proj_in\.bias"):
        place({**arrays, "proj_in.bias": np.zeros(WIDTH, np.float32)})


def named(arrays):
    return {f"projection_model.{name}": array for name, array in arrays.items()}


def test_real_sizes():
    """Every array of the released size has its place; nothing is made."""
    config = stable_audio.joined(
        {"_class_name": "StableAudioDiTModel"},
        PROJECTION | {"text_encoder_dim": 768, "conditioning_dim": 768},
    )
    component = COMPONENTS["StableAudioDiTModel"]
    shapes = transformer_shapes(1536, 24, 768, 768, 64) | named(projection_shapes(768))
    check(component.slots(base.abstract(component, config)), shapes)


@pytest.mark.parametrize(
    ("which", "change", "says"),
    [
        ("transformer", {"out_channels": 4}, "out_channels=4 is not known here"),
        ("transformer", {"cross_attention_dim": 4}, "cross_attention_dim=4 is not known here"),
        ("projection", {"text_encoder_dim": 9}, "text_encoder_dim=9 is not known here, 8 is"),
        ("projection", {"min_value": 1}, "min_value=1 is not known here"),
        ("projection", {"max_value": -1}, "max_value=-1 must be a number above 0"),
        ("projection", {"_class_name": "X"}, "the pipeline has a 'X', where sound needs a Stable"),
    ],
)
def test_networks_that_are_none_of_ours(which, change, says):
    """By the value of config.json."""
    both = {"transformer": TRANSFORMER, "projection": PROJECTION}
    both[which] = {**both[which], **change}
    with pytest.raises(ValueError, match=says):
        base.abstract(stable_audio.COMPONENT, stable_audio.joined(**both))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"sigma_data": 0.5}, "sigma_data=0.5 of a scheduler: only 1 is imported"),
        ({"sigma_schedule": "linear"}, "sigma_schedule=linear of a scheduler is none of"),
        ({"final_sigmas_type": "x"}, "final_sigmas_type=x of a scheduler is none of zero"),
    ],
)
def test_schedulers_that_are_none_of_ours(change, says):
    with pytest.raises(ValueError, match=says):
        schedulers.fields(SCHEDULER | change)


def test_a_folder_without_what_embeds_the_seconds_is_refused(released, tmp_path, capsys):
    shutil.copytree(released, tmp_path / "other")
    shutil.rmtree(tmp_path / "other" / "projection_model")
    line = ["main.py", "--mode=import", f"--checkpoint={tmp_path / 'other'}"]
    assert cli.main([*line, f"--workdir={tmp_path / 'run'}"]) == 2
    said = capsys.readouterr().err
    assert "alone is told no seconds: the folder projection_model is missing" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()
