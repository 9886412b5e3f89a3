"""Numbers are the same on one device and on eight."""

import json

import numpy as np
import pytest

pytestmark = pytest.mark.slow

CODE = """
import dataclasses, json, pathlib
import jax, numpy as np
import score_sde
from made_subject import made_subject
from score_sde import analytic
from jax.sharding import AxisType
from score_sde.evaluation import extractors
from score_sde.evaluation.judgement import judge
from score_sde.evaluation.metrics.fid import FID
from score_sde.evaluation.metrics.kid import KID
from score_sde.evaluation.metrics.loss_by_time import LossByTime
from score_sde.evaluation.metrics.precision_recall import PrecisionRecall
from score_sde.evaluation.metrics.variational_bound import VariationalBound
from score_sde.evaluation.moments import moments
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn
from score_sde.training.sharding import AXES

images = np.random.default_rng(0).integers(0, 256, (2, 90, 2, 2, 1), np.uint8)
judges = {"fid": FID(), "kid": KID(size=20, subsets=5), "precision_recall": PrecisionRecall()}
for devices in (1, 8):
    mesh = jax.make_mesh(
        (devices, 1, 1), AXES, (AxisType.Auto,) * 3, devices=jax.devices()[:devices]
    )
    def features(images):
        batches = np.split(images, [30, 60])
        found = extractors.extract(extractors.pixels, batches, mesh, 30)
        return np.concatenate([f.features for f in found])
    drawn, real = map(features, images)
    found = judge(Drawn(drawn), Reference(*moments(real), 90, real), judges, 0, mesh)
    sde, folder = score_sde.VP(), pathlib.Path(FOLDER) / str(devices)
    denoise = analytic.gaussian(sde, np.zeros((2, 2, 1)), 0.6)
    what, _ = made_subject(folder, sde, denoise, np.arange(40).reshape(10, 2, 2, 1) % 17, 17)
    what = dataclasses.replace(what, mesh=mesh, batch_size=8)
    bound = VariationalBound(steps=10).prepare(what)()["variational_bound"]
    curve = LossByTime(points=5).prepare(what)()["loss_by_time"]
    found["bound"] = {name: bound[name] for name in ("value", "standard_error")}
    found["curve"] = curve["curve"]
    found["protocol"] = {"bound": json.dumps(bound["protocol"])}
    folder.with_suffix(".json").write_text(json.dumps(found))
"""


def test_one_device_and_eight(eight_devices, tmp_path):
    eight_devices.execute(CODE.replace("FOLDER", repr(str(tmp_path))), "devices")
    one, eight = (json.loads((tmp_path / f"{n}.json").read_text()) for n in (1, 8))
    assert 0 < one["precision"]["value"] < 1
    assert eight.pop("protocol") == one.pop("protocol")
    for name, metric in one.items():
        for field, value in metric.items():
            np.testing.assert_allclose(eight[name][field], value, rtol=1e-5, atol=1e-8)
