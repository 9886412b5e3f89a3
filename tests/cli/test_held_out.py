"""Which elements of held-out examples are kept."""

import pytest

from score_sde.cli import held_out
from score_sde.errors import UserError


def test_rows_that_are_kept():
    assert held_out.kept("0::4") == slice(0, None, 4)
    assert held_out.kept("3:9") == slice(3, 9, None)
    with pytest.raises(UserError, match="give START:STOP"):
        held_out.kept("3")
