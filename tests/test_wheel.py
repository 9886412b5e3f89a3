"""What pip installs works without a checkout: the command, and the recipes by their names.

The wheel is built and installed as pip does it, into an environment of its own, which finds the
dependencies where they are.
"""

import json
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from program import ROOT, environment

from score_sde.version import __version__

pytestmark = pytest.mark.slow

FILES = ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "main.py")
FILES += ("CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "SECURITY.md")


def done(*command, folder):
    """What a command printed, without the checkout on its path."""
    clean = {k: v for k, v in environment().items() if k != "PYTHONPATH"}
    result = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def pip(*arguments, folder):
    quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
    return done(sys.executable, "-m", "pip", *quiet, *arguments, folder=folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of this code, with what its distributions are made of."""
    source = tmp_path_factory.mktemp("source")
    for name in ("score_sde", "configs"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=unwanted)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    return source


@pytest.fixture(scope="module")
def wheel(source):
    """The wheel of this code."""
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir=dist", ".", folder=source)
    (found,) = (source / "dist").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def scripts(wheel, tmp_path_factory):
    """The folder of commands of an environment in which the wheel is installed."""
    home = tmp_path_factory.mktemp("environment")
    done(sys.executable, "-m", "venv", "--without-pip", str(home), folder=home)
    python = home / "bin" / "python"
    (packages,) = home.glob("lib/python*/site-packages")
    # Lines of a .pth are folders to import from; an editable install in one of them has no effect.
    theirs = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("\n".join(theirs) + "\n")
    pip(f"--python={python}", "install", "--no-deps", "--no-index", str(wheel), folder=home)
    return home / "bin"


MODULES = {str(path.relative_to(ROOT)) for path in (ROOT / "score_sde").rglob("*.py")}
RECIPES = {str(path.relative_to(ROOT)) for path in ROOT.glob("configs/*.py")}
TYPED = {"score_sde/py.typed"}


def test_the_wheel_holds_the_package_and_the_recipes(wheel):
    """Each module, each recipe as a file of score_sde/configs/, and nothing else at the top."""
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    assert names == MODULES | {f"score_sde/{recipe}" for recipe in RECIPES} | TYPED


def test_the_wheel_says_what_it_is(wheel):
    """Its version, who made it, and its licence as the index reads it (PEP 639)."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        said = dict(line.split(": ", 1) for line in file.read(name).decode().splitlines()[:12])
    assert said["Version"] == __version__
    assert said["Author"] == "The score_sde developers"
    assert said["License-Expression"] == "Apache-2.0"
    assert "License" not in said


def test_the_source_distribution_holds_what_the_wheel_is_made_of(source):
    """The same, and the pages beside it; no tests, and nothing of a checkout."""
    make = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    done(sys.executable, "-c", make, folder=source)
    (found,) = (source / "dist").glob("*.tar.gz")
    with tarfile.open(found) as file:
        names = {name.partition("/")[2] for name in file.getnames() if "egg-info" not in name}
    made = {"PKG-INFO", "score_sde/configs", "tests"}
    names = {name for name in names if name and not (source / name).is_dir()} - made
    assert names == MODULES | RECIPES | TYPED | set(FILES)


# Two steps of a network that compiles in no time.
TINY = (
    "--config.model.channels=16",
    "--config.model.depth=1",
    "--config.training.batch_size=8",
    "--config.training.steps=2",
    "--config.training.steps_per_call=2",
    "--config.training.sample_every=0",
    "--config.training.eval_every=0",
    "--config.sampling.rk45.rtol=0.1",
    "--config.sampling.num_samples=8",
    "--config.evaluation.metrics=('log_likelihood',)",
    "--config.evaluation.num_examples=8",
    "--config.evaluation.batch_size=8",
    "--config.evaluation.log_likelihood.rtol=0.1",
)


def test_a_run_is_trained_sampled_evaluated_and_reported_elsewhere(scripts, tmp_path):
    """A recipe that builds on another is found by its name; the next command is as printed."""
    program, run = str(scripts / "score-sde"), tmp_path / "runs" / "toy_spirals"
    printed = done(program, "--config=toy_spirals", *TINY, folder=tmp_path)
    assert (run / "checkpoints" / "2").is_dir()
    following = shlex.split(printed.splitlines()[-1].split("Next: ")[1])
    assert following == [program, "--workdir=runs/toy_spirals", "--mode=sample"]
    done(*following, folder=tmp_path)
    assert np.load(run / "samples.npz")["samples"].shape == (8, 2)
    done(*following[:2], "--mode=evaluate", folder=tmp_path)
    value = json.loads((run / "evaluation.json").read_text())["log_likelihood"]["value"]
    (run / "report.html").unlink()
    done(str(scripts / "python"), "-m", "score_sde.report", str(run), folder=tmp_path)
    assert f"{value:.3f}"[:-1] in (run / "report.html").read_text()


def test_the_module_is_the_same_command(scripts, tmp_path):
    """It lists the recipes of the paper."""
    module = (str(scripts / "python"), "-m", "score_sde")
    assert "ve/cifar10_ncsnpp_continuous" in done(*module, "--config=paper:help", folder=tmp_path)
