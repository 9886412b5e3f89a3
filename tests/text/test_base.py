"""What all tokenisers do with a text."""

from score_sde.text.base import valid


def test_halves_of_surrogate_pairs_are_replaced():
    """A whole pair is its character, and all else is as it was."""
    assert valid("a\ud800b") == "a\ufffdb"
    assert valid("\ud83d\udc4d") == "\U0001f44d"
    assert valid("\ufeffé\0\U0001f44d") == "\ufeffé\0\U0001f44d"
