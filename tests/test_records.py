"""Records: JSON objects that are read with care, and seals that a change breaks."""

import json
import math

import pytest

from score_sde import records

VALUES = {"value": 9.432, "many": [1, 2.5e-17, None], "of": {"b": True, "a": math.inf}, "n": {1: 2}}


def test_what_is_sealed_is_read_again():
    text = json.dumps(records.sealed(VALUES))
    assert records.unsealed(records.parse(text)) == {**VALUES, "n": {"1": 2}}
    backwards = dict(reversed(json.loads(text).items()))
    assert records.unsealed(backwards) == {**VALUES, "n": {"1": 2}}
    assert records.unsealed({"old": 1}) == {"old": 1}


@pytest.mark.parametrize(
    "change", [{"value": 9.545}, {"value": "9.432"}, {"more": 1}, {"many": [1]}, {"sha256": "0"}]
)
def test_every_change_breaks_a_seal(change):
    changed = {**records.sealed(VALUES), **change}
    with pytest.raises(ValueError, match=r"^was changed since it was written$"):
        records.unsealed(changed)


def test_a_seal_is_of_one_place():
    values = records.sealed(VALUES, "here")
    assert records.unsealed(values, "here") == VALUES
    with pytest.raises(ValueError, match="was changed"):
        records.unsealed(values, "there")


def test_a_seal_inside_is_of_all_values():
    values = {"a": 1, "run": {"b": 2}}
    sealed = records.sealed(values, inside="run")
    assert sealed["run"].keys() == {"b", "sha256"}
    assert sealed["a"] == 1
    assert records.unsealed(sealed, inside="run") == values
    with pytest.raises(ValueError, match="was changed"):
        records.unsealed({**sealed, "a": 2}, inside="run")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"is not JSON \(Expecting value"),
        (b"{", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"\xff\xfe{}", "is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "is nested more than 64 times"),
        (b'{"a":' + b"[" * 100_000, "is nested more than 64 times"),
    ],
)
def test_what_is_no_record_is_one_line(tmp_path, text, message):
    (tmp_path / "x.json").write_bytes(text)
    with pytest.raises(ValueError, match=message) as info:
        records.read(tmp_path / "x.json")
    assert "\n" not in str(info.value)


def test_what_is_no_file(tmp_path):
    assert records.read(tmp_path / "none.json") is None
    with pytest.raises(ValueError, match="is not a regular file"):
        records.read(tmp_path)
    (tmp_path / "a").write_text("")
    with pytest.raises(ValueError, match=r"cannot be read \(Not a directory\)"):
        records.read(tmp_path / "a" / "x.json")
