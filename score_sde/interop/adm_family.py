"""Networks of guided- and improved-diffusion and classifiers as families of released files.

Such a file holds arrays and nothing else. Their shapes say what the network is made of
(adm_shapes); not the size of images, how many heads there are, in which order queries, keys and
values lie, nor the noise schedule. These are, the last that says something counting:

1. what is usual: smallest features of 8x8, heads of 64 features and the linear schedule of 1000
   levels in guided-diffusion, 4 heads and the cosine schedule of 4000 in improved-diffusion;
2. what the authors published with a file of this name (_PUBLISHED);
3. the arguments that stand beside it, see beside: those of the constructor, and "noise_schedule",
   "diffusion_steps" and "rescale_timesteps" of its authors' script;
4. the user's config.data.image_size.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from score_sde.fields import Field
from score_sde.interop import adm_shapes, guided_diffusion, proposal
from score_sde.interop.guided_diffusion import NEW_ORDER, OLD_ORDER
from score_sde.interop.released import Released
from score_sde.interop.slots import Slots
from score_sde.models.adm import ADM
from score_sde.models.adm_classifier import ADMClassifier
from score_sde.runs.experiment import Experiment

_STEPS = ("noise_schedule", "diffusion_steps", "rescale_timesteps")
_USUAL = {
    "guided_diffusion": {"num_head_channels": 64},
    "guided_diffusion_classifier": {"num_head_channels": 64},
    "improved_diffusion": {
        "num_heads": 4,
        "noise_schedule": "cosine",
        "diffusion_steps": 4000,
        "rescale_timesteps": True,
    },
}
# By what a name begins with; "newattn" in one says the order of queries, keys and values.
_PUBLISHED: tuple[tuple[str, dict[str, Any]], ...] = (
    (r".*new_?attn", {"use_new_attention_order": True}),
    (
        "64x64_diffusion",
        {"use_new_attention_order": True, "noise_schedule": "cosine", "dropout": 0.1},
    ),
    ("64x64_classifier", {"noise_schedule": "cosine"}),
    ("128x128_diffusion", {"num_heads": 4, "num_head_channels": -1}),
    (r"lsun_(bedroom|cat|horse)(?!_nodropout)", {"dropout": 0.1}),
    ("cifar10_uncond", {"image_size": 32, "dropout": 0.3}),
    ("imagenet64_cond", {"rescale_timesteps": False}),
    (
        "lsun_uncond",
        {
            "num_heads": 1,
            "noise_schedule": "linear",
            "diffusion_steps": 1000,
            "rescale_timesteps": False,
        },
    ),
)


def propose(released: Released) -> ConfigDict:
    """The config of a network of either project; see families.

    Raises:
        ValueError: it is an upsampler, or an option is none that there is here.
    """
    options, steps = _options(released)
    shape, classes = options.pop("shape"), options.pop("classes")
    if shape[-1] == 6:
        raise ValueError(
            "it has 6 input channels: an upsampler, which is shown a small image too, is not "
            "imported"
        )
    learnt = options.pop("learn_variance")
    del options["order"]
    values = {
        **proposal.data(shape, classes, released.path.stem),
        **_model(options),
        **_sequence(steps),
        "model.parametrization": "eps",
        **proposal.learned_variance(learnt),
        **proposal.training(1e-4, 128),
        "optim.clip": 0.0,
    }
    return proposal.config("adm", values)


def propose_classifier(released: Released) -> ConfigDict:
    """The config of a classifier of guided-diffusion; see families.

    Raises:
        ValueError: an option is none that there is here.
    """
    options, steps = _options(released)
    shape, classes = options.pop("shape"), options.pop("classes")
    del options["order"]
    sequence = _sequence(steps)
    values = {
        **proposal.data(shape, classes, released.path.stem),
        "conditions.fields": (),
        **_model(options),
        **sequence,
        "objective.name": "classification",
        "objective.classification.noise_label": sequence["model.noise_label"],
        **proposal.training(3e-4, 256),
        "optim.weight_decay": 0.05,
    }
    return proposal.config("adm_classifier", values)


def fields(released: Released, config: ConfigDict) -> tuple[Field, ...]:
    """See families.Family; the size of images is that of the config, if it says one."""
    options, _ = _options(released)
    size, _, channels = options["shape"]
    size = config.data.image_size or size
    return proposal.described((size, size, channels), options["classes"])


def slots(model: ADM | ADMClassifier, released: Released) -> Slots:
    """See families."""
    exported = released.run is not None
    order = OLD_ORDER if exported else _options(released)[0]["order"]
    return guided_diffusion.slots(model, order)


def export(model: ADM | ADMClassifier, experiment: Experiment, path: Path) -> Slots:
    """Every array of a network, with queries, keys and values in the older order.

    In the newer one only in a file of arrays alone whose name says so.
    """
    newer = path.suffix != ".safetensors" and _published(path).get("use_new_attention_order")
    return guided_diffusion.slots(model, NEW_ORDER if newer else OLD_ORDER)


def exports(experiment: Experiment) -> bool:
    """Whether its groups of channels are theirs."""
    return experiment.config.model.group_size == 1


def _options(released: Released) -> tuple[dict[str, Any], dict[str, Any]]:
    """What guided_diffusion.fields makes of all that is known, and the arguments in _STEPS."""
    arrays = released.arrays
    known = adm_shapes.describe(arrays) | _USUAL[released.family]
    known |= _published(released.path)
    known |= released.arguments
    narrow = adm_shapes.narrowest_attention(arrays)
    if known.get("num_head_channels", -1) > narrow > 0:
        known["num_head_channels"] = narrow
    steps = {name: known.pop(name) for name in _STEPS if name in known}
    return guided_diffusion.fields(known), steps


def _published(path: Path) -> dict[str, Any]:
    """What was published with a file of this name."""
    found: dict[str, Any] = {}
    for name, published in _PUBLISHED:
        if re.match(name, path.stem):
            found |= published
    return found


def _model(options: dict[str, Any]) -> dict[str, Any]:
    return {f"model.{name}": value for name, value in options.items() if name != "name"}


def _sequence(steps: dict[str, Any]) -> dict[str, Any]:
    """The process, and how a network of it is told its level.

    Raises:
        ValueError: there is no such schedule.
    """
    number = steps.get("diffusion_steps", 1000)
    if (schedule := steps.get("noise_schedule", "linear")) not in ("linear", "cosine"):
        raise ValueError(f"noise_schedule={schedule!r:.40} is none of linear, cosine")
    rescaled = steps.get("rescale_timesteps", False)
    label = "level_per_thousand" if rescaled else "nearest_level"
    return {
        "sde.name": "ddpm",
        "sde.schedule": schedule,
        "sde.scales": number,
        "model.noise_label": "time" if number == 1000 else label,
    }
