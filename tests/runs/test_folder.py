"""What a run's folder may be used for: going on, or beginning again while nothing is lost."""

import shutil

import pytest
from untrained import untrained_run

import score_sde
from configs import digits_vp
from score_sde.data import selection
from score_sde.errors import UserError
from score_sde.runs import begun, build, folder

SMALL = {"model.channels": 8, "model.channel_mult": (1,), "model.num_res_blocks": 1}


def test_until_there_is_a_checkpoint_a_run_may_begin_again(tmp_path):
    """With whatever config; the pictures of the start that came to nothing do not stay."""
    config = digits_vp.get_config()
    workdir = untrained_run(tmp_path / "run", config, **SMALL)
    other = digits_vp.get_config()
    other.seed = 5
    with pytest.raises(UserError, match="holds a run with another config"):
        begun.check(workdir, other)
    assert begun.check(workdir, config)["data"]["name"] == "digits"
    shutil.rmtree(workdir / "checkpoints")
    (workdir / "checkpoints" / "4").mkdir(parents=True)  # empty: nothing was saved
    (workdir / "samples").mkdir()
    (workdir / "samples" / "2.png").touch()
    assert begun.check(workdir, other) is None
    experiment = build.experiment(other, selection.read(other.data).describe())
    begun.begin(workdir, other, experiment)
    assert folder.configs.read(workdir)[0].seed == 5
    assert not list((workdir / "samples").iterdir())


def test_a_file_of_that_name_that_is_no_runs_is_not_overwritten(tmp_path):
    (tmp_path / "config.json").write_text('{"name": "of another program"}')
    with pytest.raises(UserError, match="is not a run's config"):
        begun.check(tmp_path, digits_vp.get_config())


@pytest.mark.parametrize("open", [score_sde.load, folder.load_classifier, folder.opened])
def test_a_home_folder_is_found(tmp_path, monkeypatch, open):
    """Where it names nobody, it stays."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, read in (("~/run", tmp_path / "run"), ("~no_such_user/run", "~no_such_user/run")):
        with pytest.raises(UserError, match=f"no run in {read}: it has no config"):
            open(given)
