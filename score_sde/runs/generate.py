"""Drawing images with a model, in batches, over a mesh.

Image i is drawn from fold_in(key, i): its start, its label and all of its noise. So it is the same
image whatever the batch size and the number of devices, up to rounding, unless the sampler itself
couples a batch (its `coupling` says how).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from score_sde import keys
from score_sde.errors import UserError, solver_error_as
from score_sde.guidance.task import Inputs, Task
from score_sde.models.functional import Arrays
from score_sde.runs.build import Experiment
from score_sde.training.sharding import batch_sharding, replicated, to_devices


def image_key(seed: int, sampling_seed: int) -> jax.Array:
    """The key that a run's images are drawn from.

    Args:
        seed: of the run.
        sampling_seed: of this set of images.
    """
    key = jax.random.fold_in(jax.random.key(seed), 4)  # 0 to 3 are training's
    return jax.random.fold_in(key, sampling_seed)


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

        def draw(
            params: Arrays,
            constants: Arrays,
            key: jax.Array,
            start: jax.Array,
            task: Task,
            inputs: Inputs,
        ):
            sde, numbers = experiment.sde, start + jnp.arange(self.batch_size)
            each = keys.of_examples(key, jax.lax.with_sharding_constraint(numbers, sharding))
            key_prior, key_labels, key_noise = (keys.fold_in(each, i) for i in range(3))
            inputs = jax.lax.with_sharding_constraint(inputs, sharding)
            if "image" in inputs:
                inputs["image"] = experiment.from_images(inputs["image"])
            if experiment.conditional and "label" not in inputs:
                classes = experiment.data.num_classes
                inputs["label"] = jax.vmap(lambda k: jax.random.randint(k, (), 0, classes))(
                    key_labels
                )
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

    def batches(
        self,
        params: Arrays,
        constants: Arrays,
        key: jax.Array,
        number: int,
        task: Task = Task(),  # noqa: B008 - it is frozen
        inputs: dict[str, np.ndarray] | None = None,
        first: int = 0,
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Draw images, a batch at a time.

        Args:
            params: trainable parameters, or a moving average of them.
            constants: the model's other arrays.
            key: JAX random key; each image folds in its number.
            number: how many images.
            task: what is asked of the model.
            inputs: what the task needs of each image, the same on every process: "image", uint8
                [number, H, W, C], and "label", [number].
            first: the number of the first image to draw: those before it are left out.

        Yields:
            uint8 [batch, H, W, C] on the host, and the function evaluations of that batch. The
            last batch has only the images that are left.

        Raises:
            UserError: the adaptive solver gave up.
        """
        task = to_devices(self._everywhere, jax.device_get(task))
        for start in range(first, number, self.batch_size):
            # The last batch is filled up: with more images, for which the last inputs are repeated.
            rows = np.minimum(np.arange(start, start + self.batch_size), number - 1)
            given = {name: array[rows] for name, array in (inputs or {}).items()}
            given = to_devices(self._everywhere, given)
            with solver_error_as(UserError):
                batch, nfe = self._draw(params, constants, key, start, task, given)
                batch = multihost_utils.process_allgather(batch, tiled=True)
            yield batch[: number - start], int(nfe)

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
        """Draw all images, as `batches` does.

        Args:
            params: as for `batches`, with key, number, task and inputs.
            constants: as for `batches`.
            key: as for `batches`.
            number: as for `batches`.
            on_batch: called with the number of images done after each batch.
            task: as for `batches`.
            inputs: as for `batches`.

        Returns:
            uint8 [number, H, W, C] on the host, and the function evaluations of the last batch.
        """
        drawn, evaluations, done = [], [0], 0
        for batch, nfe in self.batches(params, constants, key, number, task, inputs):
            drawn.append(batch)
            evaluations.append(nfe)
            done += len(batch)
            on_batch(done)
        return np.concatenate(drawn), evaluations[-1]
