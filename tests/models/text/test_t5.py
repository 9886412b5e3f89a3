"""Buckets of distances of T5; its numbers are in tests/interop."""

import math

import numpy as np

from score_sde.models.text.t5 import bucket


def test_buckets_of_distances():
    """32 of them up to 128: one for each distance below 8, then two for each doubling."""
    expected = [*range(8), *(8 + math.floor(2 * math.log2(n / 8) + 1e-9) for n in range(8, 128))]
    before = bucket(-np.arange(140), 32, 128)
    assert before.tolist() == expected + [15] * 12
    after = bucket(np.arange(1, 140), 32, 128)
    np.testing.assert_array_equal(after, before[1:] + 16)
    assert [int(bucket(np.array(-n), 32, 128)) for n in (11, 12, 15, 16, 22, 23, 90, 91)] == [
        *(8, 9, 9, 10, 10, 11, 14, 15),
    ]
