"""experiments/unmasking: what it says of drawn words."""

import json

import numpy as np
import pytest

from experiments.unmasking import measure
from score_sde import data


def test_shares_of_words(tmp_path):
    """Two of the four are in the list, one of these held out; one is there twice."""
    path = tmp_path / "list"
    path.write_text("".join(f"wo{a}{b}\n" for a in "abcdefgh" for b in "vwxyz"))
    parts = [data.load("words", split, data_dir=path) for split in ("train", "test")]
    one, held_out = (part.gather(np.array([0]))["tokens"][0] for part in parts)
    other = np.full(13, 5, np.int32)
    np.savez(tmp_path / "samples.npz", samples=np.stack([one, held_out, other, other]))
    (tmp_path / "config.json").write_text(json.dumps({"data": {"name": "words", "dir": str(path)}}))
    found = measure.measured(tmp_path)
    assert found["words"]["value"] == pytest.approx(50)
    assert found["words"]["standard_error"] == pytest.approx(100 / np.sqrt(12))
    assert found["held_out"]["value"] == pytest.approx(25)
    assert found["distinct"] == pytest.approx(75)
    assert found["bits"]["value"] > 20


def test_what_is_no_run(tmp_path, capsys):
    """In one line."""
    (tmp_path / "config.json").write_text("{}")
    assert measure.main(["measure.py", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
