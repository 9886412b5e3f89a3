"""Whether reference statistics are of the examples that a run has, or of others."""

from __future__ import annotations

import dataclasses
import json

from score_sde.data import DataError, Source
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.subject import Subject, examples_fingerprint

OTHERS = "others"  # than the run's
UNKNOWN = "unknown"


def marked(real: Reference, subject: Subject) -> Reference:
    """The reference with "examples" in its protocol: the split of the run's that it is of.

    If it is of others, cropped or resized in another way for example, or nobody can say, that
    stands there, and the user is told.

    Args:
        real: of a file.
        subject: the model, with its training examples and those that it is held against.
    """
    found, reason = _examples(real, subject)
    if reason:
        subject.say(f"note: the reference statistics {reason}")
    return dataclasses.replace(real, protocol=real.protocol | {"examples": found})


def _examples(real: Reference, subject: Subject) -> tuple[str, str]:
    """What to note, and what to say of it if it is not as it should be."""
    digest = real.protocol.get("sha256")
    if digest is None:
        return UNKNOWN, "do not say of which examples they are"
    try:
        sources = [subject.training(), subject.source]
    except DataError as error:
        return UNKNOWN, f"cannot be compared with this run's examples: {error}"
    for source in sources:
        if (real.n, digest) == (len(source), _digest(source, subject.field)):
            return source.info.split, ""
    differ = _difference(real, sources[0], subject.field)
    return OTHERS, (
        f"are not of this run's examples: {differ}. Make them with python -m "
        "score_sde.evaluation.statistics and the run's data options, such as --crop"
    )


def _digest(source: Source, field: str) -> str:
    return examples_fingerprint(source, field, len(source))


def _difference(real: Reference, source: Source, field: str) -> str:
    """In what a reference differs from a run's training examples."""
    info = source.info
    ours = {"data": info.name, "split": info.split, "n": len(source)}
    ours["shape"] = list(info[field].shape)
    differ = [
        f"{name} {json.dumps(real.protocol[name])[:80]}, not {json.dumps(value)}"
        for name, value in ours.items()
        if real.protocol.get(name, value) != value
    ]
    return "; ".join(differ) or "other values, as another crop or background gives"
