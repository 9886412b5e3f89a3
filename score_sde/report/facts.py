"""What a number or a picture is of, in a line beside it.

features pixels; 500 samples against 1,297 train examples of digits; step 10,000, ema 0.999
weights; PredictorCorrector, 250 evaluations each; seed 0
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from score_sde import images, records

Values = Mapping[str, Any]

_BESIDE = {"of_real_examples": "real examples", "of_training_sets": "training sets"}


def of_number(entry: Values) -> str:
    """What an entry of evaluation.json is of, from its protocol.

    Args:
        entry: "protocol", how often the model was evaluated as "nfe" or "nfe_mean", and what it is
            "of" if that is not what the protocol says.
    """
    protocol = _values(entry, "protocol")
    extractor, real = _values(protocol, "extractor"), _values(protocol, "reference")
    features = f"features {text(extractor['extractor'])}" if "extractor" in extractor else ""
    samples = f"{text(protocol['n'])} samples" if extractor and "n" in protocol else ""
    against = f" against {_examples(real, 'n')}" if real else ""
    examples = "" if extractor else _examples(_values(protocol, "data"), "examples")
    nfe = entry.get("nfe", entry.get("nfe_mean"))
    of = f"of {text(entry['of'])}" if "of" in entry else ""
    return _joined(of, features, samples + against, examples, *_model({**protocol, "nfe": nfe}))


def of_value(entry: Values) -> str:
    """The value of an entry of evaluation.json, its standard error and unit, and what beside it.

    Args:
        entry: "value", "standard_error", and perhaps "unit", "exact", "difference", "kl", and the
            same of real examples, or of training sets, in the place of samples.
    """
    beside = [f"exact {_number(entry['exact'])}"] if "exact" in entry else []
    if isinstance(found := entry.get("difference"), Mapping):
        beside.append(f"difference {_number(found['value'], found['standard_error'])}")
    for name, words in _BESIDE.items():
        if isinstance(found := entry.get(name), Mapping):
            beside.append(f"{words} {_number(found['value'], found['standard_error'])}")
    beside += [f"KL(data || model) {_number(entry['kl'])} nats"] if "kl" in entry else []
    value = _number(entry["value"], entry["standard_error"])
    return "; ".join([f"{value} {entry.get('unit', '')}".rstrip(), *beside])


def _number(value: float, error: float | None = None) -> str:
    return f"{value:.4f}" + ("" if error is None else f" +- {error:.4f}")


def of_picture(about: Values) -> str:
    """What a picture is of, from what it says of itself.

    Args:
        about: "shown" and "of", how many examples of how many; of the data "data" and "split"; of
            a model "step", "weights", "sampler", "nfe" and a seed, and "reconstructed" if it made
            again what it was shown.
    """
    count = _of(about, "shown", "of")
    if "data" in about:
        what = f"{count} {text(about.get('split'))} examples of {text(about['data'])}"
        beside = ", each before its reconstruction" if about.get("reconstructed") else ""
        return _joined(what + beside, *_model(about))
    return _joined(f"{count} samples" if count else "", *_model(about))


def about(path: Path) -> Values:
    """What a PNG file says of itself; nothing if it says nothing, or cannot be read."""
    try:
        return records.parse(images.about(path))
    except ValueError:  # whoever shows the picture says what is wrong with it
        return {}


def _model(about: Values) -> tuple[str, str, str]:
    """Step and weights; sampler, guidance and evaluations; seed."""
    step = f"step {text(about['step'])}" if "step" in about else ""
    weights = f"{text(about['weights'])} weights" if "weights" in about else ""
    sampler = text(_values(about, "sampler").get("name", ""))
    asked, guidance = _values(about, "asked"), _values(about, "guidance")
    if asked.get("task") in ("inpaint", "colorize", "superres", "motif") and "method" in asked:
        sampler += f" by {text(asked['method'])}"
    if guidance:
        sampler += f" guided by {text(guidance.get('name'))} of scale {text(guidance.get('scale'))}"
    nfe = about.get("nfe")
    evaluations = f"{text(nfe)} evaluations each" if nfe is not None else ""
    seed = about.get("sampling_seed", about.get("seed"))
    return (
        ", ".join(filter(None, (step, weights))),
        ", ".join(filter(None, (sampler, evaluations))),
        f"seed {text(seed)}" if seed is not None else "",
    )


def _examples(data: Values, number: str) -> str:
    """500 of 1,000 test examples of digits; or the file of reference statistics."""
    if not data:
        return ""
    count = _of(data, number, "of")
    name = data.get("data", data.get("name"))
    if name is None:
        return f"{count} examples, {text(data.get('file', 'of unknown origin'))}".strip()
    return f"{count} {text(data.get('split', ''))} examples of {text(name)}".replace("  ", " ")


def _of(values: Values, part: str, whole: str) -> str:
    if values.get(part) is None:
        return ""
    of = f" of {text(values[whole])}" if values.get(whole, values[part]) != values[part] else ""
    return text(values[part]) + of


def _values(values: Values, name: str) -> Values:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _joined(*parts: str) -> str:
    return "; ".join(part.strip() for part in parts if part.strip())


def text(value: Any) -> str:
    """A value as a reader writes it."""
    if value is None:
        return "—"
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
