"""Processes that work together: when one dies the others end at once, with one line."""

import subprocess
import sys
import time

import pytest
from program import ROOT, SIGKILL, environment

from experiments.faults.together import environments

pytestmark = pytest.mark.slow

# What main.py does with --distributed; then it waits for the others for ever.
SCRIPT = """
import sys, time, jax
jax.distributed.initialize()
from score_sde.runs import peers
peers.watch(lambda: "The same command goes on from step 8")
print("ready", flush=True)
if sys.argv[1] == "fails" and jax.process_index() == 1:
    raise SystemExit("error: it is full")
time.sleep(100)
"""


def start(what):
    return [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, what],
            cwd=ROOT,
            env=environment(**own),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for own in environments(2)
    ]


def errors(process):
    return [line for line in process.communicate(timeout=60)[1].splitlines() if line]


def test_a_process_that_dies_ends_the_other_with_one_line():
    """Here the first, which JAX's own watch depends on."""
    processes = start("waits")
    for process in processes:
        while process.stdout.readline() != "ready\n":  # after what Gloo says
            assert process.poll() is None, process.stderr.read()
    first, second = processes
    first.send_signal(SIGKILL)
    begin = time.monotonic()
    said = errors(second)
    assert time.monotonic() - begin < 10  # JAX's own watch of others takes a minute
    line = "error: process 0 of 2 has died. The same command goes on from step 8"
    assert line in said
    assert not any(" @  " in text for text in said)  # a stack of C++
    assert second.returncode == 1
    errors(first)


def test_a_process_that_fails_alone_ends_the_other():
    first, second = start("fails")
    assert errors(first)[-1] == (
        "error: process 1 of 2 ended with an error, which it names. "
        "The same command goes on from step 8"
    )
    assert first.returncode == 1
    assert errors(second)[0] == "error: it is full"
