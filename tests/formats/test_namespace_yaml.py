"""YAML with Namespaces, and what is refused in it."""

import pickle

import pytest

from score_sde.formats import namespace_yaml

NAMESPACE = "!!python/object:argparse.Namespace"


def read(tmp_path, text):
    (tmp_path / "config.yml").write_text(text)
    return namespace_yaml.load(tmp_path / "config.yml")


def test_namespaces_are_dictionaries(tmp_path):
    text = f"{NAMESPACE}\nmodel: {NAMESPACE}\n  ngf: 128\n  ema: true\noptim:\n  eps: 1.0e-08\n"
    assert read(tmp_path, text) == {"model": {"ngf": 128, "ema": True}, "optim": {"eps": 1e-8}}


@pytest.mark.parametrize(
    "tag",
    [
        "python/object/apply:os.system",
        "python/object/new:os.system",
        "python/object:os.system",
        "python/name:os.system",
        "python/module:os",
        "python/tuple",
    ],
)
def test_other_tags_are_refused_by_name(tmp_path, monkeypatch, tag):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match=tag):
        read(tmp_path, f'{NAMESPACE}\nmodel: !!{tag} ["touch ran"]\n')
    assert not (tmp_path / "ran").exists()


def test_what_makes_much_of_little_is_refused(tmp_path):
    with pytest.raises(pickle.UnpicklingError, match="a reference"):
        read(tmp_path, "a: &a [x]\nb: [*a, *a]\n")
    with pytest.raises(ValueError, match="larger than"):
        read(tmp_path, "x" * (2**20 + 1))
    with pytest.raises(ValueError, match=r"config\.yml is damaged: RecursionError in its text"):
        read(tmp_path, "[" * 1500)
    with pytest.raises(ValueError, match=r"config\.yml is not YAML"):
        read(tmp_path, "a: [1, 2")
