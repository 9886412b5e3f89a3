"""The public API is what publishing/ says it is, and a change is noticed."""

import dataclasses
import types

from publishing import api

RENEW = "if this is meant: python -m publishing.api --write"


def test_nothing_public_has_changed():
    """Names, signatures, and the fields of configs."""
    changes = api.changes()
    assert not changes, "\n".join([*changes, RENEW])


def test_a_change_is_noticed(tmp_path):
    """As a line of what was and one of what is."""
    for name in api.FILES:
        text = (api.FOLDER / name).read_text()
        (tmp_path / name).write_text(text.replace("seed = 0;", "seed = 1;"))
    changed = [line for line in api.changes(tmp_path) if line[:1] in "+-" and line[1:2] not in "+-"]
    assert {line[0] for line in changed} == {"-", "+"}
    assert all(line[1:].split()[0].endswith("seed") for line in changed)


OBJECT = object()


class Base:
    """One that has an entry."""

    def inherited(self) -> int: ...


@dataclasses.dataclass(frozen=True)
class Made(Base):
    """A dataclass, with a default that has an address."""

    of: types.ModuleType | object = dataclasses.field(default=OBJECT)

    def own(self, x: "float", *, y: str = "z") -> "list[int]": ...

    @property
    def value(self) -> int: ...


def test_a_class_isdescribed(monkeypatch):
    """Its arguments, own methods and properties; no addresses, and no quotes of annotations."""
    monkeypatch.setattr(Made, "__module__", "score_sde.made")
    monkeypatch.setattr(Base, "__module__", "score_sde.made")
    assert list(api.described("Made", Made, {Base})) == [
        "class Made(of: module | object = object) is a Base",
        "    own(self, x: float, *, y: str = 'z') -> list[int]",
        "    value",
    ]
    alone = list(api.described("Made", Made, set()))
    assert "    inherited(self) -> int" in alone


def test_a_name_is_described_where_it_comes_first():
    """score_sde.VP is also a name of score_sde.processes."""
    assert "    VP: score_sde.VP\n" in api.public()
