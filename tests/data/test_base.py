"""What is known of a data set: its fields by name and by kind, and back from a file."""

import json
import math

import pytest

from score_sde import fields
from score_sde.data import DataError, Info

LABELS = (fields.label(3, name="coarse"), fields.label(9, ("a",) * 9))
INFO = Info("set", "train", 5, (fields.image((4, 6, 3)), *LABELS, fields.number("size")))


def test_of_several_fields_of_a_kind_that_of_its_name_is_meant():
    """Or the one that is named; without either, none."""
    assert INFO.of_kinds(("label",)) == LABELS[1]
    assert INFO.of_kinds(("label",), "coarse") == LABELS[0]
    assert INFO.of_kinds(("vector", "number")).name == "size"
    two = Info("set", "train", 5, (LABELS[0], fields.label(2, name="fine")))
    with pytest.raises(DataError, match="several fields of kind label: name one"):
        two.of_kinds(("label",))
    with pytest.raises(DataError, match="the field 'size' of set is of kind number, not label"):
        INFO.of_kinds(("label",), "size")


def test_a_description_survives_a_file_and_another_form_is_one_line():
    assert Info.from_json(json.loads(json.dumps(INFO.to_json()))) == INFO
    good = INFO.to_json()
    before_fingerprints = {k: v for k, v in good.items() if k != "fingerprint"}
    assert Info.from_json(before_fingerprints) == INFO
    for damaged in (
        {},
        {"fields": [3]},
        {"fields": {"a": 1}},
        good | {"fields": [{"name": "counts"}]},
        good | {"size": "5"},
        good | {"size": -5},
        good | {"name": None},
        good | {"more": 1},
        good | {"fields": [good["fields"][0] | {"shape": [4, 6, 3.5]}]},
        good | {"fields": [good["fields"][0] | {"shape": [4, -6, 3]}]},
        good | {"fields": [good["fields"][0] | {"values": math.nan}]},
    ):
        with pytest.raises(DataError, match="this describes no data set"):
            Info.from_json(damaged)


@pytest.mark.parametrize("name", ["counts", "samples", "observed", "a b", "", "1"])
def test_a_field_cannot_have_a_name_that_means_something_else(name):
    with pytest.raises(ValueError, match="a field cannot be named"):
        fields.number(name)
