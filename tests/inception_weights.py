"""The made-up weights of ../shared/golden/README.md, section inception."""

import json
import zlib

import numpy as np

from score_sde.formats import torch_writer


def make(key, shape, dtype):
    """One entry of the state dict."""
    if dtype == "torch.int64":
        return np.zeros(shape, np.int64)
    state = np.random.RandomState(zlib.crc32(key.encode()) & 0x7FFFFFFF)
    r = state.randn(*shape).astype(np.float32)
    if key.endswith("running_var"):
        return np.abs(r) + np.float32(0.5)
    if len(shape) >= 2:
        return r * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    return np.float32(0.1) * r + np.float32(key.endswith(".weight"))


def state_dict(shared):
    """All of them."""
    keys = json.loads((shared / "golden" / "inception_keys.json").read_text())
    return {key: make(key, shape, dtype) for key, shape, dtype in keys}


def write(shared, path):
    """A weight file; its path."""
    torch_writer.save(path, state_dict(shared))
    return path
