"""score_sde.train: what it makes of examples and arguments, and that it trains and opens a run."""

import signal

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import score_sde
from score_sde import data, processes
from score_sde.data import arrays
from score_sde.errors import UserError
from score_sde.runs import begun, build, notebook
from score_sde.runs.train import Outcome

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(256, size=(20, 8, 12, 3), dtype=np.uint8)
VECTORS = RNG.standard_normal((30, 3))
TINY = {
    "model.channels": 16,
    "model.depth": 1,
    "training.batch_size": 8,
    "training.steps_per_call": 1,
}


def draw(rng, n):
    return rng.standard_normal((n, 2)) + 3


@pytest.fixture
def configured(monkeypatch):
    """Calls train but for the training itself, which Ctrl-C ends; the config."""
    found = []

    def stopped(config, *_, **__):
        found.append(config)
        return None, Outcome(0, 3, signal.SIGINT)

    monkeypatch.setattr(notebook.session, "train", stopped)
    monkeypatch.setattr(notebook.folder, "opened", lambda workdir: None)

    def call(*arguments, **options):
        score_sde.train(*arguments, **options)
        return found[-1]

    return call


def sizes():
    """How many examples each split of what was given has."""
    return tuple(len(data.load("given", split)) for split in ("train", "test"))


def test_it_trains_a_process_of_ones_own_on_a_function(tmp_path, monkeypatch, quick_compile):
    """The run knows the process and is three lines long; it goes on, and is opened again.

    Where the process is not registered, opening is one line that says what to do.
    """
    own = processes.from_alpha_sigma(lambda t: 1 - t, lambda t: jnp.sqrt(t), t_max=0.99)
    arguments = (draw,), {"size": 50, "sde": own, "changes": TINY, "workdir": tmp_path / "run"}
    run = score_sde.train(*arguments[0], steps=2, **arguments[1])
    assert (run.step, run.sde, run.space.shape) == (2, own, (2,))
    np.testing.assert_allclose(run.space.mean, 3, atol=5 / np.sqrt(50))
    lines = repr(run).splitlines()
    assert lines[0] == f"Run of {tmp_path / 'run'} at step 2 (ema 0.998 weights)"
    assert lines[1] == "data: given, vector of 2"
    assert lines[2].startswith("model: mlp of ")
    assert lines[2].endswith(f" parameters, {own.name}(t_min=0.001, t_max=0.99)")
    assert len(lines) == 3
    again = score_sde.load(tmp_path / "run")
    x, t = jnp.zeros((1, 2)), jnp.full(1, 0.5)
    np.testing.assert_array_equal(again.denoise(x, t).x0, run.denoise(x, t).x0)
    monkeypatch.setattr(processes, "_REGISTERED", {})
    with pytest.raises(UserError, match="call processes"):
        score_sde.load(tmp_path / "run")


def test_arrays_have_a_recipe_by_what_they_are(configured):
    """Images small_images, vectors that of the plane; every tenth is held out."""
    images = configured(IMAGES, steps=50, changes={"model.channels": 8})
    assert (images.model.name, images.space.name, images.data.name) == ("unet", "pixels", "given")
    assert (images.training.steps, images.optim.warmup, images.model.channels) == (50, 5, 8)
    assert sizes() == (18, 2)
    vectors = configured(VECTORS)
    assert (vectors.model.name, vectors.space.name) == ("mlp", "vectors")
    assert vectors.evaluation.metrics == ("log_likelihood",)
    labelled = configured(
        {"image": IMAGES, "label": np.arange(20) % 2}, changes={"conditions.fields": ("label",)}
    )
    assert labelled.conditions.fields == ("label",)
    assert [field.kind for field in data.load("given").info.fields] == ["image", "label"]


def test_a_run_that_is_there_goes_on_as_it_is(configured, tmp_path):
    """Its fields, such as the warm-up of its first call, and not a cosine past its end."""
    changes = {"model.channels": 16, "optim.decay": "constant"}
    first = configured(VECTORS, steps=50, changes=changes, workdir=tmp_path)
    experiment = build.experiment(first, data.load("given").info)
    begun.begin(tmp_path, first, experiment)
    assert configured(VECTORS, workdir=tmp_path).model.channels == 64  # nothing is lost yet
    (tmp_path / "checkpoints" / "50" / "model").mkdir(parents=True)
    more = configured(VECTORS, steps=90, workdir=tmp_path)
    assert (more.training.steps, more.optim.warmup, more.model.channels) == (90, 5, 16)
    assert begun.check(tmp_path, more)["data"]["name"] == "given"
    assert configured(VECTORS, "toy_moons", workdir=tmp_path).model.channels == 64
    first.optim.decay = "cosine"
    begun.begin(tmp_path, first, experiment)
    more = configured(VECTORS, steps=90, workdir=tmp_path)
    with pytest.raises(UserError, match=r"steps was 50 and is 90, where config\.optim\.decay=cosi"):
        begun.check(tmp_path, more)


def test_a_training_that_was_stopped_says_so(configured, capsys):
    configured(VECTORS)
    assert capsys.readouterr().out == (
        "stopped by SIGINT at step 3, which is saved. The same call goes on from there.\n"
    )


def test_what_is_held_out_can_be_given(configured):
    """Of arrays, and of a source, which has one split."""
    configured(IMAGES, held_out=IMAGES[:5])
    assert sizes() == (20, 5)
    train, test = (arrays.source(VECTORS, split=split) for split in ("train", "test"))
    configured(train, held_out=test)
    assert sizes() == (27, 3)
    configured(train)
    with pytest.raises(data.SplitError):
        data.load("given", "test")


def test_a_path_is_a_folder_or_a_file(configured, tmp_path):
    """As the command takes it: there is a config for it too."""
    np.savez(tmp_path / "mine.npz", image=IMAGES)
    file = configured(str(tmp_path / "mine.npz"))
    assert (file.data.name, file.data.image_size) == ("arrays", 0)
    assert file.model.name == "unet"
    Image.fromarray(IMAGES[0]).save(tmp_path / "one.png")
    images = configured(tmp_path)
    assert (images.data.name, images.data.dir) == ("folder", str(tmp_path))
    assert images.data.image_size == 32


def test_a_config_is_a_name_or_a_config_and_stays_as_it_is(configured):
    """And its own data set stands where no examples are given."""
    config = configured(config="digits_vp", steps=7)
    assert (config.data.name, config.training.steps, config.optim.warmup) == ("digits", 7, 100)
    other = configured(config=config, changes={"seed": 3})
    assert (config.seed, other.seed, other.training.steps) == (0, 3, 7)


def test_a_process_has_the_loss_that_goes_with_it(configured):
    """One whose noise is far beyond the data has EDM's, unless a config is given."""
    wide = configured(VECTORS, sde=score_sde.EDM(t_max=50.0))
    assert (wide.sde.name, wide.sde.t_max) == ("edm", 50.0)
    assert (wide.model.parametrization, wide.objective.denoising.weighting) == ("edm", "edm")
    assert configured(VECTORS, sde=score_sde.CosineVP()).model.parametrization == "v"
    given = configured(VECTORS, "toy_moons", sde=score_sde.EDM())
    assert (given.sde.name, given.model.parametrization) == ("edm", "v")


@pytest.mark.parametrize(
    ("held_out", "message"),
    [
        (VECTORS[:, :2], "was trained on vector of 3, and the test examples of arrays have vector"),
        ({"point": VECTORS}, "vector"),
    ],
)
def test_what_is_held_out_is_what_is_trained_on(tmp_path, held_out, message):
    """Its shape and its fields, before anything is written or compiled."""
    train, test = arrays.source(VECTORS), arrays.source({"test": held_out}, split="test")
    with pytest.raises(UserError, match=message):
        score_sde.train(train, held_out=test, changes=TINY, workdir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


class NoMember(processes.VP):
    """A class that no table has."""


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "give examples, or a config that names them"),
        ((IMAGES.astype(float),), {}, "array 'array' of given is float64 [20, 8, 12, 3]"),
        ((IMAGES,), {"changes": {"model.chanels": 8}}, "unknown field config.model.chanels"),
        (
            (IMAGES,),
            {"changes": {"model.attn_resolutions": (4, 3)}},
            "is of 3 pixels; they are of 8",
        ),
        ((IMAGES,), {"steps": "many"}, "config.training.steps='many'"),
        ((IMAGES, "small_image"), {}, "did you mean small_images?"),
        ((draw,), {"held_out": VECTORS}, "a function draws its own held-out examples"),
        (("~no_such_user/x",), {}, "cannot read ~no_such_user/x"),
        (("here.npz",), {"held_out": VECTORS}, "a path has splits of its own"),
        ((VECTORS,), {"sde": NoMember()}, "NoMember is in no table"),
    ],
)
def test_a_slip_is_one_line(arguments, options, message, tmp_path):
    """Before anything is written."""
    with pytest.raises(UserError) as refusal:
        score_sde.train(*arguments, **options, workdir=tmp_path / "run")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists()
