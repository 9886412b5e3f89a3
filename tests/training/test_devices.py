"""The real training loop on many devices, and in several processes."""

import inspect
import json
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest
from program import ROOT, called, environment, metrics

import score_sde
from experiments.faults.together import environments
from score_sde.runs import train
from score_sde.training import stability, xla

pytestmark = pytest.mark.slow


def test_eight_devices_give_the_losses_of_one(eight_devices, finished, small, tmp_path):
    """All of them split the batch; the two processes, below, the parameters too."""
    workdir = tmp_path / "eight"
    arguments = (*small, f"--workdir={workdir}", "--config.training.checkpoint_every=12")
    code, printed = eight_devices.run("python", "main.py", *arguments)
    assert code == 0, printed
    assert "8 x cpu (mesh: data 8, fsdp 1, tensor 1)" in printed
    for name in ("loss", "grad_norm", "eval_loss"):
        one, eight = ([float(r[name] or 0) for r in metrics(w)] for w in (finished[0], workdir))
        np.testing.assert_allclose(eight, one, rtol=2e-5, err_msg=name)
    # The digests of what eight devices wrote, in eight parts, are checked by one.
    assert score_sde.load(workdir).step == 12


def test_a_held_out_loss_is_of_batches_that_the_devices_do_not_divide(eight_devices, tmp_path):
    options = {"training.batch_size": 8, "training.steps": 2, "training.eval_every": 2}
    options |= {"training.sample_every": 0, "training.steps_per_call": 1, "training.log_every": 2}
    options |= {"model.channels": 16, "model.depth": 1, "evaluation.batch_size": 2001}
    given = [f"--config.{name}={value}" for name, value in options.items()]
    code, printed = eight_devices.run(
        "python", "main.py", "--config=configs/toy_moons.py", *given, f"--workdir={tmp_path}"
    )
    assert code == 0, printed
    assert np.isfinite(float(metrics(tmp_path)[-1]["eval_loss"]))


TRANSFORMER = (
    "--config.model.name=dit",
    "--config.model.channels=64",  # wide enough to be split
    "--config.model.depth=1",
    "--config.model.heads=4",
    "--config.training.keep_last=3",
    "--config.training.steps_per_call=1",
)
MESHES = {
    "data 8, fsdp 1, tensor 1": (),
    "data 2, fsdp 4, tensor 1": ("fsdp=4",),
    "data 2, fsdp 2, tensor 2": ("fsdp=2", "tensor=2"),
}


def test_a_checkpoint_of_one_device_goes_on_on_any_mesh(eight_devices, small, tmp_path):
    """With the same losses, to the same parameters, from which the same samples are drawn."""
    alone = tmp_path / "alone"
    arguments = [word for word in small if not word.startswith("--config.model.")]
    arguments += TRANSFORMER
    result = called(*arguments, f"--workdir={alone}")
    assert result.returncode == 0, result.stderr
    expected = score_sde.load(alone, weights="raw")
    for mesh, axes in MESHES.items():
        workdir = tmp_path / mesh.replace(", ", "_").replace(" ", "")
        shutil.copytree(alone, workdir)
        for later in ("8", "12"):
            shutil.rmtree(workdir / "checkpoints" / later)
        shared = [f"--config.training.{axis}" for axis in axes]
        code, printed = eight_devices.run(
            "python", "main.py", *arguments, *shared, f"--workdir={workdir}"
        )
        assert code == 0, printed
        assert f"(mesh: {mesh})" in printed
        assert "going on from step 4" in printed
        for name in ("loss", "grad_norm", "eval_loss"):
            one, many = ([float(r[name] or 0) for r in metrics(w)] for w in (alone, workdir))
            np.testing.assert_allclose(many, one, rtol=2e-5, err_msg=name)
        found = score_sde.load(workdir, weights="raw")
        for path, array in expected.params.items():
            np.testing.assert_allclose(found.params[path], array, atol=5e-6, err_msg=path)
    drawing = [f"--config.sampling.{axis}" for axis in axes]
    code, printed = eight_devices.run(
        "python", "main.py", f"--workdir={workdir}", "--mode=sample", *drawing
    )
    assert code == 0, printed
    result = called(f"--workdir={workdir}", "--mode=sample", f"--out={tmp_path / 'one'}")
    assert result.returncode == 0, result.stderr
    many, one = (np.load(f)["samples"] for f in (workdir / "samples.npz", tmp_path / "one.npz"))
    assert np.abs(many.astype(int) - one).max() <= 1


def spiked(make):
    """What makes training steps, of which step 8 has a spike until training has gone back once."""
    import jax
    import jax.numpy as jnp

    def made(loss, *arguments, **options):
        def other(key, params, constants, space, batch, step):
            first = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 1), 7)
            spikes = jnp.all(jax.random.key_data(key) == jax.random.key_data(first))
            return jnp.where(spikes, 1e6, 1.0) * loss(key, params, constants, space, batch, step)

        return make(other, *arguments, **options)

    return made


REWIND = "--config.training.rewind=100"

# What each of the two processes runs. They find each other once: by the first command.
COMMANDS = f"""
import json, sys
from score_sde.training import stability, step

{inspect.getsource(spiked)}

stability.WINDOW, step.make_train_step = 4, spiked(step.make_train_step)
from score_sde.cli import main
for command in json.loads(sys.argv[1]):
    print("exit code", main(["main.py", *command]), flush=True)
"""


def two_processes(*commands):
    """Run command lines in two processes of one Slurm job, of two devices each, over loopback.

    Returns:
        What each printed, with a line "exit code N" after each command.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COMMANDS, json.dumps(commands)],
            cwd=ROOT,
            env=environment(2, **own),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for own in environments(2)
    ]
    return [process.communicate(timeout=300)[0] for process in processes]


@pytest.fixture(scope="module")
def gone_back(small, tmp_path_factory):
    """A run of one process that went back past a spike: its folder, what it printed, its step."""
    workdir, programs, compiled = tmp_path_factory.mktemp("gone_back") / "one", [], xla.compiled

    def seen(lowered, said):
        programs.append(lowered)
        return compiled(lowered, said)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stability, "WINDOW", 4)
        patch.setattr(train, "make_train_step", spiked(train.make_train_step))
        patch.setattr(xla, "compiled", seen)
        result = called(*small, REWIND, f"--workdir={workdir}")
    assert result.returncode == 0, result.stderr
    return workdir, result.stdout, programs[-1]


def test_a_step_of_the_program_gives_up_its_state_and_nothing_else(gone_back):
    (state, *others), _ = gone_back[2].args_info
    assert all(array.donated for array in jax.tree.leaves(state))
    assert not any(array.donated for array in jax.tree.leaves(others))


def test_two_processes_train_and_go_back_and_sample_as_one(gone_back, small, tmp_path):
    """Both go back to the same checkpoint, and to the same batches and noise after it."""
    workdir = tmp_path / "two"
    arguments = (*small, f"--workdir={workdir}", "--config.training.fsdp=2")
    printed = two_processes(
        (*arguments, REWIND, "--config.training.sample_every=12", "--distributed"),
        (*arguments, "--mode=sample"),
        (*arguments, "--config.seed=5"),
    )
    for text in printed:
        assert re.findall("exit code (.*)", text) == ["0", "0", "2"], printed
        assert "config.seed was 0 and is 5" in text  # neither waits for the other
    assert "4 x cpu (mesh: data 2, fsdp 2, tensor 1)" in printed[0]
    assert "done" not in printed[1]  # only the first process speaks
    for text in (gone_back[1], printed[0]):
        (line,) = re.findall("the loss spikes at step 8: .*: back to (checkpoint .*)", text)
        assert line == "checkpoint 4, with other batches and noise"
    for name in ("step", "loss", "grad_norm", "eval_loss", "rewinds"):
        one, two = ([float(r[name] or 0) for r in metrics(w)] for w in (gone_back[0], workdir))
        np.testing.assert_allclose(two, one, rtol=2e-5, err_msg=name)
    assert two[-1] == 1
    one, two = (score_sde.load(w, weights="raw").params for w in (gone_back[0], workdir))
    for path, array in one.items():
        np.testing.assert_allclose(two[path], array, atol=5e-6, err_msg=path)
    assert (workdir / "samples" / "12.png").exists()
    assert np.load(workdir / "samples.npz")["samples"].shape == (16, 8, 8, 1)
