"""An imported text-to-image run that is trained further on captions, by low-rank factors."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shallow
from program import called

import score_sde
from score_sde import fields, prompting
from score_sde.runs import build, captions, kept, sources
from score_sde.runs import config as configs
from score_sde.text.prompts import Chunks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

TEXTS = ["a red fox", "a lake (frozen:1.3)", "oil painting", ""]
SMALL = (
    "--config.data.name=arrays",
    "--config.data.image_size=0",
    "--config.text.field=text",
    "--config.training.lora.rank=2",
    "--config.training.batch_size=4",
    "--config.training.log_every=1",
    "--config.training.eval_every=0",
    "--config.optim.warmup=0",
)


def released(shared, name, workdir, *flags):
    """A pipeline as a run; its U-Net, if it has one, is of one level."""
    source = shared / "golden" / "latent" / "pipelines" / name
    if (source / "unet").exists():
        source = shallow.pipeline(source, workdir.with_name("pipeline"))
    flags = ["--mode=import", f"--checkpoint={source}", f"--workdir={workdir}", *flags]
    assert called(*flags).returncode == 0


@pytest.fixture(scope="module")
def base(shared, tmp_path_factory):
    """The folders of the pipeline pixart as a run, and of captioned pictures."""
    top = tmp_path_factory.mktemp("captions")
    released(shared, "pixart", top / "base", "--config.text.t5.length=8")
    pictures = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    arrays = {"image": pictures, "text": np.array(TEXTS)}
    named = {f"{split}_{n}": a for split in ("train", "test") for n, a in arrays.items()}
    np.savez(top / "captioned.npz", **named)
    return top


def command(base, workdir, *flags):
    """Of a run of its own that starts from the imported one."""
    own = (f"--config={base / 'base' / 'config.json'}", f"--workdir={workdir}")
    own += (f"--config.data.dir={base / 'captioned.npz'}",)
    own += (f"--config.space.autoencoded.autoencoder={base / 'base'}",)
    return called(*own, *SMALL, *flags)


def test_factors_are_trained_beside_a_released_network(base, tmp_path):
    """Told by its own encoders, which stay as they are, and which the new run has too."""
    for steps in (1, 2):
        begin = [f"--init_from={base / 'base'}"] if steps == 1 else []
        last = f"--config.training.steps={steps}"
        result = command(base, tmp_path / "run", last, "--config.optim.decay=constant", *begin)
        assert result.returncode == 0, result.stderr
    assert "going on from step 1" in result.stdout
    released, run = (score_sde.load(path) for path in (base / "base", tmp_path / "run"))
    for path, array in released.params.items():
        np.testing.assert_array_equal(run.constants[path], array)
    raw = score_sde.load(tmp_path / "run", weights="raw").params
    ups = [array for path, array in raw.items() if path.endswith("/up")]
    assert ups
    assert all(float(jnp.abs(array).max()) > 0 for array in ups)
    np.testing.assert_array_equal(run.text(TEXTS)["text"], released.text(TEXTS)["text"])


def test_captions_are_told_as_prompts_without_brackets(shared, base, tmp_path):
    """Those of a batch; those that are dropped are told "" instead, each by its own draw."""
    released(shared, "sd15", tmp_path / "run")
    run = score_sde.load(tmp_path / "run")
    system = prompting.Clip(weights=False, field="text", dropout=0.5)
    tokenizers, parts = ([getattr(run.encoders[0], n)] for n in ("tokenizer", "part"))
    source = score_sde.data.load("arrays", "train", data_dir=str(base / "captioned.npz"))
    batch = captions.Captioned(source, system, tokenizers).gather(np.arange(4))
    assert fields.decode_texts(batch["text"]) == TEXTS
    empty = system.tokens(tokenizers, [system.read([""])], count=1)
    told = captions.Captions(system, (), {}, tuple(parts), empty)
    expected = system(run.encoders, [TEXTS])["text"]
    np.testing.assert_allclose(told(batch, None)["text"], expected, rtol=1e-5, atol=1e-6)
    found = told(batch, jax.random.key(1))["text"]
    dropped = [not np.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True)]
    assert 0 < sum(dropped) < 4
    for one, is_dropped in zip(found, dropped, strict=True):
        assert not is_dropped or np.allclose(one, expected[3], atol=1e-5)
    assert isinstance(told.empty[0], Chunks)


@pytest.mark.parametrize(
    ("name", "system", "told"),
    [
        ("sdxl", "sdxl", {"text": (77, 56), "pooled": (20,), "sizes": (6,)}),
        ("sd35", "sd3", {"text": (85, 40), "pooled": (32,)}),
        ("flux_dev", "flux", {"text": (8, 40), "pooled": (24,), "guidance": ()}),
    ],
)
def test_a_step_of_each_system(shared, base, tmp_path, name, system, told):
    """Its network is told all that it needs, and each of its arrays has a gradient."""
    length = () if system == "sdxl" else (f"--config.text.{system}.length=8",)
    released(shared, name, tmp_path / "run", *length)
    config, _ = configs.read(tmp_path / "run")
    for path, value in {
        "data.name": "arrays",
        "data.dir": str(base / "captioned.npz"),
        "data.image_size": 0,
        "text.field": "text",
    }.items():
        configs.set_field(config, path, value)
    source = sources.split(config, "train")
    experiment = build.experiment(config, source.info)
    found, tokenizers = captions.opened(experiment, tmp_path / "run")
    space = kept.space(tmp_path / "run", experiment.space, config)
    experiment = dataclasses.replace(experiment, space=space, captions=found)
    batch = captions.Captioned(source, experiment.text, tokenizers).gather(np.arange(4))
    cond = jax.eval_shape(lambda batch: found(batch, jax.random.key(0)), batch)
    assert {name: array.shape for name, array in cond.items()} == {
        name: (4, *shape) for name, shape in told.items()
    }

    def loss(params, constants, fixed, batch):
        key, step = jax.random.key(0), jnp.int32(0)
        return experiment.loss(key, params, constants, fixed, batch, step).mean()

    params, constants = experiment.network.shapes
    gradient = jax.eval_shape(jax.grad(loss), params, constants, experiment.fixed, batch)
    assert {n: a.shape for n, a in gradient.items()} == {n: a.shape for n, a in params.items()}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "is told by the encoders of a run that was imported: give its folder as --init_from"),
        (("--init_from=BASE", "--config.text.field=image"), "is a field of kind image, not text"),
        (("--init_from=BASE", "--config.text.name=none"), "config.text.name=none has none"),
    ],
)
def test_what_cannot_be_told_is_one_line(base, tmp_path, flags, message):
    flags = [flag.replace("BASE", str(base / "base")) for flag in flags]
    result = command(base, tmp_path / "new", "--config.training.lora.rank=0", *flags)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "new" / "config.json").exists()
