"""The study of small scripts."""

import pytest
from program import ROOT
from tiny import Tiny


@pytest.fixture
def tiny(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("score_sde.sweep.execute._PAUSE", 0.01)
    return Tiny(tmp_path / "tiny", capsys)
