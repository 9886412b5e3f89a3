"""Every command and snippet of the README, of docs/ and of the recipes runs, most of them in small.

They run in one folder in the order of their pages, so that later ones find the runs of earlier ones.
The tables say how each is run: what is in no row fails, so that it gets a row. docs/extending.md has
a test of its own.
"""

import configparser
import contextlib
import functools
import importlib
import json
import math
import re
import shlex
import shutil
import textwrap

import jax
import numpy as np
import pages
import pytest
from conftest import SHARED
from PIL import Image
from program import ROOT
from terminal import Terminal
from untrained import untrained_run

from score_sde.cli import flags
from score_sde.errors import UserError
from score_sde.interop import export
from score_sde.models import NETWORKS
from score_sde.runs import config as configs
from score_sde.sweep.__main__ import HELP as SWEEP


def _files(*patterns):
    return [str(p.relative_to(ROOT)) for pattern in patterns for p in sorted(ROOT.glob(pattern))]


MARKDOWN = [
    "README.md",
    "CONTRIBUTING.md",
    *_files("experiments/README.md", "experiments/*/README.md"),
]
MARKDOWN += [page for page in _files("docs/*.md") if page != "docs/extending.md"]
TEXTS = {page: pages.lines(page) for page in [*MARKDOWN, *_files("configs/*.py")]}
COMMANDS = [command for page in TEXTS for command in pages.commands(page, TEXTS[page])]
SNIPPETS = [snippet for page in TEXTS for snippet in pages.snippets(page, TEXTS[page])]

# What stands for a name of the user's.
NAMES = {
    "experiments/NAME": "experiments/digits_solvers",
    "NAME": "digits",
    "--data_dir=DIR": "--data_dir=tfds",
    "--config.data.dir=PATH": "--config.data.dir=pictures",
}

# Fields of a recipe in small, and of its network.
SMALL = {
    "training.batch_size": 8,
    "training.steps": 2,
    "training.steps_per_call": 2,
    "training.log_every": 2,
    "training.eval_every": 0,
    "training.sample_every": 0,
    "training.checkpoint_every": 2,
    "sampling.num_samples": 16,
    "sampling.rk45.rtol": 0.1,
    "sampling.rk45.atol": 0.1,
    "evaluation.batch_size": 32,
    "evaluation.num_examples": 8,
    "evaluation.bits_per_dim.rtol": 0.1,
    "evaluation.bits_per_dim.atol": 0.1,
    "evaluation.bits_per_dim.dequantization_steps": 2,
    "evaluation.log_likelihood.rtol": 0.1,
    "evaluation.log_likelihood.atol": 0.1,
    "evaluation.density_map.points": 8,
    "evaluation.density_map.samples": 8,
    "evaluation.samples.num_samples": 32,
}
UNET = {
    "model.channels": 4,
    "model.channel_mult": (1,),
    "model.num_res_blocks": 1,
    "model.attn_resolutions": (),
}
NETWORK = {
    "unet": UNET | {"sampling.steps": 25},
    "wide_resnet": {"model.depth": 10, "model.width": 1, "model.noise_channels": 4},
    "mlp": {"model.channels": 16, "model.depth": 1},
}
# Eight pixels in place of 32, and these in place of the features of a network.
CIFAR = {"data.image_size": 8, "evaluation.samples.features": "pixels"}
# Of runs/digits_vp, which has all that the README says of a run's folder.
WHOLE = {"training.eval_every": 2, "training.sample_every": 2}


def recipe(words):
    """With a tiny network, few steps and few examples.

    What the command itself sets stays as it is, but for the numbers of steps and of examples.
    """
    line = parsed(words)
    if line is None:
        return words
    fields = SMALL | NETWORK[line.config.model.name]
    fields |= CIFAR if line.config.data.name == "cifar10" else {}
    fields |= WHOLE if str(line.workdir) == "runs/digits_vp" else {}
    more = {k: v for k, v in fields.items() if k not in line.overrides or k == "sampling.steps"}
    few = ["--num_samples=16"] if line.num_samples else []
    return (*words, *few, *(f"--config.{k}={v}".replace(" ", "") for k, v in more.items()))


def study(words):
    """Listed; digits_solvers in small, of which the copy here has one row, is run."""
    whole = "--smoke" in words and "experiments/digits_solvers" in words
    return words if whole else (*words, "--dry_run")


def statistics(words):
    """Of 64 images of eight pixels, without a network."""
    return (*words, "--features=pixels", "--image_size=8", "--split=train[:64]")


def as_typed(words):
    """In full."""
    return words


def on_slurm(words):
    """Its flags can be read."""
    parsed(words[1:])


def environment(words):
    """It sets options of JAX."""
    for word in words[1:]:
        assert hasattr(jax.config, word.partition("=")[0].lower()), word


def reads(*paths):
    """The files that it reads are there."""

    def check(words):
        for path in paths:
            assert (ROOT / path).exists(), path

    return check


# By how a command begins: what is run, or, of what cannot run in a test, what is checked instead.
HOW = {
    "python main.py": recipe,
    "python benchmarks/": as_typed,
    "python -m score_sde.data": as_typed,
    "python -m score_sde.evaluation.digit_quality": as_typed,
    "python -m score_sde.evaluation.statistics": statistics,
    "python -m score_sde.interop.export": as_typed,
    "python -m score_sde.report": as_typed,
    "python -m score_sde.sweep": as_typed,
    "python -m score_sde.sweep run": study,
    "python3 -m venv .venv": reads(),
    ". .venv/bin/activate": reads(),
    "pip install -e": reads("pyproject.toml"),  # its extras have a test below
    "pytest": reads("setup.cfg"),
    "pre-commit install": reads(".pre-commit-config.yaml"),
    "lint-imports": reads("setup.cfg"),
    "srun python main.py": on_slurm,
    "export": environment,
}

# In the copies here, of what no flag makes small.
EDITS = {
    "benchmarks/digits_mixture.py": {"= 17, 5": "= 17, 1", "(1, 5, 10, 20, 40)": "(1,)"},
    "benchmarks/likelihood.py": {"= 64, 7": "= 8, 1"},
    "experiments/digits_solvers/sweep.py": {"(1e-1, 1e-3)),": "(1e-1, 1e-3))[:1],"},
    "experiments/small.py": {"THOUSAND = 50": f"SMALL |= {SMALL | UNET}\nTHOUSAND = 50"},
}

# By what a snippet holds: what its text presupposes, and what is true of what it leaves.
AFTER = {
    "guidance.Inpainting(known, mask)": (
        """
        import jax, numpy as np, score_sde
        from score_sde import data, samplers
        run = score_sde.load("runs/digits_vp")
        key = jax.random.key(0)
        known = run.space.encode(data.load("digits", "test").gather(np.arange(4))["image"])
        mask = np.arange(8)[None, :, None, None] < 4
        sampler = samplers.get("predictor_corrector", predictor="euler_maruyama", steps=25)
        """,
        ("x.shape == (4, 8, 8, 1)", "bool((x == known)[:, :4].all())", "np.isfinite(x).all()"),
    ),
    "latent.interpolate": (
        "",
        ("z.shape == x.shape", "path.shape == images.shape", "np.isfinite(images).all()"),
    ),
    'score_sde.load("runs/digits_vp")': (
        "",
        ("run.step == 2", "x.shape == (16, 8, 8, 1)", "np.isfinite(x).all()"),
    ),
    "run.denoise(x, jax.numpy.full(16, 0.3))": (
        "",
        ("all(np.shape(part) == x.shape for part in _)", "all(np.isfinite(p).all() for p in _)"),
    ),
    "analytic.gaussian_mixture": (
        "",
        ("out.x.shape == (1000, 1)", "abs(abs(out.x).mean() - 1) < 0.04"),
    ),
    "arrays.register": (
        "images, sizes = np.zeros((20, 6, 4, 3), np.uint8), np.arange(20.0)",
        ("[f.name for f in data.load('mine').info.fields] == ['image', 'size']",),
    ),
    "from score_sde.sweep import": ("", ("len(study().points) == 4",)),
}

# Paths of the user's, not of this repository.
THEIRS = ("../shared", "~/.cache/score_sde", "train/", "test/")
# Made by a metric for which no command asks.
OTHERS = ("evaluation/loss_by_time.csv",)


@functools.cache
def parsed(words):
    """The command line of `python main.py ...`; None if it is another, or asks for help."""
    if words[:2] != ("python", "main.py"):
        return None
    with contextlib.chdir(ROOT), contextlib.suppress(flags.HelpRequest):
        return flags.parse(["main.py", *words[2:]])


def filled(command):
    """Its words, with a name in place of what stands for one."""
    replace = lambda word, name: word.replace(name, NAMES[name])  # noqa: E731
    return tuple(functools.reduce(replace, NAMES, word) for word in command.words)


def lacks_data(words):
    """Whether it needs CIFAR-10, which no test downloads."""
    line = parsed(words)
    named = line.config.data.name if line and line.mode != "import" else ""
    return "cifar10" in (named, *words) and not SHARED.exists()


def makes(words):
    """The path that a command makes and others read, or ""."""
    line = parsed(words)
    if line is None:
        return next((w.removeprefix("--out=") for w in words if w.startswith("--out=")), "")
    if line.mode == "sample":
        return f"{line.workdir}/samples.npz"
    return "" if line.mode == "evaluate" else str(line.workdir)


@functools.cache
def makers():
    """The first command that makes each path."""
    found = {}
    for command in COMMANDS:
        with contextlib.suppress(UserError):  # its own test says what is wrong with it
            if path := makes(filled(command)):
                found.setdefault(path, command)
    return found


def needs(words):
    """The commands that make what a command reads."""
    line = parsed(words)
    named = {word.partition("=")[2] or word for word in words}
    named |= {str(line.workdir)} if line else set()
    return [m for path, m in makers().items() if path in named and path != makes(words)]


class Place:
    """A folder like a checkout, and what was run in it.

    Args:
        folder: the folder.
        terminal: works in it.
    """

    def __init__(self, folder, terminal):
        self.folder, self._terminal = folder, terminal
        self._done = {}

    def run(self, command):
        """Run a command in small, after those that make what it reads, unless it has been run."""
        words, said = filled(command), f"{command.where}: {command.text}\n"
        text = " ".join(words)
        rows = [begin for begin in HOW if text.startswith(begin)]
        assert rows, f"{said}no row of HOW says how it is run"
        try:
            small = HOW[max(rows, key=len)](words)
        except Exception as error:
            raise AssertionError(f"{said}{error}") from error
        if small is None or lacks_data(words):
            return
        if small not in self._done:
            for other in needs(words):
                self.run(other)
            self._done[small] = self._terminal.run(*small)
            if self._done[small][0] == 0:
                check_left(self.folder, parsed(small))
        code, printed = self._done[small]
        assert code == 0, f"{said}as {shlex.join(small)}\n{printed}"

    def execute(self, snippet):
        """Execute a snippet; what its text presupposes is made before."""
        rows = [row for held, row in AFTER.items() if held in snippet.text]
        assert rows, f"{snippet.where}: no row of AFTER says what this leaves:\n{snippet.text}"
        (before, true) = rows[0]
        self._terminal.execute(textwrap.dedent(before), "AFTER")
        self._terminal.execute(snippet.text, snippet.page, snippet.line)
        for expression in true:
            assert self._terminal.holds(expression), f"{snippet.where}: not {expression}"


def check_left(folder, line):
    """Check what a command of main.py leaves: checkpoints, examples or finite numbers."""
    if line is None:
        return
    workdir = folder / line.workdir
    if line.mode == "sample":
        name = line.question.task or "samples"
        with np.load(workdir / f"{name}.npz") as file:
            samples = file["samples"]
        assert len(samples) == (line.num_samples or line.config.sampling.num_samples)
        assert np.isfinite(samples).all()
        assert (workdir / f"{name}.png").exists()
    elif line.mode == "evaluate":
        entries = json.loads((workdir / "evaluation.json").read_text())
        for name in line.config.evaluation.metrics:
            assert math.isfinite(entries[name]["value"]), name
    else:
        assert list((workdir / "checkpoints").glob("[0-9]*"))


@pytest.fixture(scope="module")
def place(tmp_path_factory, data_dir):
    """The folder: recipes and programs, studies and benchmarks as copies, data and a checkpoint."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("main.py", "configs", "score_sde"):
        (folder / name).symlink_to(ROOT / name)
    ignored = shutil.ignore_patterns("runs", "smoke", "__pycache__")
    for name in ("benchmarks", "experiments"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name, edits in EDITS.items():
        text = (folder / name).read_text()
        for old, new in edits.items():
            assert text.count(old) == 1, f"EDITS: {old!r} stands {text.count(old)} times in {name}"
            text = text.replace(old, new)
        (folder / name).write_text(text)
    (folder / "tfds").mkdir()
    (folder / "tfds" / "digits").symlink_to(data_dir / "digits")
    if SHARED.exists():
        (folder / "tfds" / "cifar10").symlink_to(SHARED / "data" / "tfds" / "cifar10")
    (folder / "pictures").mkdir()
    for number, level in enumerate(np.random.default_rng(0).integers(256, size=(20, 36, 40, 3))):
        Image.fromarray(level.astype(np.uint8)).save(folder / "pictures" / f"{number}.png")
    for words in map(filled, COMMANDS):
        if "--mode=import" in words:
            release(folder, parsed(recipe(words)))
    terminal = Terminal(
        folder,
        JAX_COMPILATION_CACHE_DIR=str(folder / "compiled"),
        TFDS_DATA_DIR=str(folder / "tfds"),
        SCORE_SDE_CACHE=str(folder / "cache"),
    )
    yield Place(folder, terminal)
    terminal.close()


def release(folder, line):
    """The checkpoint that a command imports, of a tiny network."""
    run = untrained_run(folder / "untrained", line.config)
    assert export.main([str(run), str(folder / line.checkpoint)]) == 0


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.where)
def test_a_command_runs(place, command):
    """It ends with exit code 0, and leaves what it is to leave."""
    place.run(command)


@pytest.mark.parametrize("page", dict.fromkeys(snippet.page for snippet in SNIPPETS))
def test_the_snippets_of_a_page_run(place, page):
    """One after the other in the same names, as in a notebook, on the runs of the page's commands."""
    place.run(makers()["runs/digits_vp"])
    for snippet in SNIPPETS:
        if snippet.page == page:
            place.execute(snippet)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("python main.py --config=configs/digits_vp.py --config.model.chanels=8", "unknown field"),
        (
            "python main.py --config=configs/digits_vp.py --num_sample=8",
            "Unknown command line flag",
        ),
        ("python -m score_sde.reports runs/digits_vp", "No module named score_sde.reports"),
        ("python -m score_sde.report runs/none", "no run in runs/none"),
        ("srun python main.py --config=configs/digits_vp.py --mod=train", "Unknown command line"),
        ("conda activate base", "no row of HOW"),
    ],
)
def test_a_command_that_is_wrong_is_named(place, line, message):
    """With its page and line, whatever is wrong with it."""
    (command,) = pages.commands("README.md", ["So:", "", f"    {line}"])
    with pytest.raises(AssertionError, match=rf"^README.md:3: {re.escape(line)}\n(.|\n)*{message}"):
        place.run(command)


def test_a_run_has_all_that_the_readme_says(place):
    """Of the run that the README trains, samples and evaluates."""
    for command in COMMANDS:
        if (line := parsed(filled(command))) and str(line.workdir) == "runs/digits_vp":
            place.run(command)
    text = "\n".join(TEXTS["README.md"])
    table = text.split("## A run\n")[1].split("\n##")[0]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
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
    for command in COMMANDS:  # which make the others
        if command.page == "README.md":
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
    if match := re.fullmatch(r"([a-z]\w*(\.\w+)+)(=.*)?", name):
        path = match[1]
        return (
            is_field(path.removeprefix("config."))
            if path.startswith("config.")
            else is_field(path) or is_attribute(path.removeprefix("score_sde."))
        )
    return True


def is_flag(word):
    name = word.partition("=")[0]
    if name.startswith("--config."):
        return is_field(name.removeprefix("--config."))
    return re.search(rf"{name.replace('slurm.NAME', 'slurm')}\b", flags.HELP + SWEEP) is not None


@pytest.mark.parametrize("page", TEXTS)
def test_what_a_page_names_is_there(place, page):
    """Paths, modules, fields, flags and extras; of code and prose alike, the fields and extras."""
    text, extras = TEXTS[page], configparser.ConfigParser()
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
