"""Videos of prompts: frames that one network draws together.

A video is a state [frames, *state of an image]: a space of images knows nothing of it, and decodes
its frames one after the other, which takes the memory of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax

from score_sde.errors import UserError
from score_sde.spaces import Space

if TYPE_CHECKING:
    from score_sde.runs.opened import Run


def leading(run: Run, frames: int | None) -> tuple[int, ...]:
    """The axes of a state before those of an image: (frames,), or () for a picture.

    Args:
        run: the run.
        frames: of a video; None for a picture.

    Raises:
        UserError: its network draws no such video.
    """
    if frames is None:
        return ()
    model = run.config.model
    most = model.motion_frames if getattr(model, "motion_heads", 0) else 0
    if not most:
        raise UserError(
            f"frames={frames}: {run.workdir} knows no motion; --mode=import --motion=FOLDER makes "
            "a run that does of a pipeline of Stable Diffusion 1"
        )
    if type(frames) is not int or not 1 <= frames <= most:
        raise UserError(f"frames={frames!r:.60}: this model draws videos of 1 to {most} frames")
    return (frames,)


def images(space: Space, x: jax.Array) -> jax.Array:
    """The images that states of pictures or of videos stand for, about in [-1, 1].

    Args:
        space: of images.
        x: [batch, height, width, channels], or [batch, frames, height, width, channels].

    Returns:
        The same axes, those of the images' own last.
    """
    if x.ndim == 4:
        return space.images(x)
    found = jax.lax.map(lambda frame: space.images(frame[None])[0], x.reshape(-1, *x.shape[2:]))
    return found.reshape(*x.shape[:2], *found.shape[1:])
