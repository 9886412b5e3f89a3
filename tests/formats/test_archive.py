"""Files of zip archives, whatever these claim."""

import io
import zipfile

import pytest

from score_sde.formats import archive


def opened(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return zipfile.ZipFile(file)


def test_no_more_is_read_than_may_be():
    """Nor is a file taken that is longer, or that is not there."""
    whole = opened(a=bytes(1000))
    assert archive.member(whole, "a", 1000) == bytes(1000)
    with pytest.raises(ValueError, match="a is larger than 999 bytes"):
        archive.member(whole, "a", 999)
    with pytest.raises(ValueError, match="no b in it"):
        archive.member(whole, "b", 10)


@pytest.mark.parametrize("place", [30, 34, 40])
def test_damage_is_among_what_is_caught(place):
    content = bytearray(opened(a=b"abcdefgh" * 50).fp.getvalue())
    content[place : place + 4] = b"\xff" * 4
    with pytest.raises(archive.DAMAGED):
        archive.member(zipfile.ZipFile(io.BytesIO(bytes(content))), "a", 1000)
