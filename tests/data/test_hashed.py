"""Numbers of texts are those of SHA-256, whose examples are published."""

from score_sde.data.hashed import uniform


def test_the_first_64_bits_of_the_digest():
    """FIPS 180-4's of "abc" begin with ba7816bf 8f01cfea; a path need not be UTF-8."""
    assert uniform("abc") == 0xBA7816BF8F01CFEA / 2**64
    assert uniform("ab\udcffc") != uniform("abc")
    found = [uniform(str(number)) for number in range(1000)]
    assert 0 <= min(found) < 0.01 < 0.99 < max(found) < 1
