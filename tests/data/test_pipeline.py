"""Batches: epochs, sharding, exact resume with threads that read ahead, padding."""

import itertools
import json
import time

import numpy as np
import pytest

from score_sde import data


def labels(iterator, steps):
    return np.stack([batch["label"] for batch in itertools.islice(iterator, steps)])


@pytest.mark.parametrize(("size", "batch"), [(50, 8), (8, 8), (3, 8), (64, 16)])
def test_every_epoch_has_every_example_once_across_batch_borders(counting, size, batch):
    epochs = 8
    seen = labels(data.train_batches(counting(size), batch_size=batch, seed=0), size * epochs)
    per_epoch = seen.reshape(-1)[: size * epochs].reshape(epochs, size)
    assert np.array_equal(np.sort(per_epoch, axis=1), np.tile(np.arange(size), (epochs, 1)))
    assert len(np.unique(per_epoch, axis=0)) > epochs // 2  # 3 examples have only 6 orders


def test_image_and_label_belong_together_and_are_typed(counting):
    batch = next(data.train_batches(counting(50), batch_size=8, seed=0))
    assert (batch["image"].dtype, batch["label"].dtype) == (np.uint8, np.int32)
    assert batch["image"].shape == (8, 2, 2, 1)
    assert np.array_equal(batch["image"][:, 0, 0, 0], batch["label"])


def test_seeds_give_unrelated_orders(counting):
    # Grain's own shuffle would make epoch 1 of seed 0 the epoch 0 of seed 1.
    runs = [labels(data.train_batches(counting(40), batch_size=40, seed=s), 3) for s in range(4)]
    assert len(np.unique(np.concatenate(runs), axis=0)) == 12


def test_the_order_of_an_old_run_is_kept_for_ever(counting):
    first = next(data.train_batches(counting(1000), batch_size=6, seed=7))["label"]
    assert first.tolist() == [999, 158, 535, 130, 567, 255]


def test_position_of_an_example_is_uniform(counting):
    # Mean position over 400 epochs of 21: 10, standard error sqrt((21^2 - 1) / 12 / 400) = 0.30.
    epochs = labels(data.train_batches(counting(21), batch_size=21, seed=3), 400)
    assert abs(np.argwhere(epochs == 0)[:, 1].mean() - 10) < 4 * 0.30


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_same_global_batches(counting, count):
    source = counting(50)
    whole = labels(data.train_batches(source, batch_size=8, seed=1), 20)
    parts = [
        labels(
            data.train_batches(source, batch_size=8, seed=1, process_index=p, process_count=count),
            20,
        )
        for p in range(count)
    ]
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
@pytest.mark.parametrize("step", [0, 1, 6, 13])
def test_state_is_the_consumers_and_resumes_exactly(counting, step, cache_bytes):
    source = counting(50, cache_bytes)
    iterator = data.train_batches(source, batch_size=8, seed=0)
    for _ in range(step):
        next(iterator)
    time.sleep(0.02)  # The threads are now ahead of the consumer.
    state = json.loads(json.dumps(iterator.get_state()))
    assert state == {"next_index": step}
    following = labels(iterator, 20)

    restored = data.train_batches(counting(50, cache_bytes), batch_size=8, seed=0)
    next(restored)  # Its threads have begun on the wrong batches.
    restored.set_state(state)
    assert np.array_equal(labels(restored, 20), following)
    skipped = data.train_batches(counting(50, cache_bytes), batch_size=8, seed=0, start_step=step)
    assert np.array_equal(labels(skipped, 20), following)


def test_a_cached_source_decodes_each_example_once_and_a_large_one_every_time(counting):
    decoded = []

    def watch(source):
        read = source._read
        source._read = lambda indices: (decoded.extend(indices), read(indices))[1]
        return source

    for cache_bytes, reads in ((400, 50), (399, 100)):  # 4 bytes of pixels, 4 of label, 50 times
        decoded.clear()
        source = watch(counting(50, cache_bytes))
        for _ in range(2):
            source.gather(np.arange(50))
        assert len(decoded) == reads


@pytest.mark.parametrize(
    ("size", "batch", "count"), [(10, 4, 1), (10, 4, 2), (12, 4, 2), (3, 8, 4)]
)
def test_evaluation_is_one_padded_pass_in_order(counting, size, batch, count):
    shards = [list(data.eval_batches(counting(size), batch, p, count)) for p in range(count)]
    steps = -(-size // batch)
    assert [len(shard) for shard in shards] == [steps] * count
    whole = [
        {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for parts in zip(*shards, strict=True)
    ]
    for b in whole:
        assert b["image"].shape == (batch, 2, 2, 1)
        assert b[data.COUNTS].shape == (batch,)
    seen = np.concatenate([b["label"][b[data.COUNTS]] for b in whole])
    assert np.array_equal(seen, np.arange(size))


def test_bad_batch_sizes(counting):
    with pytest.raises(data.DataError, match="multiple of the 3 processes"):
        data.train_batches(counting(50), batch_size=8, seed=0, process_count=3)
    with pytest.raises(data.DataError, match="batch_size is 0"):
        data.eval_batches(counting(50), 0)
    with pytest.raises(data.DataError, match="empty"):
        data.eval_batches(counting(0), 4)
