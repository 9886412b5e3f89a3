"""A study whose programs are a script of a few lines, so that a sweep of it takes a second."""

import os
import subprocess
import sys
import threading
import time

from program import ROOT, environment

from score_sde.sweep.__main__ import main

STUDY = """
from pathlib import Path

from score_sde.sweep import Metric, Program, Study, axis, product

SCRIPT = str(Path(__file__).parent / "work.py")


def program(task, creates):
    return Program(("{python}", SCRIPT, task, "{run}", "{steps}", "{config}"), creates=creates)


def study(**more):
    return Study(
        title="Tiny",
        points=product(
            axis("width", {"narrow": {"model.channels": 8}, "wide": {"model.channels": 16}}),
            axis("solver", {"short": {"sampling.steps": 5}, "long": {"sampling.steps": 9}}),
        ),
        base={"config": "configs/digits_vp.py"},
        train=[program("train", "checkpoints/{steps}")],
        evaluate=[program("measure", "evaluation.json")],
        metrics=[Metric("score", "score")],
        **more,
    )


def smoke():
    return study(note="in small")
"""

WORK = """
import json
import sys
import time
from pathlib import Path

here = Path(__file__).parent
task, run, steps, *arguments = sys.argv[1:]
fields = dict(argument.split("=", 1) for argument in arguments)
name = task + "-" + fields["--config.model.channels"]
if task == "measure":
    name += "-" + fields["--config.sampling.steps"]
with (here / "calls").open("a") as file:
    file.write(name + "\\n")
(here / f"started-{name}").touch()
limit = time.monotonic() + 120
while (here / f"hold-{name}").exists() and time.monotonic() < limit:
    time.sleep(0.02)
fail = here / f"fail-{name}"
if fail.exists() and (here / "calls").read_text().split().count(name) <= int(fail.read_text()):
    print("boom")
    sys.exit(3)
if task == "train":
    (Path(run) / "checkpoints" / steps).mkdir(parents=True, exist_ok=True)
    (Path(run) / "config.json").write_text("{}")
else:
    assert (Path(run) / "checkpoints" / steps).is_dir()
    (Path(run) / "evaluation.json").write_text(json.dumps({"score": 0.5}))
"""

# In the order in which one job at a time does them.
ALL = (
    "train-8",
    "measure-8-5",
    "measure-8-9",
    "train-16",
    "measure-16-5",
    "measure-16-9",
)


class Tiny:
    """The study in a folder, and what its programs have done."""

    def __init__(self, folder, capsys):
        self.folder, self._capsys = folder, capsys
        folder.mkdir()
        self.write(STUDY)
        (folder / "work.py").write_text(WORK)

    def write(self, text):
        (self.folder / "sweep.py").write_text(text)

    def edit(self, old, new):
        assert old in STUDY
        self.write(STUDY.replace(old, new))

    @property
    def calls(self):
        path = self.folder / "calls"
        return path.read_text().split() if path.exists() else []

    @property
    def results(self):
        return sorted((self.folder / "results").glob("*.json"))

    def set(self, word, name, text=""):
        (self.folder / f"{word}-{name}").write_text(text)

    def release(self, name):
        (self.folder / f"hold-{name}").unlink()

    def wait(self, name):
        """Wait until a program runs."""
        limit = time.monotonic() + 60
        while not (self.folder / f"started-{name}").exists():
            assert time.monotonic() < limit, f"{name} was not started"
            time.sleep(0.02)

    def __call__(self, command, *arguments):
        """The sweep's command line in this process: its exit code, output and errors."""
        self._capsys.readouterr()
        code = main(["sweep", command, str(self.folder), *arguments])
        return code, *self._capsys.readouterr()

    def start(self, *arguments, stderr=subprocess.STDOUT):
        """The real command, for two minutes at most."""
        process = subprocess.Popen(
            [sys.executable, "-m", "score_sde.sweep", "run", str(self.folder), *arguments],
            cwd=ROOT,
            env=environment(PYTHONPATH=os.pathsep.join([str(ROOT), *sys.path])),
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
        watchdog = threading.Timer(120, process.kill)
        watchdog.daemon = True
        watchdog.start()
        return process
