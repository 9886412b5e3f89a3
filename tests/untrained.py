"""Runs that need no training: random numbers in every array, so that each has an effect."""

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.data import selection
from score_sde.models.functional import put
from score_sde.runs import begun, build
from score_sde.runs import config as configs
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.optimizer import optimizer
from score_sde.training.state import TrainState


def untrained_run(workdir, config, **fields):
    """A run at step 0 of a config with other values in some fields; the images need not be there.

    Its averages are other random numbers than its parameters. No program is compiled for it.
    """
    for path, value in fields.items():
        configs.set_field(config, path, value)
    experiment = build.experiment(config, selection.read(config.data).describe())
    rng = np.random.default_rng(0)
    shapes, constants = experiment.network.shapes
    params = _random(rng, shapes)
    begin = optimizer(experiment.optim, experiment.training.steps).init
    state = TrainState(
        step=jnp.asarray(0),
        params=params,
        constants=_random(rng, constants),
        optimizer=jax.tree.map(_zeros, jax.eval_shape(begin, params)),
        ema={str(decay): _random(rng, shapes) for decay in experiment.training.ema_decays},
    )
    workdir.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(workdir / "checkpoints")
    checkpoints.save(state, {"next_index": 0}, configs.to_json(config))
    checkpoints.close()
    begun.begin(workdir, config, experiment)
    return workdir


def _zeros(array):
    return put(np.zeros(array.shape), array.dtype)


def _random(rng, shapes):
    return {
        name: put(0.2 * rng.standard_normal(array.shape), array.dtype)
        for name, array in shapes.items()
    }
