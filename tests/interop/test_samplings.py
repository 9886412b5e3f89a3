"""Golden samplings of released pipelines, step by step: imported, and drawn by `generate`.

The rows of a sampler's table are walked in NumPy, with the network as compiled for the run: one
program serves all samplers of a pipeline. The loop that is compiled with it, see test_pipelines.
"""

import contextlib
import dataclasses
import functools
import json
import shutil
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from latent_goldens import error
from tables import walk

import score_sde
from score_sde import cli, guidance
from score_sde.composite import bound
from score_sde.guidance.task import Task
from score_sde.processes import DDPM
from score_sde.runs import config as configs
from score_sde.runs import drawing, prompted, sampling, schedulers
from score_sde.samplers.ddim import DDIM
from score_sde.samplers.euler import Euler
from score_sde.samplers.points import Points
from score_sde.samplers.steps import first_order

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

PROMPT = "a small red fox resting beside a frozen lake, oil painting"
NEGATIVE = "blurry, low quality, bad hands"
WEIGHED = "A SMALL (red:1.3) Fox!!"
ODD = "Caf\u00e9 \u2014 \u5199\u771f \U0001f98a & co."
LONG = (
    "a very detailed photograph of an old wooden boat drifting past the harbour wall, seven paper "
    "lanterns glowing under the crooked chimney, a robot gardener waiting for the night train, the "
    "violin player standing near the empty theatre, a bowl of ripe plums reflected in the open "
    "window, a sleepy dragon hidden behind rows of old books"
)
MICRO = {"sizes": (512, 768, 16, 32, 640, 896), "negative_sizes": (256, 256, 1, 2, 128, 128)}
SKIPPED = score_sde.SkipLayers((1, 2), 2.8, 0.01, 0.6)
KARRAS = {"_class_name": "DPMSolverMultistepScheduler", "use_karras_sigmas": True}
TRAILING = {"timestep_spacing": "trailing"}
ZERO_SNR = {"rescale_betas_zero_snr": True, **TRAILING}
CONTROLS = {  # of each sampling: (folder, image, options); one of no scale adds nothing
    "e2e": [
        ("sd15", "control_image", {"scale": 0.8, "end": 0.75}),
        ("sd15_b", "control_image", {"scale": 0.0}),
    ],
    "e2e_multi": [
        ("sd15", "control_image_a", {"scale": 0.8}),
        ("sd15_b", "control_image_b", {"scale": 0.3}),
    ],
}


NOTHING: Mapping = MappingProxyType({})


class Case(NamedTuple):
    """How a sampling was drawn.

    Attributes:
        steps: how many.
        scale: of guidance.
        prompt: one or several.
        negative: what was led away from.
        scheduler: what is changed in the scheduler_config.json of the pipeline.
        text: what is changed in how the run tells of prompts.
        without: components that the pipeline lacks.
        options: of `generate`.
    """

    steps: int
    scale: float
    prompt: Any = PROMPT
    negative: Any = NEGATIVE
    scheduler: Mapping = NOTHING
    text: Mapping = NOTHING
    without: tuple = ()
    options: Mapping = NOTHING


def by(name, **changes):
    """Another class of scheduler."""
    return {"scheduler": {"_class_name": f"{name}Scheduler", **changes}}


SDXL = functools.partial(Case, 4, 5.0)
CASES = {
    "sd15": {
        "e2e_pndm": Case(5, 7.5),
        "e2e_ddim": Case(5, 7.5, **by("DDIM")),
        "e2e_euler": Case(5, 7.5, **by("EulerDiscrete")),
        "e2e_dpmpp2m": Case(5, 7.5, **by("DPMSolverMultistep")),
        "e2e_dpmpp2m_karras": Case(5, 7.5, scheduler=KARRAS),
        "e2e_unipc": Case(5, 7.5, **by("UniPCMultistep")),
        "e2e_ddim_trailing": Case(5, 7.5, **by("DDIM", **TRAILING)),
        "e2e_noneg": Case(4, 3.0, [LONG, ODD], None, **by("DDIM")),
        "e2e_nocfg": Case(4, 1.0, [PROMPT] * 2, **by("DDIM")),  # two, as of guidance: one program
        "e2e_rescale": Case(4, 7.5, **by("DDIM"), text={"skip": 1}, options={"rescale": 0.7}),
        "img2img_ddim": Case(8, 7.5, **by("DDIM"), options={"strength": 0.5}),
    },
    "sd2": {
        "e2e_ddim": Case(5, 7.5),
        "e2e_euler": Case(5, 7.5, **by("EulerDiscrete")),
        "e2e_dpmpp2m": Case(5, 7.5, **by("DPMSolverMultistep")),
        "e2e_unipc": Case(5, 7.5, **by("UniPCMultistep")),
        "e2e_pndm": Case(5, 7.5, **by("PNDM")),
        "e2e_ddim_zsnr": Case(5, 7.5, scheduler=ZERO_SNR, options={"rescale": 0.7}),
    },
    "sdxl": {
        "e2e_euler": Case(5, 5.0),
        "e2e_euler_micro": SDXL(options=MICRO),
        "e2e_euler_noneg": SDXL(negative=None, options={"prompt_2": WEIGHED}),
        "e2e_euler_emptyneg": SDXL(negative=""),
        "e2e_dpmpp2m_karras": Case(5, 5.0, scheduler=KARRAS),
        "e2e_euler_trailing_2x": Case(
            4, 6.0, [PROMPT, ""], scheduler=TRAILING, options={"rescale": 0.5}
        ),
        "e2e_ddim_denoising_end": Case(10, 5.0, **by("DDIM"), options={"until": 0.6}),
    },
    "sd35": {
        "e2e": Case(4, 5.0),
        "e2e_skip_layer": Case(4, 5.0, options={"skip_layers": SKIPPED}),
        "e2e_len256_3prompts": Case(
            3, 5.0, text={"length": 256}, options={"prompt_2": WEIGHED, "prompt_3": LONG}
        ),
        "e2e_without_t5": Case(3, 5.0, without=("text_encoder_3", "tokenizer_3")),
    },
    "flux_dev": {
        "e2e": Case(4, 3.5),
        "e2e_true_cfg": Case(
            3, 2.0, text={"length": 64}, options={"prompt_2": LONG, "true_guidance": 4.0}
        ),
    },
    "pixart": {"e2e": Case(4, 4.5)},
    "dit": {"e2e": Case(4, 4.0)},
    "controlnet_sd15": {"e2e": Case(4, 7.5, **by("DDIM")), "e2e_multi": Case(3, 7.5, **by("DDIM"))},
    "animatediff": {"e2e": Case(3, 7.5)},
}
EVERY = [(name, case) for name, cases in CASES.items() for case in cases]
# Relative errors of states. The README of the golden files has 1e-3, of flows 1e-4: what is
# reached is 5e-6, and up to 2e-4 where UNets are told sizes or predict v: a last time that is a
# hundredth of a level off shows.
TOLERANCES = {"sd2": 6e-4, "sdxl": 6e-4}
PIPELINE = {"controlnet_sd15": "sd15", "animatediff": "sd15"}
# Tokens of T5, which were fewer there.
LENGTHS = {"sd35": ("sd3", 24), "flux_dev": ("flux", 32), "pixart": ("t5", 32)}
# As released pipelines read prompts: brackets are signs, and the rest of a long one is cut off.
PLAIN = ("--config.text.weights=False", "--config.text.chunks=1")


def imported_run(checkpoint, workdir, *flags):
    flags = [f"--checkpoint={checkpoint}", f"--workdir={workdir}", *flags]
    assert cli.main(["main.py", "--mode=import", *flags]) == 0
    return workdir


@pytest.fixture(scope="module")
def made(shared, tmp_path_factory):
    """(pipeline, changes of its scheduler, what it lacks) -> its run, once each."""
    latent = shared / "golden" / "latent"

    @functools.cache
    def make(name, scheduler=(), without=()):
        folder = tmp_path_factory.mktemp(name)
        source = latent / "pipelines" / PIPELINE.get(name, name)
        if scheduler or without:
            source = changed(source, folder / "pipeline", dict(scheduler), without)
        flags = [*PLAIN]
        if name in LENGTHS:
            flags.append("--config.text.{}.length={}".format(*LENGTHS[name]))
        if name == "animatediff":
            flags.append(f"--motion={latent / 'motion_adapter'}")
        return score_sde.load(imported_run(source, folder / "run", *flags))

    return make


def changed(source, target, scheduler, without):
    """A copy of a pipeline with other values of its scheduler, and without some components."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for file, values in (
        ("scheduler/scheduler_config.json", scheduler),
        ("model_index.json", {name: [None, None] for name in without}),
    ):
        about = json.loads((target / file).read_text())
        (target / file).write_text(json.dumps({**about, **values}))
    for name in without:
        shutil.rmtree(target / name)
    return target


@pytest.fixture(scope="module")
def steering(shared, tmp_path_factory):
    """The released ControlNets, as what steers."""
    source, folder = shared / "golden" / "latent" / "controlnet", tmp_path_factory.mktemp("control")
    return {name: imported_run(source / name, folder / name) for name in ("sd15", "sd15_b")}


def sampler(run, changes, steps):
    """By another class of scheduler its name; by other values of its file what they stand for."""
    if not changes:
        return None
    if list(changes) == ["_class_name"]:
        return changes["_class_name"]
    released = json.loads((run.workdir / "parts" / schedulers.FILE).read_text())
    config = configs.default()
    for path, value in schedulers.fields({**released, **changes}).items():
        configs.set_field(config, path, value)
    config.sampling.steps = steps
    return sampling.sampler(config.sampling)


@contextlib.contextmanager
def walking(found):
    """Pictures are drawn by a walk along the table; `found` gets the states [rows + 1, batch, ...].

    They are as released pipelines have them: those of Euler's method over alpha.
    """

    def drawn(draw, sde, denoise, task, known, key, x_init, cond):
        assert not draw.clip
        table, denoise = draw.table(sde), bound(drawing.of_argument(denoise), sde)

        def predict(x, t):
            at = jnp.full(len(x), t, jnp.float32)
            return [np.asarray(a) for a in denoise(jnp.asarray(x, jnp.float32), at, cond)]

        states, _ = walk(table, predict, np.asarray(x_init))
        x = task.finish(jnp.asarray(states[-1], jnp.float32), known)
        if isinstance(draw, Euler) and isinstance(sde, DDPM):
            states[:-1] /= sde.alpha(table.t).reshape(-1, *[1] * x.ndim)
        found.append(states)
        return x, jnp.array(len(table.t))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "_drawn", drawn)
        with jax.default_matmul_precision("highest"):
            yield


@dataclasses.dataclass(frozen=True)
class Down(DDIM):
    """DDIM whose steps go down N / steps levels wherever they begin, as the released one's do."""

    def rows(self, points, sde):
        """See FixedStep."""
        for t in (points[i] for i in range(len(points))):
            to = max(t.t - (sde.scales // self.steps) / (sde.scales - 1), sde.t_min)
            yield first_order(t, Points.at(sde, to))

    def final(self, points):
        """See FixedStep."""
        return []


def stated(shared, name, case):
    """Arrays of a sampling: what it begins with, and the states by row, channels last."""
    with np.load(shared / "golden" / "latent" / "golden" / f"{name}.npz") as file:
        arrays = {k.partition("/")[2]: file[k] for k in file if k.startswith(f"{case}/")}

    def ours(latents):
        return np.moveaxis(latents, -4 if name == "animatediff" else -3, -1)

    if case.startswith("img2img"):
        ends = {0: ours(arrays["start"]), -1: ours(arrays["final"])}
        return arrays, ours(arrays["noise"]), ends
    start, steps = arrays["init_latents"], arrays[STEPS[name == "dit"]]
    if name == "dit":
        steps = steps[:, : len(start)]
    if name == "flux_dev":  # tokens are patches of two by two, the channel first
        start = arrays["init_latents_nchw"]
        (_, channels, height, width), (count, batch) = start.shape, steps.shape[:2]
        steps = steps.reshape(count, batch, height // 2, width // 2, channels, 2, 2)
        steps = steps.transpose(0, 1, 4, 2, 5, 3, 6).reshape(count, *start.shape)
    return arrays, ours(start), dict(enumerate(ours(steps), 1))


STEPS = ("latents_per_step", "latents_per_step_cond_then_uncond")


def classes_drawn(run, told, start, arrays):
    """Pictures of DiT, which is told labels in place of texts."""
    draw = dataclasses.replace(run.experiment.sampler, steps=told.steps)
    denoise = guidance.classifier_free(run.denoise, told.scale)
    cond = {"label": jnp.asarray(arrays["class_labels"])}
    x, _ = drawing._drawn(draw, run.sde, denoise, Task(), None, None, start, cond)
    return np.asarray(prompted._decoded(run.space, x))


@pytest.mark.parametrize(("name", "case"), EVERY)
def test_every_step_is_that_of_the_pipeline(shared, made, steering, name, case, monkeypatch):
    """And the picture, where there is one."""
    told = CASES[name][case]
    arrays, start, expected = stated(shared, name, case)
    process = told.scheduler if told.scheduler == ZERO_SNR else {}  # another one: another run
    run = made(name, tuple(process.items()), told.without)
    text = dataclasses.replace(run.experiment.text, **told.text)
    run = dataclasses.replace(run, experiment=dataclasses.replace(run.experiment, text=text))
    prompts = told.prompt if isinstance(told.prompt, list) else [told.prompt]
    start = jnp.asarray(np.broadcast_to(start, (max(len(start), len(prompts)), *start.shape[1:])))
    if "image_nhwc" not in arrays:
        monkeypatch.setattr(prompted, "_decoded", lambda space, x: jnp.zeros((len(x), 1)))
    options = dict(told.options, steps=told.steps, guidance=told.scale)
    options["sampler"] = None if process else sampler(run, told.scheduler, told.steps)
    if case == "img2img_ddim":
        options["image"] = (np.moveaxis(arrays["image"], 1, -1) + 1) / 2
    if name == "controlnet_sd15":
        options["controls"] = [
            score_sde.Control(steering[network], np.moveaxis(arrays[image], 1, -1), **how)
            for network, image, how in CONTROLS[case]
        ]
    if name == "animatediff":
        options |= {"frames": 6, "sampler": Down(steps=3, grid="linspace")}
    found = []
    with walking(found):
        if name == "dit":
            images = classes_drawn(run, told, start, arrays)
        else:
            images = run.generate(prompts, told.negative, start=start, **options).images
    (states,) = found
    if "image_nhwc" in arrays:
        np.testing.assert_allclose(images, arrays["image_nhwc"], atol=1e-3)
    assert case == "img2img_ddim" or len(states) == len(expected) + 1
    errors = [error(states[row][: len(x)], x) for row, x in expected.items()]
    assert max(errors) < TOLERANCES.get(name, 5e-5), errors


def test_every_sampling_is_here(shared):
    """Of every golden file."""
    found = set()
    for path in (shared / "golden" / "latent" / "golden").glob("*.npz"):
        with np.load(path) as file:
            ends = [key.rpartition("/") for key in file]
        found |= {(path.stem, case) for case, _, key in ends if key in (*STEPS, "final")}
    assert found == set(EVERY)
