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
import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from score_sde import files, images, records, terminal, text
from score_sde.errors import UserError, first_line
from score_sde.interop import encoders
from score_sde.interop.components import COMPONENTS, folder
from score_sde.interop.encoders import ImageEncoder
from score_sde.text import Tokenizer


class CLIP(NamedTuple):
    """Both encoders of a released model.

    Attributes:
        texts: from token ids [batch, n] to embeddings, not normalised.
        images: of images.
        tokenizer: makes the ids.
    """

    texts: Callable[[np.ndarray], jax.Array]
    images: ImageEncoder
    tokenizer: Tokenizer


def read(path: Path) -> CLIP:
    """A released model, from its folder: config.json, the arrays and the tokeniser.

    Raises:
        UserError: it cannot be read, or is no CLIP.
    """
    try:
        config, arrays = folder.config(path), folder.arrays(path)
        if not all(isinstance(config.get(f"{kind}_config"), dict) for kind in ("text", "vision")):
            raise ValueError(f"{path} is no CLIP: its config.json names not both encoders")
        of_text = {**config["text_config"], "projection_dim": encoders.projection(config)}
        texts, _ = encoders.opened(
            COMPONENTS["CLIPTextModelWithProjection"], of_text, arrays, lambda found: found.pooled
        )
        return CLIP(texts, encoders.image_encoder(path), text.read(path))
    except (OSError, ValueError, pickle.UnpicklingError) as error:
        raise UserError(f"--clip={path}: {first_line(error)}") from error


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
    of_texts = encoders.in_batches(clip.texts, lambda part: ids[part], len(known))

    def read(part: slice) -> list[np.ndarray]:
        return [np.asarray(images.read(path).convert("RGB")) for path in pictures[part]]

    of_images = clip.images.vectors(read, len(pictures))
    cosines = encoders.of_length_one(of_images) @ encoders.of_length_one(of_texts).T
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


def _asked(path: Path) -> str | None:
    """What a picture was asked for; None if it does not say.

    Raises:
        UserError: it is damaged.
    """
    text = images.about(path, keyword="parameters")
    try:
        prompt = records.parse(text).get("prompt")
    except ValueError:
        return None
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
    parser.add_argument("folder", type=files.typed, help="of pictures, such as runs/sd15/prompts")
    parser.add_argument("--clip", required=True, type=files.typed, help="folder of a released CLIP")
    asked = parser.parse_args(argv[1:])
    path, model = asked.folder, asked.clip
    if not path.is_dir():
        raise UserError(f"no folder {path}: draw pictures first, with --mode=sample --prompt=TEXT")
    prompts = {file: _asked(file) for file in sorted(path.glob("*.png"))}
    told = {file: prompt for file, prompt in prompts.items() if prompt is not None}
    if not told:
        raise UserError(f"{path} has no PNG file that says what it was asked for")
    if silent := len(prompts) - len(told):
        print(f"note: {silent} PNG files say of no prompt and are left out", file=sys.stderr)
    clip = read(model)
    about = {"clip": model.name, "sha256": clip.images.about["sha256"]}
    print(json.dumps({**scores(clip, [*told], [*told.values()]), **about}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
