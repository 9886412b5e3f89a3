"""What is compiled is kept in the user's cache, unless the user says otherwise."""

import types

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

from score_sde.cli import compilation
from score_sde.cli.begin import begin
from score_sde.errors import UserError

NAMES = ("jax_compilation_cache_dir", "jax_compilation_cache_max_size")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """What is said, and JAX's folder, with these variables set."""
    before = {name: getattr(jax.config, name) for name in NAMES}

    def main(**variables):
        for name in ("JAX_COMPILATION_CACHE_DIR", "SCORE_SDE_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        jax.config.update("jax_compilation_cache_dir", None)
        said = []
        compilation.keep(said.append)
        return said, jax.config.jax_compilation_cache_dir

    yield main
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def test_it_is_kept_where_caches_are(kept, tmp_path):
    (line,), folder = kept(XDG_CACHE_HOME=tmp_path)
    assert folder == str(tmp_path / "score_sde" / "compiled")
    assert line.startswith(f"compiled functions are kept in {folder}, 2 GB at most")
    assert jax.config.jax_compilation_cache_max_size == 2 * 2**30
    assert kept(XDG_CACHE_HOME=tmp_path) == ([], folder)  # said once
    assert kept(SCORE_SDE_CACHE=tmp_path / "own")[1] == str(tmp_path / "own" / "compiled")
    assert kept(HOME=tmp_path / "h")[1] == str(tmp_path / "h" / ".cache" / "score_sde" / "compiled")


def test_what_the_user_says_counts(kept, tmp_path):
    for value in ("", tmp_path / "mine"):
        assert kept(JAX_COMPILATION_CACHE_DIR=value, XDG_CACHE_HOME=tmp_path) == ([], None)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_a_warning(kept, tmp_path):
    (tmp_path / "file").write_text("")
    (line,), folder = kept(SCORE_SDE_CACHE=tmp_path / "file")
    assert line.startswith("warning: ")
    assert "is not written" in line
    assert folder is None


def test_without_a_home_folder_there_is_none(kept, monkeypatch):
    """As in a container whose user has no name: a line, and the command goes on."""

    def nobody(number):
        raise KeyError(number)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert kept() == (
        [
            "warning: compiled functions are not kept: there is no home folder to keep anything "
            "in: set SCORE_SDE_CACHE=DIR"
        ],
        None,
    )


def test_it_is_found_again(kept, tmp_path):
    """With its size limited, for which JAX needs a package that it does not ask for."""
    kept(XDG_CACHE_HOME=tmp_path)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    compilation_cache.reset_cache()
    try:
        jax.jit(lambda x: x * 3 + 1)(2.0)
    finally:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)
    assert list((tmp_path / "score_sde" / "compiled").glob("*-cache"))


@pytest.mark.parametrize("asked", ["cudnn", "flash"])
def test_attention_that_is_not_to_be_had_is_one_line(monkeypatch, asked):
    """Before anything is read or made."""
    monkeypatch.setenv("SCORE_SDE_ATTENTION", asked)
    with pytest.raises(UserError, match=rf"^SCORE_SDE_ATTENTION={asked}.*(leave it out|cudnn)$"):
        begin(types.SimpleNamespace(distributed=False))
