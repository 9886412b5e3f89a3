"""What is said of the package in several places is said alike, and is complete.

The wheel itself is built in test_wheel.py.
"""

import configparser
import functools
import os
import re
import shutil
import subprocess

import pytest
import yaml
from program import ROOT

from score_sde.version import __version__

SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
FORMS = [path for path in TEMPLATES if path.stem != "config"]


def test_the_version_is_written_once():
    """setup.cfg reads it of the package; what repeats it for readers is the same."""
    assert SETUP["metadata"]["version"] == "attr: score_sde.version.__version__"
    assert "version" not in (ROOT / "pyproject.toml").read_text().replace("target-version", "")
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__
    assert f"version = {{{__version__}}}" in (ROOT / "docs" / "citing.md").read_text()
    headings = re.findall("^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert re.fullmatch(
        rf"{re.escape(__version__)} \((unreleased|\d{{4}}-\d\d-\d\d)\)", headings[0]
    )


def test_every_folder_of_the_package_is_in_the_wheel():
    """What setup.cfg lists; and the mark that its annotations are to be read (PEP 561)."""
    folders = {path.parent for path in (ROOT / "score_sde").rglob("*.py")}
    packages = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(SETUP["options"]["packages"].split()) == packages | {"score_sde.configs"}
    assert SETUP["options.package_data"]["score_sde"] == "py.typed"
    assert (ROOT / "score_sde" / "py.typed").read_bytes() == b""


def test_what_is_tested_of_dependencies_is_what_is_asked_for():
    """requirements/: the minimum is the lower bound in setup.cfg, the newest is none below it."""

    def pinned(name):
        text = (ROOT / "requirements" / f"{name}.txt").read_text()
        found = re.findall(r"^([\w-]+)==([\d.]+)", text, re.MULTILINE)
        return {package.lower().replace("_", "-"): version for package, version in found}

    asked = SETUP["options"]["install_requires"] + SETUP["options.extras_require"]["test"]
    for extra in ("docs", "slurm", "text", "emoji"):
        asked += SETUP["options.extras_require"][extra]
    bounds = re.findall(r"^([A-Za-z][\w-]*)(?:>=([\d.]+))?", asked, re.MULTILINE)
    expected = {name.lower().replace("_", "-"): version for name, version in bounds}
    assert pinned("minimum") == expected
    newest = pinned("newest")
    assert newest.keys() == expected.keys()
    for name, version in expected.items():
        assert as_numbers(newest[name]) >= as_numbers(version), name


def as_numbers(version):
    return [int(part) for part in version.split(".")]


def test_both_ends_of_versions_are_tried():
    """By .ci/versions, with CONTRIBUTING's command, and on GitHub, on each Python that is named."""
    names = {path.stem for path in (ROOT / "requirements").glob("*.txt")}
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    matrix = jobs["versions"]["strategy"]["matrix"]
    assert set(matrix["requirements"]) == names
    assert matrix["python-version"] == ["3.11"]  # what the newest versions are of, as they say
    assert "on Python 3.11;" in (ROOT / "requirements" / "newest.txt").read_text()
    pythons = matrix["python-version"] + jobs["pythons"]["strategy"]["matrix"]["python-version"]
    assert pythons == re.findall(r"Python :: (3\.\d+)$", SETUP["metadata"]["classifiers"], re.M)
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    for command in commands[:2]:
        assert os.access(ROOT / command.split()[0], os.X_OK)
    assert commands[2].split("&& ")[1] == "pytest -m quick"


def test_the_command_of_versions_is_read_of_contributing(tmp_path):
    """Two of them, in fresh folders: of a Python that does nothing, a pip and a pytest."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    shutil.copy(ROOT / "CONTRIBUTING.md", tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    fake = '#!/bin/sh\nmkdir -p "$3/bin"\ntouch "$3/bin/activate"\n'
    for name, text in (("python3", fake), ("pip", "#!/bin/sh\n"), ("pytest", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    run = functools.partial(subprocess.run, capture_output=True, text=True, env=environment)
    done = run([tmp_path / ".ci" / "versions"])
    assert done.returncode == 0, done.stderr
    ends = [line.partition(" && pip ")[2] for line in done.stdout.splitlines()]
    assert ends == [
        f'install -e ".[test]" -c requirements/{name}.txt && pytest -m quick'
        for name in ("minimum", "newest")
    ]
    assert not list(tmp_path.glob("tmp.*"))
    refused = run([tmp_path / ".ci" / "versions", "oldest"])
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    (programs / "pytest").write_text("#!/bin/sh\nexit 1\n")
    assert run([tmp_path / ".ci" / "versions"]).returncode == 1


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_is_asked_what_is_needed(path):
    """A form in GitHub's syntax: names that differ, labels, and at least three answers."""
    form = yaml.safe_load(path.read_text())
    assert form.keys() == {"name", "description", "labels", "body"}
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    assert {field["type"] for field in form["body"]} <= {"input", "textarea"}
    assert all(field["attributes"]["label"] for field in form["body"])
    required = [field for field in form["body"] if field.get("validations", {}).get("required")]
    assert len(required) >= 3


def test_no_issue_is_opened_without_a_form():
    assert len(FORMS) == 4
    config = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml").read_text())
    assert config == {"blank_issues_enabled": False}
