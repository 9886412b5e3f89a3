"""Digests: any change of any array is found, however the arrays are split."""

import hashlib
import json

import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.training.digests import damaged, digests, misfit


def tree():
    return {
        "kernel": jnp.arange(24.0).reshape(4, 6),
        "half": jnp.arange(5, dtype=jnp.bfloat16),
        "count": jnp.int32(3),
        "on": np.array([True, False]),
        "none": jnp.zeros((0, 3)),
    }


def test_a_record_goes_through_a_file_and_fits_its_arrays():
    record = json.loads(json.dumps(digests(tree())))
    assert misfit(record, tree()) is None
    assert damaged(record, tree()) is None
    assert record["['kernel']"]["shape"] == [4, 6]


@pytest.mark.parametrize("name", ["kernel", "half", "count", "on"])
def test_one_bit_is_found_and_the_array_named(name):
    record, changed = digests(tree()), tree()
    raw = np.array(changed[name]).reshape(-1)
    raw.view(np.uint8)[-1] ^= 1
    changed[name] = raw.reshape(changed[name].shape)
    assert damaged(record, changed) == f"['{name}']"


def test_a_block_is_known_by_sixty_four_bits_of_its_bytes():
    """As in every checkpoint that was ever written."""
    array = np.arange(600, dtype=np.float32).reshape(20, 30)
    ((_, digest),) = digests({"a": array.T})["['a']"]["blocks"]
    assert digest == hashlib.sha256(array.T.tobytes()).hexdigest()[:16]


def test_rows_in_another_order_are_found():
    record = digests(tree())
    assert damaged(record, tree() | {"kernel": tree()["kernel"][::-1]}) == "['kernel']"


def test_blocks_of_a_split_array_are_found_in_a_whole_one():
    """As it is written by four devices and read by one."""
    whole = np.arange(24.0, dtype=np.float32).reshape(4, 6)
    blocks = []
    for rows in ((0, 2), (2, 4)):
        for columns in ((0, 3), (3, 6)):
            part = whole[slice(*rows), slice(*columns)]
            (_, digest), *_ = digests({"a": part})["['a']"]["blocks"]
            blocks.append([[list(rows), list(columns)], digest])
    record = {"['a']": {"dtype": "float32", "shape": [4, 6], "blocks": blocks}}
    assert damaged(record, {"a": jnp.asarray(whole)}) is None
    whole[3, 1] += 1
    assert damaged(record, {"a": jnp.asarray(whole)}) == "['a']"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": jnp.zeros((6, 4))}, "its ['kernel'] is float32 [4, 6], not float32 [6, 4]"),
        ({"count": jnp.float32(3)}, "its ['count'] is int32 [], not float32 []"),
        ({"new": jnp.zeros(1)}, "it has no ['new']"),
    ],
)
def test_other_arrays_are_a_misfit_and_no_damage(change, message):
    assert misfit(digests(tree()), tree() | change) == message


def test_an_array_that_is_not_asked_for_is_a_misfit():
    asked = {name: array for name, array in tree().items() if name != "half"}
    assert misfit(digests(tree()), asked) == "it has ['half'], and the config does not"
