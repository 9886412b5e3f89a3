"""Values of a config.json: what they must be, and that wrong ones are said."""

import pytest

from score_sde.interop.components import COMPONENTS, folder, values

WRONG = ("x", -1, 0, None, [], {}, 1.5, True, [1], [None] * 3, [[1]], ["x"] * 4, 10**30)


@pytest.mark.parametrize(
    ("default", "right", "wrong", "message"),
    [
        (True, False, 1, "it must be true or false"),
        (2, 0, True, "it must be a whole number from 0"),
        (2, 3, 2.0, "it must be a whole number from 0"),
        (2, 2**20, 2**20 + 1, "it must be a whole number from 0 to 1048576"),
        (0.5, 1, "1", "it must be a finite number"),
        (0.5, -1.5, float("inf"), "it must be a finite number"),
        ("a", "b", ["b"], "it must be a name"),
        ((1,), (2, 3), 2, "it must be a list"),
        ((1,), (2, 3), [], "it must be a list"),
        ((1,), (2, 3), [2, "3"], "it must be a whole number"),
    ],
)
def test_a_value_is_of_the_kind_of_its_default(default, right, wrong, message):
    """Missing and null mean the default."""
    assert values.present({}, "n", default) == default
    assert values.present({"n": None}, "n", default) == default
    assert values.present({"n": right}, "n", default) == right
    with pytest.raises(ValueError, match=f"config.json says n=.*{message}"):
        values.present({"n": wrong}, "n", default)


def test_values_of_levels():
    """One for all of them, or as many."""
    assert values.levels({}, "n", 1, 2) == (1, 1)
    assert values.levels({"n": 3}, "n", 1, 2) == (3, 3)
    assert values.levels({"n": [3, 4]}, "n", 1, 2) == (3, 4)
    with pytest.raises(ValueError, match=r"n=\[3\]; it must be 2 values or one"):
        values.levels({"n": [3]}, "n", 1, 2)


def test_what_changes_nothing_and_what_is_off_is_passed_over():
    """Also the file's own names; anything else has to be what a network of ours is."""
    values.check({"_a": 1, "b": 2, "c": 3, "d": None, "e": False}, {"b"}, {}, {"c"})
    values.check({"a": "y"}, (), {"a": ("x", "y")})
    with pytest.raises(ValueError, match="a='z'; the network here has 'x' or 'y'"):
        values.check({"a": "z"}, (), {"a": ("x", "y")})
    with pytest.raises(ValueError, match="a='z', which is not known here"):
        values.check({"a": "z"}, (), {})


@pytest.mark.parametrize(
    "path",
    ["pipelines/sdxl/unet", "pipelines/sd35/vae", "controlnet/sdxl", "t2i_adapter/t2i_sd15"],
)
def test_wrong_values_are_a_value_error(shared, path):
    """Or they are read: nothing else comes of any value of a released config."""
    config = folder.config(shared / "golden" / "latent" / path)
    options = COMPONENTS[config["_class_name"]].options
    messages = []
    for name in config:
        for value in WRONG:
            try:
                options({**config, name: value})
            except ValueError as error:
                messages.append(str(error))
    assert len(messages) > 5 * len(config)
    assert not any("\n" in message for message in messages)
