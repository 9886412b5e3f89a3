"""Benchmarks run as the README types them, from a checkout and nothing else on the path."""

import subprocess
import sys

import pytest
from program import ROOT, environment
from untrained import untrained_run

from score_sde.runs import config as configs

pytestmark = pytest.mark.slow


def benchmark(name, *arguments):
    return subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", *map(str, arguments)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_cost_of_a_likelihood(tmp_path):
    config = configs.default()
    config.model.channels, config.model.channel_mult = 4, (1,)
    config.model.attn_resolutions = ()
    result = benchmark("likelihood", untrained_run(tmp_path / "run", config))
    assert result.returncode == 0, result.stderr
    assert "one evaluation with its jvp" in result.stdout
    assert float(result.stdout.split("ratio ")[1]) > 0


def test_bad_input_is_one_line(tmp_path):
    for arguments, message in (((), "usage: "), ((tmp_path,), "no run in")):
        result = benchmark("likelihood", *arguments)
        assert result.returncode == 2
        assert result.stderr.startswith(f"error: {message}")
        assert result.stderr.count("\n") == 1
