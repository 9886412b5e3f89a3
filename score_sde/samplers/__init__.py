"""Samplers: from a denoiser and an SDE to samples.

    sampler = get("predictor_corrector", steps=1000)
    out = sampler(key, denoise, sde, shape=(64, 32, 32, 3))
    out.x, out.nfe

Shapes of states are [batch, *data].
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

from score_sde import fields, sections
from score_sde.checks import check_name
from score_sde.samplers.blocks import Blocks
from score_sde.samplers.first_hitting import FirstHitting
from score_sde.samplers.grids import GRIDS
from score_sde.samplers.improved_ddpm import ImprovedDDPM
from score_sde.samplers.jump import Jump
from score_sde.samplers.logp import with_logp
from score_sde.samplers.names import ALIASES, ELSEWHERE
from score_sde.samplers.ode import RK45
from score_sde.samplers.ordered import Ordered
from score_sde.samplers.paper import PAPER
from score_sde.samplers.predictor_corrector import PredictorCorrector
from score_sde.samplers.remasking import Remasking
from score_sde.samplers.sample import Sampler, Samples
from score_sde.samplers.solvers import SOLVERS
from score_sde.samplers.unmasking import Unmasking

__all__ = [
    "ALIASES",
    "GRIDS",
    "PAPER",
    "RK45",
    "SAMPLERS",
    "SHARED",
    "TOKENS",
    "Jump",
    "Known",
    "PredictorCorrector",
    "Sampler",
    "Samples",
    "get",
    "read",
    "resolve",
    "unread",
    "with_logp",
]

# Those of tokens, from masks.
TOKENS: dict[str, Callable[..., Sampler]] = {
    "unmasking": Unmasking,
    "first_hitting": FirstHitting,
    "ordered": Ordered,
    "remasking": Remasking,
    "blocks": Blocks,
}

SAMPLERS: dict[str, Callable[..., Sampler]] = {
    "predictor_corrector": PredictorCorrector,
    "rk45": RK45,
    "jump": Jump,
    "improved_ddpm": ImprovedDDPM,  # no predictor: it asks a denoiser for more than a prediction
    **SOLVERS,
    **TOKENS,
}


# Options that several of them have; the others are in a section of each one's name.
SHARED = (
    "steps",
    "grid",
    "times",
    "rho",
    "shift",
    "offset",
    "denoise_final",
    "lower_order_final",
    "clip",
    "threshold",
    "factors",
    "temperature",
    "top_p",
)


@dataclasses.dataclass(frozen=True)
class Known:
    """The name of a sampler, in an annotation; see score_sde.values."""

    SAYS_ALL: ClassVar[bool] = True

    def check(self, name: str, value: str) -> None:
        """Raise ValueError, which begins with the name, unless value is a name of a sampler."""
        resolve(value, name)

    def words(self) -> str:
        """Their own names, and that there are others."""
        return (
            f"one of {', '.join([*SAMPLERS, *PAPER])}; or another name of these, "
            "EulerAncestralDiscreteScheduler or sample_dpmpp_2m for example"
        )


def read(section: Mapping[str, Any]) -> Sampler:
    """The sampler that a section `sampling` of a config names, with those options that it has.

    What a name of the paper fixes, PC1000 for example its steps, is taken from the name.

    Raises:
        ValueError: as for `get`.
    """
    name = section["sampler"]
    member, fixed = resolve(name)
    options = sections.options("sampler", SAMPLERS, member, section, SHARED)
    return get(name, **{option: v for option, v in options.items() if option not in fixed})


def get(name: str, **options: Any) -> Sampler:
    """The sampler of this name with these options.

    Args:
        name: a key of SAMPLERS, of PAPER (the paper's samplers) or of ALIASES (others' names).
        **options: the fields of that sampler's dataclass.

    Raises:
        ValueError: the name or an option is unknown, an option's value is out of range, or it
            contradicts what the name means.
    """
    member, fixed = resolve(name)
    own = [field.name for field in dataclasses.fields(cast(Any, SAMPLERS[member]))]
    for option, value in options.items():
        check_name(f"option of {name}", option, own)
        if option in fixed and fixed[option] != value:
            raise ValueError(
                f"{name} means {option}={fixed[option]!r}, not {value!r}: leave {option} out, "
                f"or use {member}"
            )
    return SAMPLERS[member](**(options | fixed))


def resolve(name: str, kind: str = "sampler", states: str = "") -> tuple[str, dict[str, Any]]:
    """The key of a sampler in SAMPLERS, and the options that its name fixes.

    Args:
        name: a key of SAMPLERS, PAPER or ALIASES.
        kind: what is being named, for the message.
        states: what is drawn, fields.NUMBERS or fields.TOKENS: the message about an unknown name
            names those that draw it. All if empty.

    Raises:
        ValueError: the name is unknown, or it is of a method that is not here.
    """
    if name in ELSEWHERE:
        raise ValueError(f"{kind} {name} {ELSEWHERE[name]}")
    if name not in (*SAMPLERS, *PAPER, *ALIASES):
        draws = [n for n, one in SAMPLERS.items() if states in ("", cast(Any, one).STATES)]
        # What the paper and others have a name for draws numbers.
        named = [] if states == fields.TOKENS else [*PAPER]
        others = [] if states == fields.TOKENS else [*ALIASES, *ELSEWHERE]
        check_name(kind, name, [*draws, *named], others)
    if name in PAPER:
        return "predictor_corrector", PAPER[name]
    return ALIASES.get(name, (name, {}))


def unread(name: str) -> set[str]:
    """The options and sections of a section `sampling` that the sampler of this name does not read.

    Raises:
        ValueError: the name is unknown.
    """
    member, fixed = resolve(name)
    own = {option if option in SHARED else f"{member}.{option}" for option in fixed}
    return sections.unread(SAMPLERS, [member], SHARED) | own
