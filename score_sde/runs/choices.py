"""What a config chooses of each family, and so which of its fields something reads.

A section has the options of every member of its family (score_sde.sections), and a config chooses
one of them, or several: sampling.sampler, evaluation.metrics. The options of the others are there
to be set, but nothing reads them.
"""

from __future__ import annotations

from collections.abc import Sequence

from ml_collections import ConfigDict

from score_sde import guidance, objectives, prompting, samplers, sections
from score_sde.evaluation.metrics import METRICS
from score_sde.models.conditions import CONDITIONS
from score_sde.processes import PROCESSES
from score_sde.runs import config as configs
from score_sde.sections import Entry
from score_sde.spaces import SPACES

# The options that the members of a family share, by the field that chooses.
_SHARED = {
    "sde.name": (PROCESSES, tuple(n for cls in PROCESSES.values() for n in sections.entries(cls))),
    "text.name": (prompting.SYSTEMS, prompting.SHARED),
    "objective.name": (objectives.OBJECTIVES, objectives.SHARED),
    "sampling.sampler": (samplers.SAMPLERS, samplers.SHARED),
    "guidance.name": (guidance.RULES, guidance.SHARED),
}


def unread(config: ConfigDict, told: Sequence[str] | None = None) -> dict[str, str]:
    """Fields and sections that nothing reads, each with the field whose choice is why.

    Args:
        config: the config.
        told: the kinds of the conditions, names in CONDITIONS; None where the data are not open,
            which say of which kind a field is: then any is read unless there is no condition.

    Returns:
        Dotted paths, but for those of a process: a parameter that it has not is an error.
    """
    if told is None:
        told = tuple(CONDITIONS) if config.conditions.fields else ()
    objective = config.objective.name
    found = {
        "space.name": sections.unread(SPACES, [config.space.name]),
        "conditions.fields": sections.unread(CONDITIONS, told),
        "text.name": sections.unread(prompting.SYSTEMS, [config.text.name], prompting.SHARED),
        "objective.name": sections.unread(objectives.OBJECTIVES, [objective], objectives.SHARED),
        "sampling.sampler": samplers.unread(config.sampling.sampler),
        "guidance.name": _of_guidance(config.guidance.name),
        "evaluation.metrics": sections.unread(METRICS, config.evaluation.metrics),
    }
    return {
        f"{choice.split('.')[0]}.{option}": choice
        for choice, options in found.items()
        for option in options
    }


def in_force(config: ConfigDict) -> dict[str, Entry]:
    """The fields that something reads, by dotted path, as those that are chosen have them.

    Of an option that several members share it is the entry of the one that is chosen, and it says
    what None stands for.
    """
    nobody = unread(config)
    found = {}
    for path, entry in configs.entries(config.model.name).items():
        if any(path == field or path.startswith(f"{field}.") for field in nobody):
            continue
        own = _of_chosen(config, path, entry)
        if own is not None:
            found[path] = own
    return found


def _of_chosen(config: ConfigDict, path: str, entry: Entry) -> Entry | None:
    """The entry of a field for what is chosen; None if that has no such option."""
    section, _, option = path.partition(".")
    for choice, (family, shared) in _SHARED.items():
        if choice.startswith(f"{section}.") and option in shared:
            name = config[section][choice.split(".")[1]]
            member = samplers.resolve(name)[0] if family is samplers.SAMPLERS else name
            if member not in family:  # a process of one's own
                return entry
            own = sections.entries(family[member]).get(option)
            return own and sections.left_to(own)
    return entry


def _of_guidance(name: str) -> set[str]:
    """What a rule does not read of the section `guidance`."""
    of_weak = () if guidance.RULES[name].NEEDS_WEAK else ("run", "step", "weights")
    return {*guidance.unread(name), *of_weak}
