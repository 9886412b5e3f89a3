"""Runs that need no training: random numbers in every parameter, so that each has an effect."""

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import build, runs
from score_sde import config as configs
from score_sde.data.known import describe
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.optimizer import optimizer
from score_sde.training.state import init_state


def untrained_run(workdir, config, **fields):
    """A run at step 0 of a config with other values in some fields; the images need not be there.

    Its averages are other random numbers than its parameters.
    """
    for path, value in fields.items():
        configs.set_field(config, path, value)
    data = config.data
    info = describe(data.name, data_dir=data.dir or None, image_size=data.image_size or None)
    experiment = build.experiment(config, info)
    decays = experiment.training.ema_decays
    make = optimizer(experiment.optim, experiment.training.steps)
    state = init_state(jax.random.key(0), experiment.model, make, decays)
    raw, *averages = (_random(state.params, seed) for seed in range(1 + len(decays)))
    named = {str(decay): average for decay, average in zip(decays, averages, strict=True)}
    checkpoints = Checkpoints(workdir / "checkpoints")
    state = state._replace(params=raw, ema=named)
    checkpoints.save(state, {"next_index": 0}, configs.to_json(config))
    checkpoints.close()
    runs.begin(workdir, config, experiment)
    return workdir


def _random(params, seed):
    rng = np.random.default_rng(seed)
    return {
        name: jnp.asarray(0.2 * rng.standard_normal(array.shape), jnp.float32)
        for name, array in params.items()
    }
