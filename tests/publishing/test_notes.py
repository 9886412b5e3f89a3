"""The notes of a release are what CHANGELOG.md says under its heading, and no more."""

import pytest

from publishing import notes
from score_sde.errors import UserError

TEXT = """# Changelog

## 0.2.0 (2027-01-01)

- New: ## is no heading here.

## 0.1.0

- Old.
"""


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.2.0", "## 0.2.0 (2027-01-01)\n\n- New: ## is no heading here.\n"),
        ("0.1.0", "## 0.1.0\n\n- Old.\n"),
    ],
)
def test_of_a_version(version, expected):
    assert notes.notes(TEXT, version) == expected


def test_a_version_that_is_not_there():
    with pytest.raises(UserError, match=r"no version 0\.3\.0; it has 0\.2\.0, 0\.1\.0"):
        notes.notes(TEXT, "0.3.0")
