"""A run is opened by its folder, or by its config.json: both are data, and flags are on top."""

import importlib
import shlex

import pytest
from made_info import image_info
from program import called

from score_sde.cli import flags
from score_sde.errors import UserError
from score_sde.runs import begun, build
from score_sde.runs import config as configs

DIGITS = image_info("digits", "train", 1297, (8, 8, 1), 10, 17)
# All that a recipe, and the flags of the first command, said.
FIELDS = {
    "model.channels": 24,
    "model.channel_mult": (1, 2),
    "model.attn_resolutions": (),
    "sde.t_min": 1e-4,
    "data.dir": "/data/digits",
    "sampling.steps": 77,
    "sampling.predictor_corrector.corrector": "none",
    "evaluation.metrics": ("fid", "kid"),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return begins(tmp_path_factory.mktemp("runs") / "a run", **FIELDS)


@pytest.fixture
def run(written):
    """A folder with the config.json of a run, and its config."""
    return written[0], written[1].copy_and_resolve_references()


def begins(workdir, **fields):
    config = configs.default()
    for path, value in fields.items():
        configs.set_field(config, path, value)
    begun.begin(workdir, config, build.experiment(config, DIGITS))
    return workdir, config


def parsed(*arguments):
    return flags.parse(["main.py", *arguments])


@pytest.mark.parametrize("mode", ["train", "sample", "evaluate"])
def test_a_folder_says_all_that_its_recipe_and_flags_said(run, mode):
    workdir, config = run
    for given in ([f"--workdir={workdir}"], ["--workdir", str(workdir)]):
        line = parsed(*given, f"--mode={mode}")
        assert line.config.to_dict() == config.to_dict()
        assert (line.workdir, line.mode, line.overrides) == (workdir, mode, ())


def test_flags_are_changes_on_top_of_a_run(run):
    """With the types of the fields, also of those that are None; its config.json is not changed."""
    workdir, config = run
    before = (workdir / "config.json").read_bytes()
    line = parsed(
        f"--workdir={workdir}",
        "--config.sampling.steps=None",
        "--config.sde.beta_min=0.2",
        "--config.evaluation.metrics=('kid',)",
    )
    config.sampling.steps, config.sde.beta_min, config.evaluation.metrics = None, 0.2, ("kid",)
    assert line.config.to_dict() == config.to_dict()
    assert line.overrides == ("sampling.steps", "sde.beta_min", "evaluation.metrics")
    assert (workdir / "config.json").read_bytes() == before


def test_a_config_json_is_that_run_or_the_recipe_of_another(run, tmp_path):
    workdir, config = run
    file = f"--config={workdir / 'config.json'}"
    for given, expected in (((), workdir), ((f"--workdir={tmp_path / 'new'}",), tmp_path / "new")):
        line = parsed(file, *given, "--config.seed=3")
        assert line.workdir == expected
        assert line.config.seed == 3
        line.config.seed = 0
        assert line.config.to_dict() == config.to_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir=RUN/none"], "no run in RUN/none: to begin one there, give --config=FILE too"),
        (["--config=RUN/none/config.json"], "no run in RUN/none: there is no RUN/none/config.json"),
        (["--config=RUN"], "--config=RUN is a run: --workdir=RUN alone opens it"),
        (["--config=", "--workdir=RUN"], "give --config=RECIPE, such as"),
        (["--config=RUN/other.json"], "give a recipe, FILE.py, or the config.json of a run"),
        (["--workdir=RUN", "--config.model.chanels=3"], "did you mean config.model.channels?"),
        (["--workdir=RUN", "--config.model=3"], "config.model is a section, not a value"),
        (
            ["--workdir=RUN", "--config.seed=many"],
            "config.seed='many': this field takes",
        ),
        (["--workdir=RUN", "--modes=sample"], "Unknown command line flag 'modes'"),
        (["--workdir=RUN", "--mode=import"], "--mode=import and --checkpoint=FILE go together"),
        (["--workdir=RUN/none", "--mode=import", "--checkpoint="], "--checkpoint=FILE go together"),
    ],
)
def test_a_mistake_is_one_line(run, arguments, message):
    here = str(run[0])
    with pytest.raises(UserError) as caught:
        parsed(*(argument.replace("RUN", here) for argument in arguments))
    assert message.replace("RUN", here) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "flag",
    [
        "--workdir=RUN",
        "--config=RUN/config.json",
        "--config=RUN/a.json",
        "--config=RUN/config.json:vp",
    ],
)
def test_nothing_in_a_folder_is_executed(tmp_path, flag):
    """A program in the place of a config.json, as a recipe would be."""
    for name in ("config.json", "a.json"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    with pytest.raises(UserError, match=r"is not a run's config|give a recipe"):
        parsed(flag.replace("RUN", str(tmp_path)))
    assert not (tmp_path / "executed").exists()


def test_help_shows_the_fields_of_a_run(run):
    with pytest.raises(flags.HelpRequest) as shown:
        parsed(f"--workdir={run[0]}", "--help")
    assert "--config.sampling.steps=77\n" in str(shown.value)


RECIPE = """
import numpy as np

from score_sde import data
from score_sde.data import arrays
from score_sde.runs.config import default


def draw(rng, n):
    return {"vector": rng.standard_normal((n, 2))}


data.register("mine", lambda split: arrays.function(draw, 9, name="mine", split=split))


def get_config():
    config = default()
    config.data.name = "mine"
    return config
"""


PROCESS = """
from score_sde import processes
from score_sde.runs.config import default


def get_config():
    config = default()
    process = processes.from_alpha_sigma(lambda t: 1 - t, lambda t: t, t_max=0.99)
    config.sde.name = processes.register(process)
    return config
"""


def test_the_next_command_is_the_folder(run):
    """A name with a space in it is quoted, so that a shell takes the command as it is printed."""
    workdir, _ = run
    line = parsed("--config=configs/digits_vp.py", f"--workdir={workdir}", "--config.seed=3")
    assert shlex.split(line.rerun) == ["python", "main.py", f"--workdir={workdir}"]
    assert parsed("--config=configs/digits_vp.py").rerun == (
        "python main.py --workdir=runs/digits_vp"
    )


@pytest.mark.parametrize("recipe", [RECIPE, PROCESS])
def test_what_a_recipe_registers_needs_that_recipe(run, tmp_path, monkeypatch, recipe):
    """With all that was changed about it: it says how to sample, too."""
    workdir, _ = run
    (tmp_path / "recipe.py").write_text(recipe)
    for name in ("score_sde.data.load", "score_sde.processes"):
        monkeypatch.setattr(importlib.import_module(name), "_REGISTERED", {})
    given = [f"--config={tmp_path / 'recipe.py'}", f"--workdir={workdir}"]
    given += ["--config.seed=3", "--config.sampling.steps=None", "--config.data.dir="]
    line = parsed(*given, "--mode=sample")
    assert shlex.split(line.rerun) == ["python", "main.py", *given]
    assert parsed(*given).config.to_dict() == line.config.to_dict()
    assert shlex.split(parsed(f"--workdir={workdir}").rerun)[2:] == [f"--workdir={workdir}"]


def test_data_that_a_recipe_registers_need_that_recipe(tmp_path):
    """A config.json has their name only: nothing is imported because it names it."""
    workdir, _ = begins(tmp_path / "run", **{"data.name": "mine"})
    result = called(f"--workdir={workdir}")
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: unknown data set 'mine': ")
    assert line.endswith(". If a recipe registers it, give --config=RECIPE too")
