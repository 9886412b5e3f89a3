"""A folder like a checkout, in which commands of the documentation are run; see in_small."""

import contextlib
import importlib.util
import itertools
import json
import math
import shlex
import shutil

import numpy as np
import pytest
from in_small import DATA, HOW, SMALL, UNET, filled, lacks_data, needs, parsed
from PIL import Image
from program import ROOT
from terminal import Terminal

from score_sde.data.emoji import builder, drawing, names
from score_sde.errors import UserError

# In the copies that are run, of what no flag makes small.
EDITS = {
    "benchmarks/checkpoints.py": {"ROUNDS = 3": "ROUNDS = 1", '"cifar_vp"': '"digits_vp"'},
    "benchmarks/depth.py": {"= 3, (": "= 1, (", '"S/2",': '"S/2", "channels": 8, "heads": 2,'},
    "benchmarks/digits_mixture.py": {"= 17, 5": "= 17, 1", "(1, 5, 10, 20, 40)": "(1,)"},
    "benchmarks/likelihood.py": {"= 64, 7": "= 8, 1"},
    "benchmarks/sampling.py": {"ROUNDS = 10, 7": "ROUNDS = 2, 1"},
    "experiments/digits_solvers/sweep.py": {"(1e-1, 1e-3)),": "(1e-1, 1e-3))[:1],"},
    "experiments/solvers/sweep.py": {"= (4, 6, 10, 20, 50)": "= (4,)"},
    "experiments/small.py": {"THOUSAND = 50": f"SMALL |= {SMALL | UNET}\nTHOUSAND = 50"},
}


class Place:
    """A folder like a checkout, and what was run in it.

    Attributes:
        folder: the folder.
        terminal: works in it.
    """

    def __init__(self, folder, terminal):
        self.folder, self.terminal = folder, terminal
        self._done = {}

    def run(self, command):
        """Run a command in small, after those that make what it reads, unless it has been run.

        Returns:
            Whether it was; not if it lacks data, but then its flags are right.
        """
        words = filled(command)
        begins = [begin for begin in HOW if " ".join(words).startswith(begin)]
        if not begins:
            _fail(command, "no row of HOW says how it is run")
        small, mistake = words, None
        try:
            small = HOW[max(begins, key=len)](words)
        except (UserError, AssertionError) as error:
            mistake = error
        if mistake:
            _fail(command, mistake)
        if small is None or lacks_data(words):
            return small is None
        if small not in self._done:
            for other in needs(words):
                self.run(other)
            line = parsed(small)
            self._done[small] = self.terminal.run(*small)
            if line and self._done[small][0] == 0:
                check_left(self.folder, line)
        code, printed = self._done[small]
        if code != 0:
            _fail(command, f"ends with exit code {code}, as {shlex.join(small)}\n{printed}")
        return True


def _fail(command, reason):
    pytest.fail(f"{command.where}: {command.text}\n{reason}", pytrace=False)


def check_left(folder, line):
    """Check what a command of main.py leaves: checkpoints, examples or finite numbers."""
    workdir = folder / line.workdir
    if line.mode == "sample":
        name = line.question.task or "samples"
        with np.load(workdir / f"{name}.npz") as file:
            samples = file["samples"]
        assert len(samples) == 16
        assert np.isfinite(samples).all()
        assert (workdir / f"{name}.png").exists()
    elif line.mode == "evaluate":
        entries = json.loads((workdir / "evaluation.json").read_text())
        for name in line.config.evaluation.metrics:
            assert math.isfinite(entries[name]["value"]), name
    else:
        assert list((workdir / "checkpoints").glob("[0-9]*"))


def write_emoji(folder, styles):
    """Three hundred white emoji of each style, as `prepare emoji` would have written them."""
    white = [drawing.png(np.full((32, 32, channels), 255, np.uint8)) for channels in (3, 1)]
    codes = list(itertools.islice(names.known(), 300))
    pictures = [builder.Picture(s, s, code, *white) for s in styles for code in codes]
    builder.write(pictures, styles, 32, "nobody's", str(folder))


@contextlib.contextmanager
def checkout_of(folder, digits):
    """A Place in a folder, with all that the commands find there.

    Args:
        folder: an empty one.
        digits: the folder of the prepared digits.
    """
    for name in ("main.py", "configs"):
        (folder / name).symlink_to(ROOT / name)
    written = shutil.ignore_patterns("runs", "smoke", "__pycache__")
    for name in ("benchmarks", "experiments"):
        shutil.copytree(ROOT / name, folder / name, ignore=written)
    for name, edits in EDITS.items():
        text = (folder / name).read_text()
        for old, new in edits.items():
            assert text.count(old) == 1, f"EDITS: {old!r} stands {text.count(old)} times in {name}"
            text = text.replace(old, new)
        (folder / name).write_text(text)
    (folder / "tfds").mkdir()
    (folder / "tfds" / "digits").symlink_to(digits)
    if DATA.exists():
        (folder / "tfds" / "cifar10").symlink_to(DATA / "cifar10")
    if importlib.util.find_spec("emoji"):
        write_emoji(folder / "tfds", ["openmoji"])
        write_emoji(folder / "styles", ["openmoji", "noto"])
    (folder / "pictures").mkdir()
    levels = np.random.default_rng(0).integers(256, size=(20, 12, 10, 3), dtype=np.uint8)
    for number, level in enumerate(levels):
        Image.fromarray(level).save(folder / "pictures" / f"{number}.png")
    np.savez(folder / "mine.npz", image=levels[:, :8, :8])
    np.save(folder / "photos.npy", levels[:, :8, :8])
    own = {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
        "TFDS_DATA_DIR": str(folder / "tfds"),
        "SCORE_SDE_CACHE": str(folder / "cache"),
    }
    with Terminal(folder, **own) as terminal:
        yield Place(folder, terminal)
