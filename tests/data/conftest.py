"""Data folders built once per session, never in the home directory."""

import os
import subprocess
import sys

import numpy as np
import pytest
from made_info import image_info

from score_sde import data


@pytest.fixture(scope="session")
def digits_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("tfds")
    data.load("digits", data_dir=path)
    return path


@pytest.fixture
def python():
    """Runs a child Python that imports what this one does, wherever pytest was started."""

    def start(*arguments, first_on_path=()):
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*first_on_path, *sys.path])},
        )

    return start


@pytest.fixture
def counting():
    """A source of n examples whose pixels and label hold their position; cached or not."""

    def make(size, cache_bytes=data.base.CACHE_BYTES):
        def read(indices):
            images = np.broadcast_to(indices[:, None, None, None], (len(indices), 2, 2, 1))
            return {"image": images.astype(np.uint8), "label": indices.astype(np.int32)}

        info = image_info("counting", "train", size, (2, 2, 1), classes=max(size, 1))
        return data.Source(info, read, cache_bytes=cache_bytes)

    return make
