"""Examples that cannot be read have another in their place where they are trained on."""

import numpy as np
import pytest

from score_sde import data, fields
from score_sde.data import selection
from score_sde.data.replaced import replaced


def source(size, damaged, cache_bytes=0):
    """Vectors of one number, their own place; some cannot be read."""

    def read(indices):
        if found := sorted(damaged & set(indices.tolist())):
            raise data.DataError(f"example {found[0]} is damaged")
        return {"x": indices[:, None].astype(np.float32)}

    info = data.Info("mine", "train", size, (fields.vector(1, "x"),))
    return data.Source(info, read, cache_bytes=cache_bytes)


def order(of, count):
    """What the batches of a set hold, in their order."""
    batches = data.train_batches(of, batch_size=4, seed=0)
    found = np.concatenate([next(batches)["x"][:, 0] for _ in range(count)])
    batches.close()
    return found


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_the_next_that_can_be_read_stands_in_and_each_is_named_once(cache_bytes):
    said = []
    found = order(replaced(source(30, {5, 6, 29}, cache_bytes), said.append), 15)
    expected = order(source(30, set()), 15)
    for index, other in ((5, 7), (6, 7), (29, 0)):
        expected[expected == index] = other
    np.testing.assert_array_equal(found, expected)
    assert sorted(line.partition(";")[0] for line in said) == [
        "warning: example 29 is damaged. Example 0 is trained on in place of 29",
        "warning: example 5 is damaged. Example 7 is trained on in place of 5",
        "warning: example 6 is damaged. Example 7 is trained on in place of 6",
    ]
    assert [line.partition("; ")[2] for line in said] == [
        f"{count} of 30 are damaged so far" for count in (1, 2, 3)
    ]


@pytest.mark.parametrize(("size", "most"), [(3, 2), (40, 10), (1500, 15)])
def test_more_than_a_few_are_no_accident(size, most):
    """A folder that is gone has no example; it is not looked for in all of them."""
    asked = []
    whole = source(size, set(range(size)))
    gather = whole.gather
    whole.gather = lambda indices: (asked.append(indices), gather(indices))[1]
    said = f"example 1 is damaged; more than {most} of {size:,} examples are damaged"
    with pytest.raises(data.DataError, match=said):
        replaced(whole, pytest.fail).gather(np.array([1]))
    assert len(asked) == 1 + most + 1


@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
def test_each_that_is_damaged_counts_once_in_any_order(order):
    """A run that resumes may meet them in another one."""
    damaged = range(10)
    found = replaced(source(40, set(damaged)), lambda line: None)
    for index in [*damaged][::order]:
        assert found.gather(np.array([index]))["x"] == 10


def test_what_is_measured_is_never_replaced():
    """An evaluation would count an example twice."""
    data.register("mine", lambda split: source(30, {5}))
    options = selection.DataOptions(name="mine", replace_damaged=True)
    assert options.open_to_train(lambda line: None)[5] == {"x": np.float32(6)}
    with pytest.raises(data.DataError, match="example 5 is damaged"):
        options.open("train")[5]
