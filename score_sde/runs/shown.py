"""The pictures of a training: samples, or examples beside their reconstructions; and real ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from score_sde.autoencoder import KLAutoencoder
from score_sde.data import Source
from score_sde.errors import UserError
from score_sde.files import on_the_side
from score_sde.models.functional import Arrays
from score_sde.objectives import AUTOENCODER
from score_sde.runs import drawn, guide, identity
from score_sde.runs.experiment import Experiment
from score_sde.runs.generate import Generator, borrowed
from score_sde.runs.streams import Stream
from score_sde.spaces import Space
from score_sde.training.sharding import replicated, to_devices
from score_sde.training.state import TrainState

COLUMNS = 8  # of reconstructions, each beside its original


class Samples:
    """Samples, drawn from the same noise every time, so that pictures can be compared.

    Args:
        experiment: what is trained.
        mesh: the devices.
        train_set: gives the conditions that are no classes.
    """

    columns = None

    def __init__(self, experiment: Experiment, mesh: Mesh, train_set: Source):
        self._guided = guide.alone(experiment)
        self._generator = Generator(experiment, mesh, experiment.picture_size, self._guided.guide)
        self.count = self._generator.batch_size
        self._told = borrowed(experiment, lambda: train_set, self.count)
        self._experiment = experiment

    def __call__(
        self, params: Arrays, constants: Arrays, key: jax.Array
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw them.

        Args:
            params: of the network.
            constants: its other arrays.
            key: JAX random key.

        Returns:
            The examples, [n, *shape of the field], and what they are, as JSON values.

        Raises:
            UserError: the adaptive solver gave up, or an example is not of finite numbers.
        """
        found, nfe = self._generator(params, constants, key, self.count, cond=self._told)
        sampler, seed = self._experiment.sampler, self._experiment.seed
        about = identity.sampler(sampler, seed, seed, self._guided.protocol)
        return found, {**about, "nfe": nfe, "shown": self.count, "of": self.count}


class Reconstructions:
    """Examples, the same every time, each followed by what an autoencoder makes of it.

    Args:
        experiment: what is trained.
        mesh: the devices.
        source: the examples.
    """

    columns = COLUMNS

    def __init__(self, experiment: Experiment, mesh: Mesh, source: Source):
        self.count = min(max(1, experiment.picture_size // 2), len(source))
        rows = np.linspace(0, len(source) - 1, self.count).astype(int)
        self._examples = source.gather(rows)[experiment.field.name]
        everywhere, info = replicated(mesh), source.info
        self._given = to_devices(everywhere, jax.device_get((experiment.space, self._examples)))
        self._about = {"data": info.name, "split": info.split, "reconstructed": True}
        self._about |= {"shown": self.count, "of": info.size}

        def again(params: Arrays, constants: Arrays, space: Space, examples: jax.Array):
            return reconstructed(experiment.make(params, constants), space, examples)

        self._again = jax.jit(again, out_shardings=everywhere)

    def __call__(
        self, params: Arrays, constants: Arrays, key: jax.Array
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Reconstruct them; see Samples. Nothing is random."""
        found = jax.device_get(self._again(params, constants, *self._given))
        pairs = np.stack([self._examples, found], axis=1)
        return pairs.reshape(-1, *found.shape[1:]), dict(self._about)


def reconstructed(model: KLAutoencoder, space: Space, examples: jax.Array) -> jax.Array:
    """D(m), with m the mean of q(z | x), as examples; of their shape."""
    return space.decode(model.decode(model.encode(space.encode(examples)).mean))


class Pictures:
    """The pictures in a run's folder, each of which says what it shows.

    Args:
        experiment: what is trained.
        shown: what is drawn with a state.
        workdir: the run's folder.
    """

    def __init__(self, experiment: Experiment, shown: Samples | Reconstructions, workdir: Path):
        self._space, self._field = experiment.space, experiment.field.name
        self._shown, self._workdir = shown, workdir
        self._average = experiment.training.averages[0]
        self._key = Stream.PICTURES.key(experiment.seed)

    def draw(self, state: TrainState, step: int, say: Callable[[str], None]) -> None:
        """Write samples/STEP.png, with the moving average; all processes call it together.

        Args:
            state: of training.
            step: of it.
            say: is told why there is none.
        """
        try:
            found, about = self._shown(state.ema[self._average], state.constants, self._key)
        except UserError as error:  # of a young model, which training may yet mend
            say(f"warning: no picture at step {step}: {error}")
            return
        if jax.process_index() == 0:
            path = self._workdir / "samples" / f"{step}.png"
            with on_the_side(str(path), say):
                about = {"step": step, "weights": f"ema {self._average}", **about}
                drawn.picture(self._space, path, found, about, self._shown.columns)

    def draw_real(self, train_set: Source, say: Callable[[str], None]) -> None:
        """Write real.png, as many training examples, to hold those drawn against.

        Args:
            train_set: the examples, of which some are taken, spread over all.
            say: is told why there is none.
        """
        path, info = self._workdir / "real.png", train_set.info
        count = min(self._shown.count, len(train_set))
        rows = np.linspace(0, len(train_set) - 1, count).astype(int)
        about = {"data": info.name, "split": info.split, "shown": count, "of": info.size}
        with on_the_side(str(path), say):
            examples = train_set.gather(rows)[self._field]
            drawn.picture(self._space, path, np.asarray(self._space.viewed(examples)), about)


def of(
    experiment: Experiment, mesh: Mesh, train_set: Source, held_out: Source | None, workdir: Path
) -> Pictures | None:
    """Those of a training; None where none are wanted.

    Nor are there any of a classifier, or of a model that encoders tell of prompts: those are drawn
    with --prompt.

    Args:
        experiment: what is trained.
        mesh: the devices.
        train_set: the training examples.
        held_out: those that are reconstructed, or None for training examples.
        workdir: the run's folder.
    """
    if not experiment.training.sample_every or experiment.text.ENCODERS:
        return None
    if experiment.objective.TRAINS == AUTOENCODER:
        shown = Reconstructions(experiment, mesh, held_out or train_set)
    elif experiment.objective.draws:
        shown = Samples(experiment, mesh, train_set)
    else:
        return None
    return Pictures(experiment, shown, workdir)
