"""On a mesh of four (virtual) devices, a batch in four parts is sampled as one batch."""

import pytest

pytestmark = pytest.mark.slow

CODE = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from score_sde import VE, samplers
from sampler_oracles import mixture

with jax.enable_x64(True):
    mesh = jax.make_mesh(
        (4,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4]
    )
    sde, key = VE(), jax.random.key(0)
    x_init = sde.prior_sample(key, (8, 2))
    sharded = jax.device_put(x_init, NamedSharding(mesh, PartitionSpec("data")))
    for name, options in (("predictor_corrector", {"steps": 20}), ("rk45", {})):
        sampler = samplers.get(name, **options)
        run = lambda key, x: sampler(key, mixture(sde), sde, x_init=x).x
        whole, parts = jax.jit(run)(key, x_init), jax.jit(run)(key, sharded)
        assert whole.dtype == np.float64
        assert parts.sharding.is_equivalent_to(sharded.sharding, 2), parts.sharding
        np.testing.assert_allclose(whole, parts, rtol=1e-9)
"""


def test_sharded_batch(eight_devices):
    """Langevin's norms and rk45's step size are those of the global batch."""
    eight_devices.execute(CODE, "sharded")
