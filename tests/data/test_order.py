"""Orders of data sets that are too large to be sorted: permutations, in the memory of a batch."""

import itertools
import tracemalloc

import numpy as np
import pytest

from score_sde import data
from score_sde.data.order import Feistel


@pytest.mark.parametrize("size", [1, 2, 3, 17, 1000, 4096, 4097])
def test_every_example_once(size):
    found = Feistel(size, seed=3, epoch=1)[np.arange(size)]
    assert np.array_equal(np.sort(found), np.arange(size))


def test_epochs_and_seeds_give_unrelated_orders():
    """Two random permutations of n agree in 1 place on average, with a standard deviation of 1."""
    asked = [(0, 0), (0, 1), (1, 0), (1, 1)]
    orders = [Feistel(5000, seed, epoch)[np.arange(5000)] for seed, epoch in asked]
    for one, other in itertools.combinations([np.arange(5000), *orders], 2):
        assert (one == other).sum() < 8
        # Nor are neighbours neighbours: each step is as long as that of a random order, n / 3.
        assert abs(np.abs(np.diff(other)).mean() / (5000 / 3) - 1) < 0.05


def test_positions_are_uniform():
    """Of 2^16 draws in 64 bins: chi squared has mean 63 and standard deviation sqrt 126."""
    found = Feistel(10**10, seed=0, epoch=0)[np.arange(2**16)]
    counts = np.histogram(found, 64, (0, 10**10))[0]
    assert abs(((counts - 1024) ** 2 / 1024).sum() - 63) < 4 * np.sqrt(126)


class Fake:
    """Ten billion examples that are their own numbers."""

    def __init__(self, like):
        self.info = like.info

    def __len__(self):
        return 10**10

    def gather(self, indices):
        assert indices.dtype == np.int64
        assert (indices >= 0).all()
        return {"number": indices}


def test_ten_billion_examples_are_shuffled_batch_by_batch(counting):
    """Beyond 2^31 in place and position, over the end of an epoch, in the memory of a batch."""
    source, batch, last = Fake(counting(1)), 1024, 10**10 // 1024

    def at(step, process=0, count=1):
        return data.train_batches(
            source,
            batch_size=batch,
            seed=1,
            process_index=process,
            process_count=count,
            start_step=step,
        )

    tracemalloc.start()
    before, over = (b["number"] for b in itertools.islice(at(last - 1), 2))
    halves = [next(at(last, process, 2))["number"] for process in range(2)]
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()
    end = 10**10 - last * batch  # so many of the batch are of the first epoch
    whole = np.concatenate([before, over[:end]])
    assert len(np.unique(whole)) == len(whole)
    assert whole.max() > 2**32
    assert np.array_equal(over[end:], Feistel(10**10, 1, 1)[np.arange(batch - end)])
    assert np.array_equal(np.concatenate(halves), over)


def test_ten_billion_examples_are_evaluated_in_order(counting):
    """The last batch, from which a process reads its half, and where copies do not count."""
    source, batch = Fake(counting(1)), 1536
    steps = -(-(10**10) // batch)
    found = []
    for process in range(2):
        batches = data.eval_batches(source, batch, process, 2)
        batches.set_state({"next_index": steps - 1})
        (last,) = batches
        found.append(last)
    numbers, counts = (np.concatenate([b[key] for b in found]) for key in ("number", data.COUNTS))
    places = (steps - 1) * batch + np.arange(batch)
    assert np.array_equal(numbers, np.minimum(places, 10**10 - 1))
    assert np.array_equal(counts, places < 10**10)
    assert 0 < counts.sum() < batch
