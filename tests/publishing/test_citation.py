"""CITATION.cff is valid; BibTeX in docs/citing.md and setup.cfg say the same of the software."""

import configparser
import re

import pytest
import yaml
from program import ROOT

import score_sde
from publishing import notes
from score_sde.cli import help
from score_sde.version import __version__

# Of the schema of the Citation File Format 1.2.0, which allows no others.
SOFTWARE = {"cff-version", "message", "title", "authors", "abstract", "commit", "contact", "doi"}
SOFTWARE |= {"date-released", "identifiers", "keywords", "license", "license-url", "type", "url"}
SOFTWARE |= {"preferred-citation", "references", "repository", "repository-artifact", "version"}
SOFTWARE |= {"repository-code"}
WORK = {"title", "authors", "type", "year", "collection-title", "identifiers", "journal", "doi"}
WORK |= {"volume", "pages", "url", "publisher", "conference", "month", "notes"}

CITED = yaml.safe_load((ROOT / "CITATION.cff").read_text())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def bibtex():
    """The entries of docs/citing.md by kind; braces that protect are left out."""
    text = (ROOT / "docs" / "citing.md").read_text()
    found = {}
    for kind, body in re.findall(r"^@(\w+)\{\w+,\n(.*?)^\}$", text, re.MULTILINE | re.DOTALL):
        fields = re.findall(r"^  (\w+) += \{(.*?)\},$", body, re.MULTILINE | re.DOTALL)
        plain = {k: re.sub(r"[{}]", "", " ".join(v.split())).replace(r"\_", "_") for k, v in fields}
        found[kind] = plain
    return found


def names(authors):
    """As BibTeX has them."""
    return " and ".join(
        one.get("name") or f"{one['family-names']}, {one['given-names']}" for one in authors
    )


def test_the_citation_is_of_its_format():
    """CFF 1.2.0, which cffconvert validates: no other keys, and what each work has to have."""
    assert SOFTWARE >= CITED.keys() >= {"cff-version", "message", "title", "authors"}
    assert CITED["cff-version"] == "1.2.0"
    assert CITED["type"] == "software"
    for work in CITED["references"]:
        assert WORK >= work.keys() >= {"title", "authors", "type"}
        assert all(one.keys() == {"type", "value"} for one in work["identifiers"])
        assert isinstance(work["year"], int)
    for work in (CITED, *CITED["references"]):
        for author in work["authors"]:
            assert author.keys() in ({"name"}, {"family-names", "given-names"})


def test_a_release_has_one_date():
    """The heading of CHANGELOG.md, CITATION.cff and BibTeX: none before, the same after."""
    date = notes.date(CHANGELOG, __version__)
    assert str(CITED.get("date-released", "")) == date
    assert bibtex()["software"].get("year", "") == date[:4]


@pytest.mark.parametrize(("field", "key"), [("title",) * 2, ("version",) * 2, ("license",) * 2])
def test_bibtex_of_the_software_agrees(field, key):
    assert bibtex()["software"][field] == CITED[key]


def test_bibtex_agrees_on_authors_and_the_paper():
    entries, (paper,) = bibtex(), CITED["references"]
    assert entries.keys() == {"software", "inproceedings"}
    assert entries["software"]["author"] == names(CITED["authors"])
    found = entries["inproceedings"]
    assert found["author"] == names(paper["authors"])
    assert found["title"] == paper["title"]
    assert found["booktitle"] == paper["collection-title"]
    assert int(found["year"]) == paper["year"]
    assert found["note"] == paper["identifiers"][0]["value"]


def test_the_package_index_is_told_the_same():
    """Author, licence, keywords and what it is; the Pythons that are said to do are asked for."""
    said = SETUP["metadata"]
    assert said["author"] == names(CITED["authors"])
    assert said["license_expression"] == CITED["license"]
    assert said["keywords"].split("\n")[1:] == CITED["keywords"]
    assert f"score_sde: {said['description'][0].lower()}{said['description'][1:]}" == CITED["title"]
    assert help.HELP.startswith(f"{said['description']}.\n")
    assert score_sde.__doc__ == f"{said['description']}."
    assert (ROOT / said["license_files"]).read_text().lstrip().startswith("Apache License")
    pythons = re.findall(r"Python :: (3\.\d+)$", said["classifiers"], re.MULTILINE)
    assert SETUP["options"]["python_requires"] == f">={pythons[0]}"
    assert not any("License ::" in line for line in said["classifiers"].splitlines())  # PEP 639
