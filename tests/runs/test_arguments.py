"""What Run.generate is given from Python: of the wrong type or range, it is one line."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde.errors import UserError
from score_sde.runs import arguments, controlled, pictured, weakened

MIXED = jax.random.split(jax.random.key(0), 3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"guidance": math.nan}, "guidance=nan: this field takes"),
        ({"guidance": "7"}, "guidance='7': this field takes"),
        ({"true_guidance": None}, "true_guidance=None: this field takes"),
        ({"rescale": 2.0}, "rescale=2.0 must be at least 0 and at most 1"),
        ({"strength": 0}, "strength=0 must be above 0"),
        ({"until": "a"}, "until='a': this field takes"),
        ({"sizes": 5}, "sizes=5: this field takes"),
        ({"sizes": np.array([1.0, math.inf])}, "sizes="),
        ({"negative_sizes": "abc"}, "negative_sizes='abc': this field takes"),
    ],
)
def test_a_number_that_cannot_be_is_one_line(given, message):
    with pytest.raises(UserError) as caught:
        arguments.check(**given)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_numbers_may_be_of_arrays():
    arguments.check(guidance=jnp.float32(3), rescale=None, sizes=np.ones(6), after=np.float64(0))


@pytest.mark.parametrize("key", [0, "a", jax.random.PRNGKey(0), MIXED, MIXED[None, :2]])
def test_what_is_no_key_is_one_line(key):
    with pytest.raises(UserError, match=r"^key=.*: give jax.random.key\(0\), or 2 of them"):
        arguments.keys_of(key, 2)


def test_keys_are_one_or_as_many_as_pictures():
    assert arguments.keys_of(MIXED, 3) is MIXED
    assert arguments.keys_of(None, 3) == jax.random.key(0)


@pytest.mark.parametrize(
    "start", [[1.0], "a", np.ones(2, int), 1j * np.ones(2), np.full(2, np.nan)]
)
def test_what_is_no_state_is_one_line(start):
    with pytest.raises(UserError, match=r"^start: give an array of finite numbers"):
        arguments.start_of(start)


@pytest.mark.parametrize("asked", [(1, 2), score_sde.SkipLayers(7), 3])
def test_what_says_no_blocks_is_one_line(asked):
    with pytest.raises(UserError, match=r"^skip_layers=.*: give score_sde.SkipLayers\("):
        weakened.led(None, None, None, asked, None)


def test_numbers_of_blocks_and_controls_are_checked():
    with pytest.raises(UserError, match=r"^scale=nan: "):
        weakened.led(None, None, None, score_sde.SkipLayers((1,), math.nan), None)
    with pytest.raises(UserError, match=r"^end='a': "):
        controlled.checked(None, [score_sde.Control("a", None, end="a")], None)


@pytest.mark.parametrize("asked", [[3], 3, "a", score_sde.Control("a", None)])
def test_what_is_no_control_is_one_line(asked):
    with pytest.raises(UserError, match=r"^controls: give a list of score_sde\.Control"):
        controlled.checked(None, asked, None)
    with pytest.raises(UserError, match=r"^controls: 3 is no folder"):
        controlled.checked(None, [score_sde.Control(3, None)], None)


@pytest.mark.parametrize("image", [np.zeros((0, 8, 3)), np.full((8, 8, 3), "a"), "a.png", None])
def test_what_is_no_image_is_one_line(image):
    with pytest.raises(UserError, match=r"^image is \(.*\): give \[height, width, 3\]"):
        pictured.of_channels(image, 3, "image", 1)
