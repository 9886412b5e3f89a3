"""Batches of a source, with Grain: deterministic, sharded over processes, resumable at any step.

A batch is a function of (source, batch_size, seed, step) and nothing else: global batch s is the
positions s B .. (s + 1) B - 1 of an endless list (see order). Process p of P gathers the rows
[p B / P, (p + 1) B / P) of it. Augmentation and encoding are left to the device (score_sde.spaces).

Grain maps steps to batches, reads ahead in threads and keeps the state. It does not shuffle: that
costs it 6 microseconds an example in the interpreter, on every process for the whole global batch,
and gives seeds 0 and 1 the same epochs shifted by one.
"""

import os
from typing import TYPE_CHECKING

import numpy as np

from score_sde.data.base import DataError, Source
from score_sde.data.order import Order

if TYPE_CHECKING:
    import grain

# In a batch of evaluation, beside the fields: which examples count.
COUNTS = "counts"

_MAX_THREADS = 16
_ENDLESS = 2**40  # steps: Grain wants a length, and positions must stay within 64 bits


def train_batches(
    source: Source,
    *,
    batch_size: int,
    seed: int,
    process_index: int = 0,
    process_count: int = 1,
    start_step: int = 0,
) -> "grain.DatasetIterator":
    """Endless shuffled batches; every example once in each epoch, none dropped.

    `start_step=k` gives what a fresh iterator gives after k calls of `next`, at once. So a run that
    keeps its step and seed needs no other state. `get_state()` is a small dictionary that JSON can
    hold, {"next_index": step}: the step of the next batch that the *caller* gets, whatever the
    threads have read ahead. `set_state(state)` resumes there. Both are the same on every process.
    Call `close()` to stop the threads early.

    Args:
      source: any source.
      batch_size: B, over all processes.
      seed: any integer >= 0; another seed gives unrelated permutations.
      process_index: p, 0 <= p < P.
      process_count: P; must divide B.
      start_step: number of batches to pass over.

    Returns:
      A Grain iterator of an array for each field by its name, [B / P, *shape].

    Raises:
      DataError: if the source is empty or B is not divisible by P.
    """
    import grain

    rows = _rows(source, batch_size, process_index, process_count)
    order = Order(len(source), seed)

    def batch(step: int) -> dict[str, np.ndarray]:
        return source.gather(order(step * batch_size + np.arange(rows.start, rows.stop)))

    iterator = iter(grain.MapDataset.range(_ENDLESS).map(batch).to_iter_dataset(_read_options()))
    iterator.set_state({"next_index": start_step})
    return iterator


def eval_batches(
    source: Source,
    batch_size: int,
    process_index: int = 0,
    process_count: int = 1,
) -> "grain.DatasetIterator":
    """One pass in order, every example exactly once, all batches of the same size.

    The last batch is filled up with copies of the last example, where COUNTS is False.

    Args:
      source: any source.
      batch_size: B, over all processes.
      process_index: p, 0 <= p < P.
      process_count: P; must divide B.

    Returns:
      A Grain iterator of an array for each field by its name, [B / P, *shape], and under COUNTS
      bool [B / P]; ceil(size / B) batches on every process.

    Raises:
      DataError: if the source is empty or B is not divisible by P.
    """
    import grain

    rows = _rows(source, batch_size, process_index, process_count)
    size = len(source)

    def batch(step: int) -> dict[str, np.ndarray]:
        indices = step * batch_size + np.arange(rows.start, rows.stop)
        return {**source.gather(np.minimum(indices, size - 1)), COUNTS: indices < size}

    steps = -(-size // batch_size)
    return iter(grain.MapDataset.range(steps).map(batch).to_iter_dataset(_read_options()))


def _rows(source: Source, batch_size: int, process_index: int, process_count: int) -> slice:
    """The rows of the global batch that a process reads."""
    if not len(source):
        raise DataError(
            f"split {source.info.split!r} of {source.info.name} is empty: use another split"
        )
    if batch_size < 1 or batch_size % process_count:
        raise DataError(
            f"batch_size is {batch_size}: give a positive multiple of the {process_count} processes"
        )
    local = batch_size // process_count
    return slice(process_index * local, (process_index + 1) * local)


def _read_options() -> "grain.ReadOptions":
    """Threads that read ahead; an element of the buffer is a whole batch, so few are enough."""
    import grain

    threads = min(_MAX_THREADS, os.cpu_count() or 1)
    return grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
