"""The notes of a release are what CHANGELOG.md says under its heading, as GitHub shows it well."""

import pytest

from publishing import notes
from score_sde.errors import UserError
from score_sde.version import __version__

TEXT = """# Changelog

## 0.2.0 (2027-01-01)

A paragraph that goes
on.

- New: ## is no heading
  here.
- Code:

      a b
      c

  and on.
  - Within
    it:

```text
as it
is
```

after
all

## 0.1.0 (unreleased)

- Old.

## 0.0.1

"""

NEWER = """A paragraph that goes on.

- New: ## is no heading here.
- Code:

      a b
      c

  and on.
  - Within it:

```text
as it
is
```

after all
"""


@pytest.mark.parametrize(("version", "expected"), [("0.2.0", NEWER), ("0.1.0", "- Old.\n")])
def test_of_a_version(version, expected):
    """No heading, which is the title of a release; every item one line; code as it is."""
    assert notes.notes(TEXT, version) == expected


def test_a_version_that_is_not_there():
    with pytest.raises(UserError, match=r"no version 0\.3\.0; it has 0\.2\.0, 0\.1\.0"):
        notes.notes(TEXT, "0.3.0")


def test_a_release_has_something_to_say_and_not_too_much(monkeypatch):
    with pytest.raises(UserError, match=r"has 0 characters of 0\.0\.1"):
        notes.notes(TEXT, "0.0.1")
    monkeypatch.setattr(notes, "MOST", 5)
    with pytest.raises(UserError, match=r"has 6 characters of 0\.1\.0: 1 to 5"):
        notes.notes(TEXT, "0.1.0")


@pytest.mark.parametrize(("version", "expected"), [("0.2.0", "2027-01-01"), ("0.1.0", "")])
def test_the_date_of_a_version(version, expected):
    assert notes.date(TEXT, version) == expected


def test_of_this_version(capsys):
    """As the command prints them: items, a line each, whose links lead somewhere there too."""
    assert notes.main(["notes"]) == 0
    printed = capsys.readouterr()
    assert all(line.startswith("- ") for line in printed.out.splitlines())
    assert "](" not in printed.out.replace("](https://", "")
    dated = notes.date(notes.CHANGELOG.read_text(), __version__)
    assert ("no date yet" in printed.err) == (not dated)
