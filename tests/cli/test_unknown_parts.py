"""Models of whose examples no part can be known, and parts that are all or nothing."""

from types import SimpleNamespace

import pytest
from ml_collections import ConfigDict

from score_sde import fields
from score_sde.cli import infilled, observed
from score_sde.cli.flags import Options
from score_sde.errors import UserError
from score_sde.spaces import Backbones, Tokens, Vectors


@pytest.mark.parametrize(
    ("ask", "options", "space", "field", "said"),
    [
        (
            *(infilled.ask, {"task": "infill"}, Backbones, fields.points(8, 3)),
            "--task=infill is of tokens, and this model draws points: give --task=inpaint",
        ),
        (
            *(infilled.ask, {"task": "infill"}, Vectors, fields.vector(2)),
            "--task=infill is of tokens, and this model draws vectors",
        ),
        (
            *(observed.ask, {"task": "inpaint"}, Tokens, fields.tokens(8, 4)),
            "--task=inpaint: this model draws tokens in config.space.name=own, of which no part "
            "can be known: give --task=infill",
        ),
        (
            *(observed.ask, {"task": "colorize"}, Tokens, fields.tokens(8, 4)),
            "--task=colorize: this model draws tokens in config.space.name=own, of which no part "
            "can be known",
        ),
        (
            *(infilled.ask, {"task": "infill", "keep": ":"}, Tokens, fields.tokens(8, 4)),
            "--keep=: knows everything of 8 tokens",
        ),
        (
            *(infilled.ask, {"task": "infill", "keep": "8:"}, Tokens, fields.tokens(8, 4)),
            "--keep=8: knows nothing of 8 tokens",
        ),
    ],
)
def test_a_refusal_says_what_to_do(ask, options, space, field, said):
    config = ConfigDict({"space": {"name": "own"}})
    own = SimpleNamespace(STATES=space.STATES, REGIONS=space.REGIONS)
    experiment = SimpleNamespace(space=own, field=field)
    with pytest.raises(UserError) as error:
        ask(Options(**options), config, experiment, 2, {})
    assert str(error.value) == said
