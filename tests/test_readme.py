"""The commands and snippets of README and docs run, in small; what they name is there.

They run in the order of their pages, so that later ones find the runs of earlier ones; see
in_small.py. Commands of kinds that other tests run are understood: test_recipes.py.
"""

import argparse
import configparser
import contextlib
import importlib
import re
import textwrap
from pathlib import PurePath

import in_small
import pages
import pytest
from checkout import checkout_of
from program import ROOT

from score_sde.cli import help
from score_sde.data import selection
from score_sde.data.__main__ import (
    add_emoji_flags,
    add_encode_flags,
    add_info_flags,
    add_made_flags,
    add_suggest_flags,
)
from score_sde.errors import UserError
from score_sde.evaluation import statistics
from score_sde.interop import export
from score_sde.models import NETWORKS
from score_sde.runs import build
from score_sde.runs import config as configs
from score_sde.sweep.__main__ import HELP as SWEEP

pytestmark = pytest.mark.slow


def of_data(add_flags):
    """What a command of the data says of its flags."""
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return parser.format_help()


OF_DATA = (add_suggest_flags, add_made_flags, add_emoji_flags, add_info_flags, add_encode_flags)
FLAGS = help.HELP + SWEEP + statistics.parser().format_help() + export.parser().format_help()
FLAGS += "".join(map(of_data, OF_DATA)) + in_small.throughput_parser().format_help()
FLAGS += in_small.faults_parser().format_help()

GUIDE = [command for command in in_small.HERE if command.page in in_small.GUIDE]
SNIPPETS = {page: pages.snippets(page, in_small.TEXTS[page]) for page in in_small.MARKDOWN}

# By what a snippet holds: what its text presupposes, and what is true of what it leaves.
AFTER = {
    "guidance.Inpainting(known, mask)": (
        "",
        ("x.shape == (4, 8, 8, 1)", "bool((x == known)[:, :4].all())", "np.isfinite(x).all()"),
    ),
    "guidance.SplitGibbs(measurement)": (
        "low = guidance.Average(2).forward(known)",
        ("out.x.shape == known.shape", "out.nfe == 500"),
    ),
    "latent.interpolate": (
        "",
        ("z.shape == x.shape", "path.shape == images.shape", "np.isfinite(images).all()"),
    ),
    'score_sde.load("runs/digits_vp")': (
        "import numpy as np",
        ("run.step == 2", "x.shape == (16, 8, 8, 1)", "np.isfinite(x).all()"),
    ),
    "run.denoise(x, jax.numpy.full(16, 0.3))": (
        "",
        ("all(np.shape(part) == x.shape for part in _)", "all(np.isfinite(p).all() for p in _)"),
    ),
    "samplers.with_logp": (
        "",
        # The entropy of the two bumps is log 2 (all but what they overlap) and that of one.
        ("out.logp.shape == (1000,)", "abs(out.logp.mean() + 0.72) < 0.1"),
    ),
    "analytic.gaussian_mixture": (
        "",
        ("out.x.shape == (1000, 1)", "abs(abs(out.x).mean() - 1) < 0.04"),
    ),
    "np.load": (
        """
        import score_sde
        whole = score_sde.train
        small = {"model.channels": 4, "model.channel_mult": (1,), "model.num_res_blocks": 1}
        small |= {"model.attn_resolutions": (), "training.batch_size": 4, "sampling.steps": 2}
        small |= {"training.eval_every": 0, "training.sample_every": 0}
        score_sde.train = lambda *a, **k: whole(*a, **k | {"steps": 1, "changes": small})
        """,
        ("pictures.shape == (16, 8, 8, 3)", "run.step == 1"),
    ),
    'workdir="runs/colab"': (
        """
        import functools
        import score_sde
        from score_sde.runs import notebook
        small = {"model.channels": 4, "model.channel_mult": (1,), "model.num_res_blocks": 1}
        small |= {"model.attn_resolutions": (), "training.batch_size": 4, "sampling.steps": 25}
        small |= {"training.steps_per_call": 1, "training.eval_every": 0}
        small |= {"training.sample_every": 0}
        score_sde.train = functools.partial(notebook.train, steps=1, changes=small)
        """,
        ("run.step == 1", "run.space.shape == (8, 8, 1)"),
    ),
    "from_alpha_sigma": (
        """
        small = {"model.channels": 16, "model.depth": 1, "training.batch_size": 4}
        small |= {"training.steps_per_call": 1, "training.eval_every": 0}
        small |= {"training.sample_every": 0}
        """,
        ("run.sde == sde", "run.step == 1"),
    ),
    "data.register": (
        "images, sizes = np.zeros((20, 6, 4, 3), np.uint8), np.arange(20.0)",
        ("[f.name for f in data.load('mine').info.fields] == ['image', 'size']",),
    ),
    "from score_sde.sweep import": ("", ("len(study().points) == 4",)),
}

# Paths of the user's, not of this repository.
THEIRS = ("../shared", "~/.cache/score_sde", "train/", "test/")
# Made by a metric for which no command asks, where a checkpoint is damaged, and by tuning.
OTHERS = ("evaluation/loss_by_time.csv", "checkpoints/damaged-STEP", "grid.json")


@pytest.fixture(scope="module")
def place(tmp_path_factory, data_dir):
    with checkout_of(tmp_path_factory.mktemp("readme"), data_dir / "digits") as place:
        yield place


@pytest.mark.parametrize("command", in_small.HERE, ids=lambda command: command.where)
def test_a_command_runs(place, command, request):
    """It ends with exit code 0, and leaves what it is to leave."""
    if in_small.lacks_packages(command):
        pytest.skip('needs the packages of pip install -e ".[emoji]"')
    if not place.run(command):
        shared = request.getfixturevalue("shared")  # skips where it is absent, and fails in CI
        pytest.fail(f"to run, it needs CIFAR-10, which is not in {shared}")


OTHER_NETWORKS = [
    command
    for page in in_small.MARKDOWN
    for command in in_small.COMMANDS[page]
    if "--config.model." in command.text and in_small.parsed(command.words)
]


@pytest.mark.parametrize("command", OTHER_NETWORKS, ids=lambda command: command.where)
def test_the_network_of_a_command_can_be_made(command):
    """As typed: in small it is another one."""
    config = in_small.parsed(command.words).config
    assert build.experiment(config, selection.read(config.data).describe()).parameters > 0


@pytest.mark.parametrize("page", [page for page, snippets in SNIPPETS.items() if snippets])
def test_the_snippets_of_a_page_run(place, page):
    """One after the other in the same names, as in a notebook, where runs/digits_vp is."""
    place.run(in_small.makers()["runs/digits_vp"])
    for snippet in SNIPPETS[page]:
        rows = [row for part, row in AFTER.items() if part in snippet.text]
        assert rows, f"{snippet.where}: no row of AFTER says what this leaves:\n{snippet.text}"
        before, true = rows[0]
        place.terminal.execute(textwrap.dedent(before), "before")
        place.terminal.execute(snippet.text, snippet.page, snippet.line)
        for expression in true:
            assert place.terminal.holds(expression), f"{snippet.where}: not {expression}"


WRONG = {
    "python main.py --config=configs/digits_vp.py --config.model.chanels=8": "unknown field",
    "python main.py --config=configs/digits_vp.py --num_sample=8": "Unknown command line flag",
    "srun python main.py --config=configs/digits_vp.py --mod=train": "Unknown command line flag",
    "python -m score_sde.report runs/none": "no run in runs/none",
    "python -m score_sde.reports runs/digits_vp": "No module named score_sde.reports",
    "conda activate base": "no row of HOW",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_command_that_is_wrong_is_named(place, line):
    """With its page and line, whatever is wrong with it."""
    (command,) = pages.commands("README.md", ["So:", "", f"    {line}"])
    with pytest.raises(pytest.fail.Exception) as failure:
        place.run(command)
    assert str(failure.value).startswith(f"README.md:3: {line}\n")
    assert WRONG[line] in str(failure.value)


def test_the_study_that_was_measured_is_complete(place):
    """The table that the command prints of the committed results is the committed one."""
    page = "docs/howto/sweeps.md"
    (command,) = [c for c in in_small.COMMANDS[page] if "sweep table" in c.text]
    place.run(command)
    table = f"{command.words[-1]}/results/table.md"
    assert (place.folder / table).read_text() == (ROOT / table).read_text()


def test_a_run_has_all_that_its_page_says(place):
    """Of the run that the pages train, sample and evaluate."""
    for command in GUIDE:
        line = in_small.parsed(in_small.filled(command))
        if line and str(line.workdir) == "runs/digits_vp":
            place.run(command)
    rows = in_small.TEXTS["docs/howto/run.md"]
    cells = [row.split("|")[1] for row in rows if row.startswith("| `")]
    names = [name for cell in cells for name in re.findall("`(.+?)`", cell)]
    assert len(names) > 8
    missing = [n for n in names if not list((place.folder / "runs/digits_vp").glob(stars(n)))]
    assert not missing


def stars(path):
    """A pattern for a path with STEP or NAME in it."""
    return re.sub("STEP|NAME", "*", path).rstrip("/")


def is_field(path):
    """Whether some config has this field or section."""
    for network in NETWORKS:
        with contextlib.suppress(UserError):
            configs.check_path(configs.default(network), path)
            return True
    return False


def is_attribute(name):
    """Whether `a.b.C` can be had of score_sde."""
    found = importlib.import_module("score_sde")
    for part in name.split("."):
        if not hasattr(found, part):
            try:
                importlib.import_module(f"{found.__name__}.{part}")
            except (ImportError, AttributeError):
                return False
        found = getattr(found, part)
    return True


def is_path(page, path, place):
    """Whether it is in this repository, beside the page, or in a run's folder."""
    pattern = stars(path.partition(":")[0])
    bases = [ROOT, (ROOT / page).parent, ROOT / "score_sde", ROOT / "configs"]
    bases += [ROOT / "experiments" / "digits_solvers"]
    if any(list(base.glob(pattern)) for base in bases):
        return True
    made = [path for path, command in in_small.makers().items() if command in in_small.UNDERSTOOD]
    if any(PurePath(path).match(pattern) for path in made):  # by commands that run elsewhere
        return True
    for command in GUIDE:  # which make the others
        with contextlib.suppress(pytest.fail.Exception):  # in a test of its own
            place.run(command)
    bases = [place.folder, *place.folder.glob("runs/*")]
    return any(list(base.glob(pattern)) for base in bases)


def is_right(page, name, place):
    """Whether what stands in backticks is there, if it is a path, a field, a flag or a module."""
    if name.startswith("--"):
        return all(is_flag(word) for word in name.split())
    if name in (*THEIRS, *OTHERS):
        return True
    if re.fullmatch(r"[\w./*-]+/[\w./*:-]*|[\w-]\S*\.(py|md|json|csv|html|np[yz]|png)", name):
        return is_path(page, name, place)
    if match := re.fullmatch(r"(\w+)((?:\.\w+)+)(=.*)?", name):
        first, rest = match[1], match[2][1:]
        if first in ("config", "score_sde"):
            return is_field(rest) if first == "config" else is_attribute(rest)
        if is_field(first) or is_attribute(first):
            return is_field(f"{first}.{rest}") or is_attribute(f"{first}.{rest}")
    return True


def is_flag(word):
    name = word.partition("=")[0]
    if name.startswith("--config."):
        return is_field(name.removeprefix("--config."))
    return re.search(rf"{name.replace('slurm.NAME', 'slurm')}\b", FLAGS) is not None


@pytest.mark.parametrize(
    "name",
    [
        *("--config.modell.channels=8", "--smoked", "score_sde/nothing.py", "nothing.md"),
        *("config.training.ema_decay", "sampling.rk45.tol", "score_sde.loads", "samplers.GRID"),
    ],
)
def test_a_name_that_is_wrong_is_found(place, name):
    """Of a flag, a path, a field and an attribute."""
    assert not is_right("README.md", name, place)


@pytest.mark.parametrize("page", in_small.TEXTS)
def test_what_a_page_names_is_there(place, page):
    """What is in backticks, every link; and, in code too, every field and extra of the package."""
    text, extras = in_small.TEXTS[page], configparser.ConfigParser()
    extras.read(ROOT / "setup.cfg")
    there = (ROOT / page).parent
    wrong = [m for m in pages.mentions(page, text) if not is_right(page, m.text, place)]
    wrong += [link for link in pages.links(page, text) if not (there / link.text).exists()]
    for number, line in enumerate(text, 1):
        for path in re.findall(r"(?<![\w.])config\.(?!json)([a-z]\w*(?:\.\w+)*)", line):
            if not is_field(path):
                wrong.append(pages.Piece(page, number, f"config.{path}"))
        for extra in re.findall(r"\.\[(\w+)\]", line):
            if extra not in extras["options.extras_require"]:
                wrong.append(pages.Piece(page, number, f".[{extra}]"))
    assert not [f"{piece.where}: {piece.text}" for piece in wrong]
