"""The real training loop on many devices, and in several processes."""

import json
import random
import re
import subprocess
import sys

import numpy as np
import pytest
from program import ROOT, environment, metrics

import score_sde

pytestmark = pytest.mark.slow


def test_eight_devices_give_the_losses_of_one(eight_devices, finished, small, tmp_path):
    """All of them split the batch; the two processes, below, the parameters too."""
    workdir = tmp_path / "eight"
    arguments = (*small, f"--workdir={workdir}", "--config.training.checkpoint_every=12")
    code, printed = eight_devices.run("python", "main.py", *arguments)
    assert code == 0, printed
    assert "8 x cpu (mesh: data 8, fsdp 1)" in printed
    for name in ("loss", "grad_norm", "eval_loss"):
        one, eight = ([float(r[name] or 0) for r in metrics(w)] for w in (finished[0], workdir))
        np.testing.assert_allclose(eight, one, rtol=2e-5, err_msg=name)
    # The digests of what eight devices wrote, in eight parts, are checked by one.
    assert score_sde.load(workdir).step == 12


# What each of the two processes runs. They find each other once: by the first command.
COMMANDS = """
import json, sys
from score_sde.cli import main
for command in json.loads(sys.argv[1]):
    print("exit code", main(["main.py", *command]), flush=True)
"""


def two_processes(*commands):
    """Run command lines in two processes of one Slurm job, of two devices each, over loopback.

    Returns:
        What each printed, with a line "exit code N" after each command.
    """
    job = str(random.SystemRandom().randrange(2**20))  # JAX derives the port from it
    slurm = {"SLURM_JOB_ID": job, "SLURM_STEP_NODELIST": "localhost", "SLURM_STEP_NUM_NODES": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COMMANDS, json.dumps(commands)],
            cwd=ROOT,
            env=environment(
                2, **slurm, SLURM_NTASKS="2", SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank)
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    return [process.communicate(timeout=300)[0] for process in processes]


def test_two_processes_train_and_sample_as_one(finished, small, tmp_path):
    workdir = tmp_path / "two"
    arguments = (*small, f"--workdir={workdir}", "--config.training.fsdp=2")
    once = [f"--config.training.{what}_every=12" for what in ("sample", "checkpoint")]
    printed = two_processes(
        (*arguments, *once, "--distributed"),
        (*arguments, "--mode=sample"),
        (*arguments, "--config.seed=5"),
    )
    for text in printed:
        assert re.findall("exit code (.*)", text) == ["0", "0", "2"], printed
        assert "config.seed was 0 and is 5" in text  # neither waits for the other
    assert "4 x cpu (mesh: data 2, fsdp 2)" in printed[0]
    assert "done" not in printed[1]  # only the first process speaks
    for name in ("loss", "grad_norm", "eval_loss"):
        one, two = ([float(r[name] or 0) for r in metrics(w)] for w in (finished[0], workdir))
        np.testing.assert_allclose(two, one, rtol=2e-5, err_msg=name)
    assert (workdir / "samples" / "12.png").exists()
    assert np.load(workdir / "samples.npz")["samples"].shape == (16, 8, 8, 1)
