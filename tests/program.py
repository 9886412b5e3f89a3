"""Running the real program: main.py in a process of its own, with a network that compiles fast."""

import contextlib
import csv
import io
import os
import signal
import subprocess
import sys
import time
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


def environment(devices=1, **more):
    """The environment of a user with so many (virtual) CPU devices, whatever the tests' own is.

    XLA compiles soon rather than well, and what Python compiled of the sources is kept.
    """
    others = ("JAX_ENABLE_X64", "PYTHONDONTWRITEBYTECODE")
    clean = {k: v for k, v in os.environ.items() if k not in others}
    own = {
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # they take few steps
        "PYTHONUNBUFFERED": "1",
        "XLA_FLAGS": f"{fast_compilation.FLAGS} --xla_force_host_platform_device_count={devices}",
    }
    return {**clean, **own, **more}


def run(*arguments, timeout=300, devices=1, **env):
    """Run main.py to its end."""
    return subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        env=environment(devices, **env),
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def called(*arguments):
    """What the program answers, called in this process: as `run`, without its start."""
    return _called(io.StringIO(), arguments)


def refused(*arguments):
    """The one line of a refused command, called in this process: there are many of them."""
    return error_of(called(*arguments))


def error_of(result):
    """The one line of a refused command."""
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def files(folder):
    """Every file below a folder, with its content."""
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def called_command(main, *arguments):
    """As `called`, of another command: its main function, which takes arguments alone."""
    return _called(io.StringIO(), arguments, lambda argv: main(argv[1:]))


def called_until(text, act, *arguments):
    """As `called`; when it prints a line with this text, act() is called, once."""
    out = _Watched(text, act)
    result = _called(out, arguments)
    assert out.act is None, f"{text!r} is not in {result.stdout!r}: {result.stderr}"
    return result


class _Watched(io.StringIO):
    def __init__(self, text, act):
        super().__init__()
        self.text, self.act = text, act

    def write(self, text):
        if self.act and self.text in text:
            act, self.act = self.act, None
            act()
        return super().write(text)


def _called(out, arguments, main=None):
    import score_sde.cli

    main = main or score_sde.cli.main
    err = io.StringIO()
    with (
        contextlib.chdir(ROOT),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        compiled_before(),
    ):
        code = main(["main.py", *arguments])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def compiled_before():
    """What was compiled is found again, whoever did it, and compiled soon, as by `run`."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    options = {
        "jax_compilation_cache_dir": os.environ.get("JAX_COMPILATION_CACHE_DIR"),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_disable_most_optimizations": True,
    }
    before = {name: jax.config.values[name] for name in options}

    def use(values):
        for name, value in values.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()  # it looks at them once

    use(options)
    try:
        yield
    finally:
        use(before)


def start(*arguments, devices=1, **env):
    """Start main.py; its output and errors come together."""
    return subprocess.Popen(
        [sys.executable, "main.py", *arguments],
        cwd=ROOT,
        env=environment(devices, **env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_until(text, number, *arguments, **env):
    """Run main.py until it prints a line with this text, send it a signal, and wait for its end.

    Args:
        text: or a function that says whether it is time.

    Returns:
        The exit code, and everything it printed.
    """
    process = start(*arguments, **env)
    printed = []
    if callable(text):
        while not text() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(number)
        printed = process.communicate(timeout=300)[0]
        return process.returncode, printed
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
