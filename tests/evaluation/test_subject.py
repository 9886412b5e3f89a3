"""What is evaluated: what it is told of a batch, and what its numbers are written down by."""

import json

import jax
import numpy as np
import pytest
from made_subject import made_source, made_subject, subject_of

import score_sde
from score_sde import fields
from score_sde.data import Info, Source
from score_sde.errors import UserError
from score_sde.evaluation.per_example import of_examples
from score_sde.evaluation.subject import examples_fingerprint
from score_sde.models.functional import fingerprint

LEVEL = np.random.default_rng(0).integers(0, 17, (10, 2, 2, 1))


def test_the_protocol(tmp_path):
    what, _ = made_subject(tmp_path, score_sde.VP(), None, LEVEL, 17, tiled=True, seed=3)
    protocol = json.loads(json.dumps({**what.protocol(), **what.data_protocol()}))
    assert len(protocol["data"].pop("sha256")) == 64
    assert protocol["data"] == {
        "name": "made",
        "split": "test",
        "field": "image",
        "examples": 10,
        "of": 10,
        "shape": [2, 2, 1],
    }
    assert (protocol["levels"], protocol["range"]) == (17, [-1, 1])
    assert protocol["trained_on_dequantized"]
    assert protocol["sde"]["name"] == "VP"
    assert (protocol["seed"], protocol["step"], protocol["conditions"]) == (3, 7, [])


def test_what_the_model_is_told(tmp_path):
    what, _ = made_subject(tmp_path, score_sde.VP(), None, LEVEL, 17)
    assert what.told({"image": 1, "label": 2}) is None
    object.__setattr__(what, "conditions", ("label",))
    assert what.told({"image": 1, "label": 2, "angle": 3}) == {"label": 2}


def test_fingerprints_tell_examples_and_weights_apart():
    """Another value, another order, another name; but only of the examples that are evaluated."""
    values = np.arange(20, dtype=np.float32).reshape(10, 2)
    changed = values + np.eye(10, 2, -9)  # in the last example

    def of(values, number):
        source = made_source({"vector": values.astype(np.float32)}, [fields.vector(2)])
        return examples_fingerprint(source, "vector", number)

    assert of(values, 10) != of(changed, 10)
    assert of(values, 9) == of(changed, 9)
    assert of(values, 10) != of(values[::-1], 10)
    found = [
        fingerprint({"a": values}),
        fingerprint({"b": values}),
        fingerprint({"a": changed}),
        fingerprint({"a": values.T}),
        fingerprint({"a": values}, {"c": values}),
    ]
    assert len(set(found)) == len(found)


def test_of_more_examples_than_can_be_counted_the_first_are_evaluated(tmp_path):
    """Of 2^33 that are their own numbers; without a number of them it is one line."""
    described = (fields.vector(1),)
    info = Info("made", "test", 2**33, described)
    source = Source(info, lambda rows: {"vector": rows[:, None].astype(np.float32)})

    def measure(model, space, keys, batch):
        return {"key": jax.random.key_data(keys), "value": batch["vector"][:, 0]}

    with pytest.raises(UserError) as caught:
        subject_of(tmp_path, score_sde.VP(), None, None, source)
    assert str(caught.value) == (
        "made has 8,589,934,592 examples in its split test, and at most 2,147,483,647 can be "
        "evaluated: give config.evaluation.num_examples, such as 50000"
    )
    space = score_sde.spaces.Vectors.of(described[0])
    what, _ = subject_of(tmp_path, score_sde.VP(), None, space, source, number=6)
    assert what.protocol()["data"]["of"] == 2**33
    found = of_examples(what, "made", {}, measure)
    assert found["value"].tolist() == list(range(6))
    assert len({tuple(key) for key in found["key"].tolist()}) == 6
