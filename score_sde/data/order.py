"""The order in which training sees its examples: one permutation of all of them after another.

Epoch e is a permutation of 0..n-1 given by (seed, e). Up to LARGE examples it is made at once, by
sorting raw bits. Of more, what is asked for is computed place by place, in memory that does not
grow with n: a Feistel network permutes the numbers below the least 4^k that is at least n (Luby and
Rackoff 1988, doi 10.1137/0217022), and a number that falls beyond n is permuted again until it does
not (Black and Rogaway 2002, doi 10.1007/3-540-45760-7_9). Fewer than 4 in 4^k / n are.
"""

import functools

import numpy as np

LARGE = 2**26  # sorted, these take 0.5 GB for each epoch that is at hand, and seconds
_ROUNDS = 6


class Order:
    """The endless list of positions.

    Args:
        size: n, number of examples.
        seed: any integer >= 0; another gives unrelated permutations.
    """

    def __init__(self, size: int, seed: int):
        self._size, self._seed = size, seed
        # A batch may span two epochs, and threads may be an epoch apart.
        self._epoch = functools.lru_cache(maxsize=3)(sorted_bits if size <= LARGE else Feistel)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Places in the endless list, ascending integers [n] -> positions in the source, [n]."""
        epochs, offsets = np.divmod(places, self._size)
        parts = [
            self._epoch(self._size, self._seed, int(e))[offsets[epochs == e]]
            for e in np.unique(epochs)
        ]
        return np.concatenate(parts)


def sorted_bits(size: int, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch, by sorting raw bits, [size].

    NumPy keeps the bits of a bit generator for ever, unlike `Generator.permutation`: an old run
    resumes in the same order under a newer NumPy.
    """
    return np.argsort(_bits(seed, epoch).random_raw(size), kind="stable")


class Feistel:
    """The order of one epoch, read by place as if it were an array.

    Args:
        size: number of examples, up to 2^62.
        seed: see Order.
        epoch: which.
    """

    def __init__(self, size: int, seed: int, epoch: int):
        self._size = np.uint64(size)
        self._half = np.uint64(max(1, -(-(size - 1).bit_length() // 2)))
        self._keys = _bits(seed, epoch).random_raw(_ROUNDS)

    def __getitem__(self, places: np.ndarray) -> np.ndarray:
        """Places in the epoch, integers [n] -> positions in the source, int64 [n]."""
        found = self._once(np.asarray(places).astype(np.uint64))
        while (beyond := found >= self._size).any():
            found[beyond] = self._once(found[beyond])
        return found.astype(np.int64)

    def _once(self, numbers: np.ndarray) -> np.ndarray:
        low = (np.uint64(1) << self._half) - np.uint64(1)
        left, right = numbers >> self._half, numbers & low
        for key in self._keys:
            left, right = right, left ^ (_mixed(right ^ key) & low)
        return (left << self._half) | right


def _bits(seed: int, epoch: int) -> np.random.Philox:
    return np.random.Philox(np.random.SeedSequence((seed, epoch)))


def _mixed(x: np.ndarray) -> np.ndarray:
    """64 bits, each of which depends on all of x: the finaliser of SplitMix64.

    Steele, Lea and Flood 2014, doi 10.1145/2660193.2660195.
    """
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))
