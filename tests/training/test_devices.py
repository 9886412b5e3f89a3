"""The real training loop on many devices, and in several processes."""

import random

import numpy as np
import pytest
from program import QUICK, metrics, run, start

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fsdp", [1, 8])  # 2 is that of two processes, below
def test_eight_devices_give_the_losses_of_one(finished, small, tmp_path, fsdp):
    workdir = tmp_path / "eight"
    result = run(
        *small,
        f"--workdir={workdir}",
        f"--config.training.fsdp={fsdp}",
        XLA_FLAGS="--xla_force_host_platform_device_count=8",
        **QUICK,
    )
    assert result.returncode == 0, result.stderr
    assert f"8 x cpu (mesh: data {8 // fsdp}, fsdp {fsdp})" in result.stdout
    for name in ("loss", "grad_norm", "eval_loss"):
        one, eight = ([float(r[name] or 0) for r in metrics(w)] for w in (finished[0], workdir))
        np.testing.assert_allclose(eight, one, rtol=2e-5, err_msg=name)


def two_processes(*arguments):
    """Run main.py as two processes of one Slurm job, with four devices each, over loopback."""
    job = str(random.SystemRandom().randrange(2**20))  # JAX derives the port from it
    processes = [
        start(
            *arguments,
            "--distributed",
            XLA_FLAGS="--xla_force_host_platform_device_count=4",
            SLURM_JOB_ID=job,
            SLURM_STEP_NODELIST="localhost",
            SLURM_STEP_NUM_NODES="1",
            SLURM_NTASKS="2",
            SLURM_PROCID=str(rank),
            SLURM_LOCALID=str(rank),
            **QUICK,
        )
        for rank in range(2)
    ]
    printed = [process.communicate(timeout=300)[0] for process in processes]
    return [process.returncode for process in processes], printed


def test_two_processes_train_and_sample_as_one(finished, small, tmp_path):
    workdir = tmp_path / "two"
    arguments = (*small, f"--workdir={workdir}", "--config.training.fsdp=2")
    codes, printed = two_processes(*arguments, "--config.training.sample_every=6")
    assert codes == [0, 0], printed
    assert "8 x cpu (mesh: data 4, fsdp 2)" in printed[0]
    assert "done" not in printed[1]  # only the first process speaks
    for name in ("loss", "grad_norm", "eval_loss"):
        one, two = ([float(r[name] or 0) for r in metrics(w)] for w in (finished[0], workdir))
        np.testing.assert_allclose(two, one, rtol=2e-5, err_msg=name)
    assert (workdir / "samples" / "12.png").exists()
    codes, printed = two_processes(*arguments, "--mode=sample")
    assert codes == [0, 0], printed
    assert np.load(workdir / "samples.npz")["samples"].shape == (16, 8, 8, 1)
    codes, printed = two_processes(*arguments, "--config.seed=5")
    assert codes == [2, 2], printed  # neither waits for the other
    assert all("config.seed was 0 and is 5" in text for text in printed)
