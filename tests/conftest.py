"""Shared test set-up: strict shapes, float64 on request, and where the reference data lies."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import pytest

# An implicit rank promotion is nearly always a missing reshape of a per-example coefficient.
jax.config.update("jax_numpy_rank_promotion", "raise")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


@pytest.fixture
def x64():
    """Run a test in float64."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def shared():
    """Folder of reference outputs and data; it exists beside developers' checkouts and in CI."""
    if not SHARED.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{SHARED} is missing in CI, where it must exist")
        pytest.skip("needs the developers' reference data (../shared), which users do not have")
    return SHARED
