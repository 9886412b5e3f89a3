"""Running the real program: main.py in a process of its own, with a network that compiles fast."""

import contextlib
import csv
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import fast_compilation

ROOT = Path(__file__).resolve().parent.parent

# Everything that the real recipe does, in 12 steps of a network with a few thousand parameters.
SMALL = (
    "--config=configs/digits_vp.py",
    "--config.model.channels=24",  # wide enough for FSDP to have arrays to split
    "--config.model.channel_mult=(1,)",
    "--config.model.num_res_blocks=1",
    "--config.model.attn_resolutions=()",
    "--config.training.ema_decays=(0.995,0.9)",
    "--config.training.batch_size=16",
    "--config.training.steps=12",
    "--config.training.steps_per_call=2",
    "--config.training.log_every=2",
    "--config.training.eval_every=6",
    "--config.training.sample_every=0",
    "--config.training.checkpoint_every=4",
    "--config.evaluation.batch_size=256",
    "--config.optim.learning_rate=1e-3",
    "--config.optim.warmup=4",
    "--config.sampling.steps=5",
    "--config.sampling.num_samples=16",
)


def environment(**more):
    """The environment of a user with one CPU device, whatever the tests' own is."""
    clean = {k: v for k, v in os.environ.items() if k != "JAX_ENABLE_X64"}
    own = {"JAX_PLATFORMS": "cpu", "PYTHONUNBUFFERED": "1", "XLA_FLAGS": fast_compilation.FLAGS}
    return {**clean, **own, **more}


# For programs that take a few steps of what takes long to compile.
QUICK = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


def run(*arguments, timeout=300, **env):
    """Run main.py to its end."""
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def called(*arguments):
    """What the program answers, called in this process: as `run`, without its start."""
    from score_sde.cli import main

    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(ROOT),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        _compiled_before(),
    ):
        code = main(["main.py", *arguments])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _compiled_before():
    """What other processes compiled is found, as by a process that is started with its folder."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    options = {
        "jax_compilation_cache_dir": os.environ.get("JAX_COMPILATION_CACHE_DIR"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in options}

    def use(values):
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()  # it looks at them once

    use(options)
    try:
        yield
    finally:
        use(before)


def start(*arguments, **env):
    """Start main.py; its output and errors come together."""
    return subprocess.Popen(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_until(text, number, *arguments, **env):
    """Run main.py until it prints a line with this text, send it a signal, and wait for its end.

    Returns:
        The exit code, and everything it printed.
    """
    process = start(*arguments, **env)
    printed = []
    for line in process.stdout:
        printed.append(line)
        if text in line:
            process.send_signal(number)
            break
    printed.append(process.communicate(timeout=300)[0])
    assert text in "".join(printed), "".join(printed)
    return process.returncode, "".join(printed)


def metrics(workdir):
    """The rows of a run's metrics.csv."""
    with (workdir / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


SIGKILL, SIGTERM, SIGINT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
