"""Pictures of prompts are drawn by a program that is compiled once."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shallow

import score_sde
from score_sde import cli
from score_sde.errors import UserError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

COMPILED = "/jax/core/compile/backend_compile_duration"


@contextlib.contextmanager
def compilations():
    """A list that has an entry for each program that was compiled within."""
    found = []

    def listen(event, *_, **about):
        if event == COMPILED:
            found.append(about)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture(scope="module")
def run(shared, tmp_path_factory):
    """The tiny pipeline sd15, of one level: what is compiled does not ask how deep it is."""
    folder = tmp_path_factory.mktemp("sd15")
    released = shared / "golden" / "latent" / "pipelines" / "sd15"
    source = shallow.pipeline(released, folder / "pipeline")
    flags = ["--mode=import", f"--checkpoint={source}", f"--workdir={folder / 'run'}"]
    assert cli.main(["main.py", *flags]) == 0
    return score_sde.load(folder / "run")


IMAGE = np.random.default_rng(0).uniform(size=(16, 16, 3)).astype(np.float32)
MASK = np.arange(16) < np.full((16, 1), 8)


@pytest.mark.parametrize(
    ("about", "other"),
    [
        ({}, {}),
        ({"image": IMAGE, "strength": 0.5}, {"image": 1 - IMAGE}),
        ({"image": IMAGE, "mask": MASK}, {"image": 1 - IMAGE, "mask": ~MASK}),
    ],
    ids=["plain", "img2img", "inpaint"],
)
def test_other_numbers_compile_nothing(run, about, other):
    """Another prompt, key, scale, image or mask; and another picture comes of it."""
    options = {"sampler": "ddim", "steps": 2, "height": 16, "width": 16, **about}
    first = run.generate("a cat", "blurry", guidance=7.5, key=jax.random.key(0), **options)
    options |= other
    with compilations() as found:
        again = run.generate("a fox", "red", guidance=3, key=jax.random.key(1), **options)
    assert not found
    assert np.abs(again.x - first.x).max() > 1e-3


def test_an_edit_compiles_nothing_anew(run):
    """Both ways of the ODE, of a denoiser that is a plain function."""

    def gaussian(x, t, cond=None):
        mean = cond["text"].mean(axis=(1, 2)).reshape(-1, 1, 1, 1)
        alpha, sigma = (c(t).reshape(-1, 1, 1, 1) for c in (run.sde.alpha, run.sde.sigma))
        return score_sde.Prediction(mean + 0 * x, (x - alpha * mean) / sigma)

    own = dataclasses.replace(run, denoise=gaussian)
    options = {"guidance": 1.0, "prompt_from": "a dog"}
    first = own.generate("a cat", image=IMAGE, **options)
    with compilations() as found:
        again = own.generate("a fox", image=1 - IMAGE, **options)
    assert not found
    assert np.abs(again.x - first.x).max() > 1e-3


def test_pictures_that_are_no_numbers_are_not_drawn(run):
    """As levels of a picture they would look like any others."""

    def nothing(x, t, cond=None):
        return score_sde.Prediction(x * jnp.array([1, jnp.nan]).reshape(2, 1, 1, 1), x)

    own = dataclasses.replace(run, denoise=nothing)
    options = {"guidance": 1.0, "sampler": "ddim", "steps": 2, "height": 16, "width": 16}
    with pytest.raises(UserError, match="1 of 2 pictures are not of finite numbers"):
        own.generate(["a cat", "a dog"], **options)
