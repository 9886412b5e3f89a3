"""Hundreds of configs that nobody means are accepted, or refused in a line that names a field.

`python -m experiments.faults --only=configs` draws ten thousand, and takes steps of some.
"""

import collections

import pytest
from hypothesis import HealthCheck, given, settings

from experiments.faults.answers import answer, clean
from experiments.faults.cases import RECIPES, TYPED, Case, cases

pytestmark = pytest.mark.slow

CASES = 400


def test_any_config_is_accepted_or_refused_in_one_line_that_names_a_field():
    """The same cases each time."""
    counts, drawn = collections.Counter(), collections.Counter()

    @settings(
        max_examples=CASES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(cases())
    def of(case):
        line = answer(case)
        assert clean(line)
        assert not line or case.named_in(line)
        counts["accepted" if line == "" else "refused"] += 1
        drawn[case.recipe] += 1

    of()
    assert drawn.keys() == RECIPES.keys()
    assert min(drawn.values()) > 10
    assert sum(counts.values()) == CASES
    assert 40 < counts["accepted"] < 240, "the cases are no longer those that find mistakes"


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


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_recipe_is_accepted_as_it_is(recipe):
    assert answer(Case(recipe, TYPED, ())) == ""


@pytest.mark.parametrize(("path", "value"), IMPOSSIBLE.items())
def test_what_is_impossible_is_named(path, value):
    assert path.split(".")[-1] in answer(Case("unet", TYPED, ((path, value),)))


def test_attention_is_at_sizes_of_numbers():
    line = answer(Case("unet", TYPED, (("model.attn_resolutions", "('a',)"),)))
    assert "this field takes a tuple of whole numbers" in line
