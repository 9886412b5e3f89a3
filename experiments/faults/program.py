"""The real program, in small: started, watched, sent signals, and what it leaves compared."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import score_sde
from experiments.faults.place import Place

ROOT = Path(__file__).resolve().parents[2]
SIGKILL, SIGTERM, SIGINT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
STEPS = 100
RECIPE = "configs/toy_moons.py"
# A network that compiles in a second, and saves often.
SMALL = {
    "model.channels": 64,
    "model.depth": 2,
    "training.batch_size": 16,
    "training.steps": STEPS,
    "training.steps_per_call": 2,
    "training.log_every": 2,
    "training.eval_every": 0,
    "training.sample_every": 0,
    "training.checkpoint_every": 10,
    "training.keep_last": 3,
    "sampling.sampler": "ddim",
    "sampling.steps": 5,
    "sampling.batch_size": 20,
}
NEW_STEP = re.compile(r"step \d+/|done: ")
_PATIENCE = 900.0  # seconds; what takes longer hangs


class Program:
    """A program under way, in a session of its own.

    Args:
        words: after `python`.
        devices: how many (virtual) devices it has.
        before: words of a command that starts it in another way.
        **more: of its environment.
    """

    def __init__(
        self, *words: str, devices: int = 1, before: Sequence[str] = (), place: Place, **more: str
    ):
        self._began = time.monotonic()
        self._lines: list[tuple[float, str]] = []
        self._process = subprocess.Popen(
            [*before, sys.executable, *words],
            cwd=ROOT,
            env=_environment(place, devices) | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.append((self.age, line))

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._began

    @property
    def text(self) -> str:
        """All that it printed so far, on stdout and stderr."""
        return "".join(line for _, line in self._lines)

    def at(self, pattern: re.Pattern[str]) -> float | None:
        """When it printed the first line with this pattern, in seconds from its start."""
        return next(iter(self.all(pattern)), None)

    def all(self, pattern: re.Pattern[str]) -> list[float]:
        """When it printed lines with this pattern."""
        return [at for at, line in self._lines if pattern.search(line)]

    def recovery(self, pattern: re.Pattern[str] = NEW_STEP) -> float:
        """When it printed that it goes on or is done; how old it is if it did not."""
        took = self.at(pattern)
        return self.age if took is None else took

    def wait(self, until: Callable[[], object]) -> bool:
        """Wait until something is true; False if it ended before."""
        while not until():
            if self._process.poll() is not None:
                return bool(until())
            if self.age > _PATIENCE:
                raise TimeoutError(f"waited for {_PATIENCE:.0f} s: {self.text[-500:]}")
            time.sleep(0.002)
        return True

    def reach(self, age: float) -> bool:
        """Wait until it is so many seconds old; False if it ended before."""
        return self.wait(lambda: self.age >= age)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program, and not to those that it has started."""
        self._process.send_signal(number)

    def kill_all(self) -> None:
        """SIGKILL to it and all that it has started, as when a machine loses its power."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> int:
        """Wait for its end; the exit code."""
        try:
            code = self._process.wait(max(_PATIENCE - self.age, 1))
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise
        self._reader.join(10)
        return code


def _environment(place: Place, devices: int) -> dict[str, str]:
    """That of a user with so many devices; XLA compiles soon rather than well, and only once."""
    return os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(place.folder / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONUNBUFFERED": "1",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }


def training(workdir: Path, *more: str) -> tuple[str, ...]:
    """The command that trains in a folder."""
    flags = (f"--config.{name}={value}" for name, value in SMALL.items())
    return "main.py", f"--config={RECIPE}", *flags, f"--workdir={workdir}", *more


@functools.cache
def finished(place: Place) -> tuple[Path, float]:
    """A run that was never disturbed, and how long it took with what is compiled already there."""
    for name in ("first", "finished"):
        workdir = place.folder / name
        program = Program(*training(workdir), place=place)
        if program.end():
            raise RuntimeError(f"the undisturbed run failed: {program.text}")
    place.say(f"the undisturbed run took {program.age:.1f} s")
    return workdir, program.age


def copy(place: Place, name: str) -> Path:
    """A copy of the undisturbed run."""
    workdir = place.folder / name
    shutil.copytree(finished(place)[0], workdir)
    return workdir


def same_state(place: Place, workdir: Path) -> bool:
    """Whether a run's last checkpoint is that of the undisturbed one, to the last bit.

    Its record has the digests of all arrays, which are compared with the arrays when those of the
    network are read; they are compared one by one as well.
    """
    runs = finished(place)[0], workdir
    paths = [run / "checkpoints" / str(STEPS) / "record" / "metadata" for run in runs]
    if not all(path.exists() for path in paths):
        return False
    one, other = (json.loads(path.read_text()) for path in paths)
    return one == other and all(
        _same_arrays(*(score_sde.load(run, weights=weights).params for run in runs))
        for weights in ("raw", "ema")
    )


def _same_arrays(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        np.asarray(one[name]).tobytes() == np.asarray(other[name]).tobytes() for name in one
    )


def one_line(text: str, word: str = "error: ") -> bool:
    """Whether what was printed has one line of that kind, and no traceback."""
    lines = [line for line in text.splitlines() if line.startswith(word)]
    return len(lines) == 1 and "Traceback" not in text
