"""Names that others have for our samplers work, or say what to use."""

import pytest

from score_sde import samplers
from score_sde.samplers import PAPER, SAMPLERS
from score_sde.samplers.names import ALIASES, ELSEWHERE


@pytest.mark.parametrize("name", ALIASES)
def test_every_alias_is_a_sampler_that_there_is(name):
    member, options = ALIASES[name]
    assert samplers.get(name) == SAMPLERS[member](**options)
    assert name not in {*SAMPLERS, *PAPER, *ELSEWHERE}


def test_what_a_name_means():
    """Euler's ancestral step is DDIM's with eta = 1, in every frame."""
    sampler = samplers.get("EulerAncestralDiscreteScheduler", steps=7)
    assert sampler == samplers.get("ddim", eta=1.0, steps=7)
    # Two predictions, and the new one with one: corrector_order=2 there counts both.
    assert samplers.get("SASolverScheduler") == samplers.get("sa_solver", predictor=2, corrector=1)
    section = {"sampler": "sample_euler_ancestral", "ddim": {"eta": 0.0}, "steps": 9}
    section |= {option: None for option in samplers.SHARED if option != "steps"}
    assert samplers.read(section) == samplers.get("ddim", eta=1.0, steps=9)
    assert {"ddim.eta"} <= samplers.unread("sample_euler_ancestral")
    with pytest.raises(ValueError, match=r"means eta=1.0, not 0.5: leave eta out, or use ddim"):
        samplers.get("ddpm", eta=0.5)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_not_here_says_what_to_use(name):
    with pytest.raises(ValueError, match=f"^sampler {name} (is|goes|counts|chooses)"):
        samplers.get(name)


def test_a_typing_mistake_in_an_alias():
    with pytest.raises(ValueError, match=r"did you mean 'EulerDiscreteScheduler'\? valid: pred"):
        samplers.get("EulerDiscreteSheduler")
