"""Numbers are the same on one device and on eight."""

import json
import os
import subprocess
import sys

import numpy as np

CODE = """
import json
import jax, numpy as np
from jax.sharding import AxisType
from score_sde.evaluation import extractors
from score_sde.evaluation.frechet import moments
from score_sde.evaluation.options import SampleOptions
from score_sde.evaluation.quality import judge
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn

images = np.random.default_rng(0).integers(0, 256, (2, 90, 2, 2, 1), np.uint8)
options = SampleOptions(num_samples=90, kid_size=20, kid_subsets=5)
names = "fid", "kid", "precision_recall"
for devices in (1, 8):
    mesh = jax.make_mesh(
        (devices, 1), ("data", "fsdp"), (AxisType.Auto,) * 2, devices=jax.devices()[:devices]
    )
    def features(images):
        batches = np.split(images, [30, 60])
        found = extractors.extract(extractors.pixels, batches, mesh, 30)
        return np.concatenate([f.features for f in found])
    drawn, real = map(features, images)
    found = judge(Drawn(drawn, None), Reference(*moments(real), 90, real), options, names, 0, mesh)
    print(json.dumps(found))
"""


def test_one_device_and_eight():
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE], check=True, env=environment, capture_output=True, text=True
    )
    one, eight = map(json.loads, done.stdout.splitlines())
    assert 0 < one["precision"]["value"] < 1
    for name, metric in one.items():
        for field, value in metric.items():
            np.testing.assert_allclose(eight[name][field], value, rtol=1e-5, atol=1e-8)
