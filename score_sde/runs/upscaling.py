"""Larger images of small ones, by networks that are told the small one under noise.

The image y, of the size of the latents, is told as alpha_k y + sigma_k n, beside the state, and its
noise level k is told too: conditioning augmentation (Ho et al. 2021, arXiv 2106.15282), as the x4
upscaler of Stable Diffusion has it. More noise leaves more to the prompt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import keys, processes, records
from score_sde.errors import UserError
from score_sde.processes import SDE
from score_sde.runs import kept, schedulers

if TYPE_CHECKING:
    from score_sde.runs.opened import Run

FILE = "low_res_scheduler_config.json"  # of a run's parts: the noise on the small image
MOST = "max_noise_level"  # beside it
LEVEL = 20
_NOISE = 0x6C6F77  # folded into a picture's key


def upscales(run: Run) -> bool:
    """Whether a network is told a small image and its noise level."""
    model = run.config.model
    channels = getattr(model, "extra_channels", 0)
    return channels == run.space.image[-1] and bool(getattr(model, "labels", 0))


def check(run: Run, level: int) -> None:
    """Raise UserError unless a run knows a noise level."""
    most = _read(run).get(MOST, run.config.model.labels - 1)
    if not 0 <= level <= most:
        raise UserError(f"noise_level={level}: this model knows 0 to {most}")


def told(run: Run, image: np.ndarray, level: int, key: jax.Array) -> dict[str, jax.Array]:
    """What a network is told of small images.

    Args:
        run: its run.
        image: in [0, 1], float32 [batch, h, w, channels]; h and w are those of the latents.
        level: k.
        key: a key for each picture, [batch].

    Returns:
        "concat", the noised image in [-1, 1], and "label", k.
    """
    sde = _noise(run)
    t = jnp.asarray(level / (sde.scales - 1), jnp.float32)
    noise = keys.normal(keys.fold_in(key, _NOISE), image.shape, jnp.float32)
    noised = sde.alpha(t) * (2 * jnp.asarray(image) - 1) + sde.sigma(t) * noise
    return {"concat": noised, "label": jnp.full(len(image), level, jnp.int32)}


def _noise(run: Run) -> SDE:
    """The chain of noise levels of small images."""
    values = {
        path.removeprefix("sde."): value
        for path, value in schedulers.fields(_read(run)).items()
        if path.startswith("sde.")
    }
    return processes.read({**dict.fromkeys(run.config.sde), **values})


def _read(run: Run) -> dict[str, Any]:
    path = run.workdir / kept.FOLDER / FILE
    try:
        found = records.read(path)
    except ValueError as error:
        raise UserError(f"{path} {error}") from error
    if found is None:
        raise UserError(f"{path} is missing: import the pipeline again")
    return found
