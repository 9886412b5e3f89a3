"""The command line, read: help, names, paths, and the command that goes on."""

import re
import shlex

import pytest
from made_info import image_info
from program import ROOT, called

from score_sde.cli import flags
from score_sde.errors import UserError
from score_sde.models import NETWORKS
from score_sde.runs import begun, build
from score_sde.runs import config as configs

RECIPE = "--config=configs/digits_vp.py"


def parsed(*arguments):
    return flags.parse(["main.py", *arguments])


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_help_says_of_every_field_what_it_means_and_takes():
    """Its value in the recipe, its docstring, type, choices or range, and another default."""
    text = called(RECIPE, "--help").stdout
    words = " ".join(text.split())
    for part in (
        "--config.training.batch_size=128 examples a step, over all devices and processes. Takes a "
        "whole number, at least 1 and at most 2,147,483,647.",
        "--config.optim.beta1=0.9 Adam's. Takes a finite number, at least 0 and below 1.",
        "--config.sampling.steps=None how many evaluations of the denoiser a method of one stage "
        "makes; None for 20. Takes a whole number, at least 1 and at most 1,000,000 or None.",
        "--config.training.steps=1000 optimiser steps in all. Takes a whole number, at least 1 and "
        "at most 2,147,483,647. Its default is 1300000.",
        "--config.model.channel_mult=(1,2) features at each size",
        "--config.sampling.grid=None a key of GRIDS; None for 'log_snr'.",
        "--config.data.dir= where it lies: a TFDS folder, a folder of images, or a file of arrays. "
        "Takes a path.",
    ):
        assert part in words
    assert max(map(len, text.splitlines())) <= 100


def shown(*arguments):
    """The fields that --help shows, and its text on one line."""
    with pytest.raises(flags.HelpRequest) as text:
        parsed(*arguments, "--help")
    return re.findall(r"^  --config\.([\w.]+)=", str(text.value), re.M), " ".join(
        str(text.value).split()
    )


def test_help_shows_what_is_read_and_what_other_flags_bring():
    """In the order of the code, where a field's meaning may follow from that before it."""
    usual, _ = shown(RECIPE)
    assert {"sampling.sampler", "sde.beta_min", "evaluation.bits_per_dim.atol"} < {*usual}
    assert usual.index("sde.beta_min") + 1 == usual.index("sde.beta_max")
    for part in ("sampling.edm.", "sde.sigma_max", "objective.ect.", "conditions.label", "text.t5"):
        assert not [path for path in usual if path.startswith(part)], part
    other, text = shown(
        RECIPE,
        "--config.sampling.sampler=edm",
        "--config.sde.name=ve",
        "--config.conditions.fields=('label',)",
        "--config.sampling.edm.churn=2",
    )
    new = {"conditions.label.dropout", "sampling.edm.churn", "sampling.edm.churn_min"}
    assert {*new, "sde.sigma_max"} < {*other} - {*usual}
    assert not {"sde.beta_min", "sampling.predictor_corrector.snr"} & {*other}
    assert "--config.sampling.edm.churn=2.0 how much noise is added" in text
    assert "sigma(1); None for 50.0. Takes a finite number, above 0 or None." in text


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config=configs/digits_pv.py", "no config file .* did you mean configs/digits_vp.py"),
        ("--config.sampling.sampler=heum", "did you mean 'heun'"),
        ("--config.model.chanels=3", "unknown field config.model.chanels"),
    ],
)
def test_help_on_a_mistake_names_it(argument, message):
    recipe = [] if argument.startswith("--config=") else [RECIPE]
    with pytest.raises(UserError, match=message):
        parsed(*recipe, argument, "--help")


@pytest.mark.parametrize("network", NETWORKS)
def test_every_field_means_something(network):
    for path, entry in configs.entries(network).items():
        assert entry.meaning, path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--confg=configs/digits_vp.py"], "Unknown command line flag 'confg'. Did you mean: conf"),
        (["--mod=sample"], "Unknown command line flag 'mod'. Did you mean: mode ?"),
        (["--num_sample=3", "--config=configs/nothing.py"], "flag 'num_sample'. Did you mean: num"),
        (["-workdri=x"], "Unknown command line flag 'workdri'. Did you mean: workdir ?"),
        (["--mode=sample"], "give --config=RECIPE"),
        ([RECIPE, "--config.model.chanels=3"], "unknown field config.model.chanels"),
        (
            [RECIPE, "--mode=sample", "--num_samples=2147483648"],
            "num_samples=2147483648 must be ",
        ),
        ([RECIPE, "--mode=sample", "--num_samples=0"], "--num_samples=0 must be at least 1"),
        ([RECIPE, "--mode=sample", "--step=-1"], "--step=-1 must be at least 0"),
        ([RECIPE, f"--workdir={'w' * 300}"], "cannot be the path of a file"),
        ([f"--config={'c' * 300}"], "cannot be the path of a file"),
        ([RECIPE, f"--config.data.dir={'d' * 300}"], "cannot be the path of a file"),
        ([RECIPE, f"--config.data.name={'n' * 300}"], "config.data.name='nnn"),
        ([RECIPE, f"--config.training.steps={'9' * 5000}"], "config.training.steps='999"),
        *(
            ([RECIPE, f"--config.training.steps={text}"], f"training.steps={text!r}: this field")
            for text in ("a\nb", r"a\nb", "a\x0cb", "\x85", "\u2028b")
        ),
        ([RECIPE, "--config.training.ema_decays=(1,\n"], r"ema_decays='(1,\n': this field takes a"),
        ([RECIPE, "--mode=a\x1db"], r"unknown --mode 'a\x1db': did you mean 'train'? valid: tra"),
        ([RECIPE, "--mode=sampel"], "unknown --mode 'sampel': did you mean 'sample'? valid: train"),
        ([RECIPE, "--mode=sample", "--task=inpainting"], "'inpainting': did you mean 'inpaint'?"),
        ([RECIPE, "--mode=sample", "--task=motif", "--method=dsp"], "did you mean 'dps'?"),
    ],
)
def test_a_mistake_is_named(arguments, message):
    """A mistyped flag before one that is missing; in a line that can be read."""
    with pytest.raises(UserError) as error:
        parsed(*arguments)
    assert message in str(error.value)
    assert len(str(error.value)) < 1500
    assert "\n" not in str(error.value)


def test_a_home_folder_is_found_in_every_path(monkeypatch, tmp_path):
    """In flags and in fields; where it names nobody, it stays, as in a shell."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.py").write_text((ROOT / "configs" / "digits_vp.py").read_text())
    line = parsed(
        *("--config=~/mine.py", "--workdir=~/x", "--mode=sample", "--task=class"),
        *("--classifier=~/c", "--config.data.dir=~/data"),
        *("--config.evaluation.samples.weights=~/w", "--config.evaluation.samples.reference=~/r"),
    )
    assert line.workdir == tmp_path / "x"
    assert line.question.classifier == str(tmp_path / "c")
    assert line.config.data.dir == str(tmp_path / "data")
    assert line.config.evaluation.samples.weights == str(tmp_path / "w")
    assert line.config.evaluation.samples.reference == str(tmp_path / "r")
    imported = parsed(RECIPE, "--mode=import", "--checkpoint=~/a.pth", "--workdir=~no_such_user/x")
    assert imported.checkpoint == tmp_path / "a.pth"
    assert str(imported.workdir) == "~no_such_user/x"
    masked = parsed(RECIPE, "--mode=sample", "--task=inpaint", "--mask=~/m.png")
    assert masked.question.mask == str(tmp_path / "m.png")
    assert parsed(RECIPE, "--init_from=~/r").init_from == str(tmp_path / "r")
    assert parsed(RECIPE, "--init_from=").init_from == ""
    apart = parsed("--config", "~/mine.py", "--workdir", "~/x")
    assert apart.workdir == tmp_path / "x"


def test_one_flag_puts_another_network_in_its_place(tmp_path):
    """With its own fields, wherever the flag stands; in help and mistakes too."""
    line = parsed(RECIPE, "--config.model.depth=3", "--config.model.name=dit", "--mode=sample")
    assert (line.config.model.name, line.config.model.depth) == ("dit", 3)
    assert line.config.model.parametrization == "eps"
    assert line.config.training.batch_size == 128
    with pytest.raises(flags.HelpRequest, match=r"  --config\.model\.heads=0"):
        parsed(RECIPE, "--config.model.name=dit", "--help")
    for more, message in (
        ("channel_mult=(1,)", "unknown field config.model.channel_mult: did you mean config.model"),
        ("depth=x", "config.model.depth='x': this field takes a whole number"),
        ("name=dti", "unknown config.model.name 'dti': did you mean 'dit'"),
    ):
        with pytest.raises(UserError, match=message):
            parsed(RECIPE, "--config.model.name=dit", f"--config.model.{more}")


def test_a_network_that_there_is_not_is_one_of_those_that_read_these_states(tmp_path):
    """By the recipe and its data; else by all names, of which another may be nearer."""
    path = tmp_path / "words"
    path.write_text("one\ntwo\nsix\n")
    recipe = tmp_path / "mine.py"
    recipe.write_text(
        "from score_sde.runs import recipes\n"
        "def get_config():\n"
        "    config = recipes.get('words_masked')\n"
        f"    config.data.dir = {str(path)!r}\n"
        "    return config\n"
    )
    said = "unknown config.model.name 'transformer': did you mean "
    for there, rest in (
        (True, "'token_transformer'? valid: token_transformer"),
        (False, "'set_transformer'? valid: unet, adm, "),
    ):
        if not there:
            path.unlink()
        with pytest.raises(UserError) as error:
            parsed(f"--config={recipe}", "--config.model.name=transformer")
        assert str(error.value).startswith(said + rest)


def test_the_command_that_goes_on_can_be_pasted(tmp_path):
    """The folder says all that the command said; quoted, so that a shell takes it as one word."""
    workdir = tmp_path / "my run; rm -rf $HOME, it's ~"
    given = ("--config.model.channel_mult=(1,)", "--config.sampling.steps=None")
    line = parsed(RECIPE, f"--workdir={workdir}", *given, "--config.model.channels", "16")
    python, program, *words = shlex.split(line.rerun)
    assert (python, program, words) == ("python", "main.py", [f"--workdir={workdir}"])
    info = image_info("digits", "train", 9, (8, 8, 1), 10, 17)
    begun.begin(workdir, line.config, build.experiment(line.config, info))
    again = parsed(*words)
    assert again.config.to_dict() == line.config.to_dict()
    assert again.rerun == line.rerun
