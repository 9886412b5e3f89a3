"""What is asked of tokens by flags that are of something else: what there is instead is said."""

from types import SimpleNamespace

import pytest

from score_sde import fields, spaces
from score_sde.cli import classes, infilled
from score_sde.cli.flags import Options
from score_sde.data.base import Info
from score_sde.errors import UserError

PITCHES = fields.tokens(4, 50)


def model(field, *others, told=(), name="tokens"):
    info = Info("made", "train", 10, (field, *others))
    space = spaces.read({"name": name}, field)
    return SimpleNamespace(data=info, field=field, space=space, conditions=told)


def test_of_tokens_without_names_places_are_kept():
    with pytest.raises(UserError) as error:
        infilled.ask(Options("infill", text="C4"), None, model(PITCHES), 1, {})
    assert str(error.value) == (
        "--text='C4': no token begins with 'C': these are 50 tokens without names: say what is "
        "known of held-out examples by --keep=START:STOP:STEP"
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (model(PITCHES), "told no classes, and the data made have none"),
        (
            model(PITCHES, fields.text(9), told=("text",)),
            "and the data made have none: say what is asked for by --condition=text=VALUE",
        ),
        (
            model(PITCHES, fields.label(2, name="key")),
            "told no classes. Train one that is, by config.conditions.fields=('key',)",
        ),
        (
            model(fields.vector(2), fields.label(2, name="key"), name="vectors"),
            "or a classifier, by config.objective.name=classification and config.objective."
            "classification.field=key as configs/digits_classifier.py, and give its folder as "
            "--classifier=DIR",
        ),
    ],
)
def test_a_model_that_is_told_no_classes_is_asked_otherwise(asked, said):
    with pytest.raises(UserError) as error:
        classes.ask(Options("class"), None, asked, 1, {})
    assert str(error.value).endswith(said)
