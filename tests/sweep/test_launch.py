"""Slurm through submitit, with commands of Slurm that run the job here."""

import os
import re
import signal
import stat
import subprocess
import sys

import pytest

# First here, and not in a test: it configures logging anew, which makes absl close the stream that
# pytest gave it, unless that is still sys.stderr.
import submitit  # noqa: F401
from program import ROOT
from tiny import ALL

from score_sde.sweep import launch

pytestmark = pytest.mark.slow

# What sbatch is given is run at once; what srun is given, without its own flags.
SBATCH = """#!/bin/sh
number=$(($(cat "$SLURM_FAKE/number" 2>/dev/null || echo 100) + 1))
echo $number > "$SLURM_FAKE/number"
cp "$1" "$SLURM_FAKE/$number.sh"
SLURM_JOB_ID=$number SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0 \
  SLURM_NNODES=1 SLURM_JOB_NUM_NODES=1 SLURM_JOB_NODELIST=here \
  sh "$SLURM_FAKE/$number.sh" > "$SLURM_FAKE/$number.log" 2>&1 < /dev/null &
echo "Submitted batch job $number"
"""
SRUN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do
  case "$1" in --output|--error) shift 2 ;; *) shift ;; esac
done
exec "$@"
"""
SACCT = """#!/bin/sh
echo "JobID|State|NodeList"
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "sacct": SACCT, "scancel": ""}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_FAKE", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    return tmp_path


def test_jobs_run_on_slurm(tiny, cluster):
    tiny.edit('"wide": {"model.channels": 16}', "")
    tiny.set("fail", "measure-8-9", "1")
    code, out, err = tiny(
        "run", "--launcher=slurm", "--slurm.partition=gpu", "--slurm.time=60", "--parallel=2"
    )
    log = "".join(path.read_text() for path in cluster.glob("*.log"))
    assert code == 0, out + err + log
    assert sorted(tiny.calls) == sorted([*ALL[:3], "measure-8-9"])
    # Of what failed there the reason is known here.
    assert "retry  narrow | long, seed 0: exit code 3: boom (see " in out
    script = (cluster / "101.sh").read_text()
    assert re.search(r"^#SBATCH --partition=gpu$", script, re.M)
    assert re.search(r"^#SBATCH --time=60$", script, re.M)
    assert len(tiny.results) == 2


def test_a_parameter_that_slurm_lacks_is_one_line(tiny, cluster):
    code, _, err = tiny("run", "--launcher=slurm", "--slurm.partitoin=gpu")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert "partitoin" in err


def test_a_job_that_slurm_refuses_is_one_line(tiny, cluster):
    sbatch = cluster / "bin" / "sbatch"
    sbatch.write_text("#!/bin/sh\necho 'sbatch: error: invalid partition: gpuu' >&2\nexit 1\n")
    code, _, err = tiny("run", "--launcher=slurm", "--slurm.partition=gpuu")
    assert code == 2
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert line == err.splitlines()[-1]
    assert "a job cannot be submitted: " in line
    assert "invalid partition: gpuu" in line


def test_without_slurm_the_launcher_says_so(tiny, monkeypatch):
    monkeypatch.setenv("PATH", "")
    code, _, err = tiny("run", "--launcher=slurm")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert 'Could not detect "srun"' in err


def test_without_submitit_the_launcher_says_what_to_install(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    code, _, err = tiny("run", "--launcher=slurm")
    assert code == 2
    assert err == (
        'error: --launcher=slurm needs submitit: pip install -e ".[slurm]", or leave it out\n'
    )


def test_a_program_on_a_cluster_outlives_the_warning_and_ends_on_sigterm():
    process = launch._deaf(["sleep", "60"])
    process.send_signal(signal.SIGUSR2)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    process.terminate()
    assert process.wait(20) == -signal.SIGTERM
