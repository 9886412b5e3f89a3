"""How processes find each other, without a cluster: flags, and the variables of launchers."""

import socket
import subprocess
import sys

import pytest
from program import ROOT, environment

from experiments.faults.together import environments
from score_sde.cli import cluster, defined, gathering
from score_sde.cli.cluster import Cluster, local_devices, of_environment, port_of_step
from score_sde.errors import UserError

TORCHRUN = {"MASTER_ADDR": "node0", "MASTER_PORT": "29500", "WORLD_SIZE": "4", "RANK": "2"}
INDEXED_JOB = {"JAX_COORDINATOR_ADDRESS": "run-0.run", "WORLD_SIZE": "2"}
INDEXED_JOB |= {"JOB_COMPLETION_INDEX": "1"}


def read(*arguments, **environment):
    values = defined.define()
    values(["main.py", *arguments])
    return cluster.read(values, environment)


def test_flags_say_it_before_the_environment():
    given = ("--distributed", "--coordinator=10.0.0.1:1234", "--processes=8", "--process=7")
    assert read(*given, **TORCHRUN) == Cluster("10.0.0.1:1234", 8, 7)
    assert read("--distributed", **TORCHRUN) == Cluster("node0:29500", 4, 2)
    assert read(**TORCHRUN) is None  # nobody asked for several


def test_variables_of_launchers():
    assert of_environment(INDEXED_JOB) == Cluster(f"run-0.run:{cluster.PORT}", 2, 1)
    # Slurm sets none of them, and a user may have set one: JAX looks for a cluster then.
    assert of_environment({"SLURM_PROCID": "1", "MASTER_ADDR": "node0"}) is None
    assert of_environment(TORCHRUN | {"RANK": ""}) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--distributed", "--processes=2"], "--processes needs --coordinator, --process too"),
        (["--coordinator=a:1", "--processes=2", "--process=0"], "needs --distributed too"),
        (["--distributed", "--processes=2", "--processes=3"], "--processes is given twice"),
        (
            ["--distributed", "--coordinator=a:1", "--processes=2", "--process=2"],
            "process 2 of 2: they are counted from 0 to 1",
        ),
        (
            ["--distributed", "--coordinator=node0", "--processes=2", "--process=0"],
            "such as node0:55527",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_said(arguments, message):
    with pytest.raises(UserError, match=message):
        read(*arguments)


def test_a_variable_that_is_no_number_is_named():
    with pytest.raises(UserError, match="WORLD_SIZE='many' is no number"):
        of_environment(TORCHRUN | {"WORLD_SIZE": "many"})


def test_steps_of_a_job_of_slurm_have_ports_of_their_own():
    """All that a job can have at once, of those that JAX takes; what the user says counts."""
    ports = [
        port_of_step({"SLURM_JOB_ID": "77", "SLURM_STEP_ID": str(step)}) for step in range(4096)
    ]
    assert sorted(ports) == list(range(61440, 65536))
    assert port_of_step({"SLURM_JOB_ID": "78", "SLURM_STEP_ID": "0"}) not in ports[:60]
    assert port_of_step({"SLURM_JOB_ID": "77"}) is None
    said = {"JAX_COORDINATOR_PORT": "1", "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0"}
    assert port_of_step(said) is None


ON_SLURM = {"SLURM_LOCALID": "1", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_NODES": "2"}
OPEN_MPI = {"OMPI_COMM_WORLD_LOCAL_RANK": "0", "OMPI_COMM_WORLD_LOCAL_SIZE": "1"}


@pytest.mark.parametrize(
    ("variables", "numbers"),
    [
        ({}, None),
        (TORCHRUN, None),
        (ON_SLURM, [1]),
        (ON_SLURM | {"SLURM_LOCALID": "0", "SLURM_STEP_NUM_NODES": "4"}, []),
        (ON_SLURM | {"JAX_LOCAL_DEVICE_IDS": "0,1"}, None),
        (OPEN_MPI, []),
        (OPEN_MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, [0]),
        (TORCHRUN | {"LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "8"}, [2]),
        (TORCHRUN | {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"} | ON_SLURM, []),
    ],
)
def test_a_process_that_is_alone_on_its_host_takes_all_of_its_devices(variables, numbers):
    """Of several on one host each takes its own."""
    assert local_devices(variables) == numbers


BEGIN = """
import os, types, jax
from score_sde.cli import begin, cluster, gathering
gathering.SOON, gathering.LAST = 0.2, float(os.environ.get("LAST", 60))
begin._distribute(types.SimpleNamespace(cluster=cluster.of_environment(os.environ)))
print(jax.process_count(), jax.config.values["jax_cuda_visible_devices"])
print("port", jax._src.distributed.global_state.coordinator_address.rpartition(":")[2])
"""


def began(**variables):
    """What a process says that begins in this environment."""
    return subprocess.run(
        [sys.executable, "-c", BEGIN],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.slow
def test_jax_shows_a_task_of_slurm_all_gpus_of_its_host():
    """It would show the first only: that is its rule for Slurm. The port is that of the step."""
    job = environments(1)[0] | {"SLURM_STEP_ID": "3"}
    done = began(**job)
    assert done.stdout.splitlines()[-2:] == ["1 all", f"port {port_of_step(job)}"], done.stderr


def free_port():
    with socket.create_server(("", 0)) as server:
        return server.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("rank", ["0", "1"])
def test_who_waits_for_others_says_so_and_ends_if_they_do_not_come(rank):
    port = free_port()
    variables = TORCHRUN | {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "RANK": rank}
    done = began(**variables, LAST="1")
    assert (done.returncode, done.stdout) == (1, "")
    said, error = done.stderr.splitlines()
    assert said == f"process {rank} of 4: waiting for all to come to localhost:{port} ..."
    assert error.startswith(
        f"error: process {rank} of 4: not all came to localhost:{port} within 1"
    )


def test_a_port_that_is_taken_is_one_line():
    """Of the first process, which listens there. Where a connection was is none that is taken."""
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        gathering.check_port(Cluster(f"localhost:{port}", 2, 1))
        with pytest.raises(UserError, match=f"port {port} cannot be listened at: Address already"):
            gathering.check_port(Cluster(f"localhost:{port}", 2, 0))
        with socket.create_connection(("localhost", port)):
            server.accept()[0].close()
    gathering.check_port(Cluster(f"localhost:{port}", 2, 0))


@pytest.mark.slow
def test_a_process_looks_at_its_port_before_jax_does():
    """JAX ends with a segmentation fault there."""
    with socket.create_server(("", 0)) as server:
        port = str(server.getsockname()[1])
        done = began(**TORCHRUN | {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "RANK": "0"})
    assert done.stderr.splitlines()[-1].endswith("Give all processes another")
