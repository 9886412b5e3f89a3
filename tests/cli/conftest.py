import pytest

from score_sde import cli


@pytest.fixture
def main(request, tmp_path, monkeypatch, quick_compile):
    """The command line, given the RECIPE of the test's module and a run of its own."""
    monkeypatch.setenv("SCORE_SDE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "recipe.py").write_text(request.module.RECIPE)
    given = (f"--config={tmp_path / 'recipe.py'}", f"--workdir={tmp_path / 'run'}")
    return lambda *more: cli.main(["main.py", *given, *more])
