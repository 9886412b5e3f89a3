"""What a user gets wrong is said in one line that says what to do."""

import jax.numpy as jnp
import pytest

from score_sde.checks import present
from score_sde.guidance.autoguidance import Autoguidance


def test_what_is_there_is_given_back():
    assert present("teacher", 0) == 0


def test_what_is_not_there_is_to_be_given():
    with pytest.raises(ValueError, match=r"^text encoder is not given: give text_encoder="):
        present("text encoder", None)


def test_autoguidance_without_a_weaker_model_says_what_it_needs():
    with pytest.raises(ValueError, match=r"weak is not given: give weak=\.\.\. to what is called"):
        Autoguidance(lambda x, t, cond: None, 2.0).both(jnp.zeros((1, 2)), jnp.zeros(1), None)
