"""Shared test set-up: strict shapes, float64 on request, and where the reference data lies."""

import os
import sys
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests, and the programs that they start, leave the user's cache of compiled functions alone.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", "")
# Compiling takes longer than what is compiled, of sampling and statistics too: XLA is to be quick.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# Two processes share the cores. BLAS's threads wait for each other by turning, and where one has no
# core all that it waits for is lost: the eigenvalues of a matrix take a hundred times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import fast_compilation  # it sets the flags that XLA reads once
import jax
import pytest
from program import SMALL, called, compiled_before
from terminal import Terminal, collect_seldom

# An implicit rank promotion is nearly always a missing reshape of a per-example coefficient.
jax.config.update("jax_numpy_rank_promotion", "raise")

collect_seldom()
fast_compilation.share_dialects()
fast_compilation.share_executables()

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def pytest_collection_modifyitems(items):
    """`pytest -m quick` is all but the files that are marked slow, which come first.

    So the two processes end together: what is left at the end is small.
    """
    for item in items:
        if item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.quick)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture
def x64():
    """Run a test in float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def quick_compile(compilation_cache):
    """Compile the same function once, whichever process does: for programs that others run too."""
    with compiled_before():
        yield


@pytest.fixture(scope="module")
def well_compiled():
    """Compile well: for programs of many steps and states, which run longer than XLA takes."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def shared():
    """Folder of reference outputs and data; it exists beside developers' checkouts and in their CI.

    GitHub's has the repository alone, as users do.
    """
    if not SHARED.exists():
        if os.environ.get("CI") and not os.environ.get("GITHUB_ACTIONS"):
            pytest.fail(f"{SHARED} is missing in CI, where it must exist")
        pytest.skip("needs the developers' reference data (../shared), which users do not have")
    return SHARED


@pytest.fixture(scope="session")
def compilation_cache(tmp_path_factory):
    """The programs that tests run compile the same functions: once is enough, for all processes."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder / "compiled"))
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        yield


@pytest.fixture(autouse=True)
def nothing_stays_registered():
    """What a test registers, or a recipe that it reads, is gone after it."""
    yield
    for module in ("score_sde.data.load", "score_sde.processes"):
        if module in sys.modules:
            sys.modules[module]._REGISTERED.clear()


@pytest.fixture(scope="session")
def eight_devices(compilation_cache):
    """A process with eight (virtual) devices, in which code is executed and programs are run."""
    with Terminal(ROOT, devices=8, PYTHONPATH=os.pathsep.join(sys.path)) as terminal:
        yield terminal


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """The digits, prepared once."""
    from score_sde import data

    folder = tmp_path_factory.mktemp("tfds")
    data.load("digits", data_dir=folder)
    return folder


@pytest.fixture(scope="session")
def small(data_dir, compilation_cache):
    """Arguments of a small run, but for its folder."""
    return (*SMALL, f"--config.data.dir={data_dir}")


@pytest.fixture(scope="session")
def finished(small, tmp_path_factory):
    """A run that was never interrupted: its folder and what it printed."""
    workdir = tmp_path_factory.mktemp("runs") / "finished"
    result = called(*small, f"--workdir={workdir}", "--config.training.sample_every=6")
    assert result.returncode == 0, result.stderr
    return workdir, result.stdout
