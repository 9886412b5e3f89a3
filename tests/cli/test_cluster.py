"""How processes find each other, without a cluster: flags, and the variables of launchers."""

import pytest

from score_sde.cli import cluster, defined
from score_sde.cli.cluster import Cluster, of_environment
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
