"""Hundreds of configs that nobody means are each accepted, or refused in one line; see fuzz.py."""

import random

import fuzz
import pytest

pytestmark = pytest.mark.slow

CASES = 400


@pytest.mark.parametrize("part", range(4))
def test_any_config_is_accepted_or_refused_in_one_line(part):
    """With a fixed seed; `python tests/fuzz.py 3000` runs more."""
    rng = random.Random(part)
    accepted = 0
    for _ in range(CASES // 4):
        case = fuzz.draw(rng)
        answer = fuzz.answer(case)
        assert fuzz.clean(answer), case
        accepted += answer == ""
    assert 10 < accepted < 60, "the cases are no longer those that find mistakes"


# What a tree before this test accepted, or answered with a traceback.
IMPOSSIBLE = {
    "optim.beta1": "1.5",
    "optim.eps": "-1.",
    "model.sigma_data": "0.",
    "objective.denoising.time_std": "-1.",
    "model.attn_resolutions": "(3,)",
    "training.ema_decays": "(0.9,0.9)",
    "model.channels": "100000000",
    "seed": "4294967296",
    "training.steps": "2147483648",
    "sampling.steps": "2000000000",
    "data.name": "x" * 300,
    "model.num_res_blocks": "1000",
    "sde.beta_max": "1e200",
}


@pytest.mark.parametrize(("path", "value"), IMPOSSIBLE.items())
def test_what_is_impossible_is_named(path, value):
    assert path.split(".")[-1] in fuzz.answer(fuzz.Case("unet", "typed", ((path, value),)))


def test_attention_is_at_sizes_of_numbers():
    line = fuzz.answer(fuzz.Case("unet", "typed", (("model.attn_resolutions", "('a',)"),)))
    assert "this field takes a tuple of whole numbers" in line
