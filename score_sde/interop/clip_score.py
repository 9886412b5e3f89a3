"""`python -m score_sde.interop.clip_score FOLDER --clip=MODEL`: how well pictures fit prompts.

The pictures are the PNG files of a folder that say what they were asked for, as --mode=sample
--prompt writes them; MODEL is the folder of a released CLIP, with both encoders. It prints

- clip_score: 100 times the cosine of a picture's and its prompt's embeddings, or 0 below, the mean
  over all pictures (Hessel et al. 2021, arXiv 2104.08718, without its factor of 2.5);
- retrieval: the share of the pictures for which their own prompt is nearest of all that there are,
  beside `chance`, one over their number;

and which model said so. Numbers of different models do not compare.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import files, images, terminal, text
from score_sde.errors import UserError, first_line
from score_sde.interop.components import COMPONENTS, base, folder
from score_sde.models.clip_image import prepared
from score_sde.models.functional import functional
from score_sde.text import Tokenizer

BATCH = 32
_KINDS = {"text": "CLIPTextModelWithProjection", "vision": "CLIPVisionModelWithProjection"}


class CLIP(NamedTuple):
    """Both encoders of a released model.

    Attributes:
        texts: from token ids [batch, n] to embeddings, not normalised.
        images: likewise from images as clip_image.prepared makes them.
        tokenizer: makes the ids.
        side: of an image, in pixels.
    """

    texts: Callable[[np.ndarray], jax.Array]
    images: Callable[[np.ndarray], jax.Array]
    tokenizer: Tokenizer
    side: int


def read(path: Path) -> CLIP:
    """A released model, from its folder: config.json, the arrays and the tokeniser.

    Raises:
        UserError: it cannot be read, or is no CLIP.
    """
    try:
        config, arrays = folder.config(path), folder.arrays(path)
        if not all(isinstance(config.get(f"{kind}_config"), dict) for kind in _KINDS):
            raise ValueError(f"{path} is no CLIP: its config.json names not both encoders")
        made = {kind: _encoder(kind, config, arrays) for kind in _KINDS}
        side = made["vision"][1]["side"]
        return CLIP(made["text"][0], made["vision"][0], text.read(path), side)
    except (OSError, ValueError) as error:
        raise UserError(f"--clip={path}: {first_line(error)}") from error


def _encoder(
    kind: str, config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> tuple[Callable[[np.ndarray], jax.Array], dict[str, Any]]:
    """An encoder, and its options."""
    component = COMPONENTS[_KINDS[kind]]
    own = {**config[f"{kind}_config"], "projection_dim": config.get("projection_dim", 512)}
    options = component.options(own)
    _, placed = base.place(component, own, dict(arrays))
    network = functional(lambda rngs: component.make(**options, rngs=rngs))

    @jax.jit
    def encode(params: Any, given: jax.Array) -> jax.Array:
        found = network.apply(*params, given)
        return found.pooled if kind == "text" else found

    return lambda given: encode(placed, jnp.asarray(given)), options


def scores(clip: CLIP, pictures: Sequence[Path], prompts: Sequence[str]) -> dict[str, Any]:
    """The numbers.

    Args:
        clip: the model.
        pictures: image files.
        prompts: that of each.

    Raises:
        UserError: a file cannot be read.
    """
    known = sorted(set(prompts))
    ids = clip.tokenizer(known).ids
    of_texts = _batches(clip.texts, lambda part: ids[part], len(known))

    def shown(part: slice) -> np.ndarray:
        read = (np.asarray(images.read(path).convert("RGB")) for path in pictures[part])
        return np.stack([prepared(image, clip.side) for image in read])

    cosines = _batches(clip.images, shown, len(pictures)) @ of_texts.T
    own = np.asarray([known.index(prompt) for prompt in prompts])
    each = 100 * np.maximum(cosines[np.arange(len(own)), own], 0)
    error = float(np.std(each, ddof=1) / len(each) ** 0.5) if len(each) > 1 else None
    return {
        "pictures": len(pictures),
        "prompts": len(known),
        "clip_score": round(float(each.mean()), 3),
        "standard_error": None if error is None else round(error, 3),
        "retrieval": round(float(np.mean(cosines.argmax(axis=1) == own)), 4),
        "chance": round(1 / len(known), 4),
    }


def _batches(
    encode: Callable[[np.ndarray], jax.Array], given: Callable[[slice], np.ndarray], count: int
) -> np.ndarray:
    """Normalised embeddings, [count, d], of batches of one size, so that it is compiled once."""
    found = []
    for first in range(0, count, BATCH):
        part = given(slice(first, first + BATCH))
        filled = np.concatenate([part, np.repeat(part[-1:], BATCH - len(part), axis=0)])
        found.append(np.asarray(encode(filled))[: len(part)])
    all_found = np.concatenate(found)
    return all_found / np.linalg.norm(all_found, axis=1, keepdims=True)


def _asked(path: Path) -> str | None:
    """What a picture was asked for; None if it does not say."""
    try:
        said = json.loads(images.about(path, keyword="parameters") or "null")
    except ValueError:
        return None
    prompt = said.get("prompt") if isinstance(said, dict) else None
    return prompt if isinstance(prompt, str) else None


@terminal.program
def main(argv: list[str]) -> int:
    """Print the numbers as one line of JSON; exit code 2 for bad input."""
    parser = terminal.Parser(
        prog="python -m score_sde.interop.clip_score",
        description=(__doc__ or "").partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", help="of pictures, such as runs/sd15/prompts")
    parser.add_argument("--clip", required=True, help="folder of a released CLIP")
    asked = parser.parse_args(argv[1:])
    path, model = files.expanded(asked.folder), files.expanded(asked.clip)
    if not path.is_dir():
        raise UserError(f"no folder {path}: draw pictures first, with --mode=sample --prompt=TEXT")
    prompts = {file: _asked(file) for file in sorted(path.glob("*.png"))}
    told = {file: prompt for file, prompt in prompts.items() if prompt is not None}
    if not told:
        raise UserError(f"{path} has no PNG file that says what it was asked for")
    if silent := len(prompts) - len(told):
        print(f"note: {silent} PNG files say of no prompt and are left out", file=sys.stderr)
    print(json.dumps({**scores(read(model), [*told], [*told.values()]), "clip": model.name}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
