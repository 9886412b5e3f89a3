"""Drawing images with a model, in batches, over a mesh."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from score_sde.build import Experiment
from score_sde.errors import UserError
from score_sde.models.functional import Arrays
from score_sde.samplers.ode import solver_error_as
from score_sde.tasks import Inputs, Task
from score_sde.training.sharding import batch_sharding, replicated, to_devices


class Generator:
    """Draws batches of images; compiled once.

    Args:
        experiment: what to sample.
        mesh: the devices that share a batch.
        batch_size: images a batch; rounded up to a multiple of the number of devices.
    """

    def __init__(self, experiment: Experiment, mesh: Mesh, batch_size: int):
        self.batch_size = -(-batch_size // mesh.size) * mesh.size
        sharding = batch_sharding(mesh)
        shape = (self.batch_size, *experiment.data.shape)

        def draw(params: Arrays, constants: Arrays, key: jax.Array, task: Task, inputs: Inputs):
            key_prior, key_labels, key_noise = jax.random.split(key, 3)
            sde = experiment.sde
            inputs = jax.lax.with_sharding_constraint(inputs, sharding)
            if "image" in inputs:
                inputs["image"] = experiment.from_images(inputs["image"])
            if experiment.conditional and "label" not in inputs:
                classes = experiment.data.num_classes
                inputs["label"] = jax.random.randint(key_labels, shape[:1], 0, classes)
            prior = sde.prior_sample(key_prior, shape, jnp.float32)
            prior = jax.lax.with_sharding_constraint(prior, sharding)
            out = experiment.sampler(
                key_noise,
                task.denoiser(experiment.denoiser(params, constants), sde, inputs),
                sde,
                x_init=task.start(sde, prior, inputs),
                cond=inputs.get("label"),
            )
            return experiment.to_images(task.finish(out.x, inputs)), out.nfe

        self._draw = jax.jit(draw, out_shardings=(sharding, replicated(mesh)))
        self._everywhere = replicated(mesh)

    def __call__(
        self,
        params: Arrays,
        constants: Arrays,
        key: jax.Array,
        number: int,
        on_batch: Callable[[int], None] = lambda done: None,
        task: Task = Task(),  # noqa: B008 - it is frozen
        inputs: dict[str, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, int]:
        """Draw images.

        Args:
            params: trainable parameters, or a moving average of them.
            constants: the model's other arrays.
            key: JAX random key; each batch folds in its number.
            number: how many images.
            on_batch: called with the number of images done after each batch.
            task: what is asked of the model.
            inputs: what the task needs of each image, the same on every process: "image", uint8
                [number, H, W, C], and "label", [number].

        Returns:
            uint8 [number, H, W, C] on the host, and the function evaluations of the last batch.

        Raises:
            UserError: the adaptive solver gave up.
        """
        drawn, nfe = [], 0
        task = to_devices(self._everywhere, jax.device_get(task))
        for start in range(0, number, self.batch_size):
            # The last batch is filled up with copies of the last example.
            rows = np.minimum(np.arange(start, start + self.batch_size), number - 1)
            given = {name: array[rows] for name, array in (inputs or {}).items()}
            given = to_devices(self._everywhere, given)
            key_batch = jax.random.fold_in(key, len(drawn))
            with solver_error_as(UserError):
                batch, nfe = self._draw(params, constants, key_batch, task, given)
                drawn.append(multihost_utils.process_allgather(batch, tiled=True))
            on_batch(min(start + self.batch_size, number))
        return np.concatenate(drawn)[:number], int(nfe)
