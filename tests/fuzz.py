"""Configs with values that nobody means: each is accepted, or refused in one line.

A case is some fields of a recipe with values drawn at random: of other types, out of range, huge,
of the right kind. It is given on the command line, by a script or in a run's config.json, parsed,
and all that it names is built, without an array and without compiling. As a program,

    python tests/fuzz.py 3000 [SEED]

runs that many cases and prints what was no clean answer, and the slowest.
"""

import collections
import contextlib
import dataclasses
import functools
import io
import random
import sys
import time
import traceback
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from score_sde import values  # noqa: E402
from score_sde.cli import flags  # noqa: E402
from score_sde.data import selection  # noqa: E402
from score_sde.errors import UserError  # noqa: E402
from score_sde.evaluation import asked  # noqa: E402
from score_sde.runs import build, train  # noqa: E402
from score_sde.runs import config as configs  # noqa: E402
from score_sde.runs.ignored import ignored  # noqa: E402
from score_sde.training.sharding import make_mesh  # noqa: E402

# A recipe for each network, as small as it goes.
RECIPES = {
    "unet": (
        *("configs/digits_vp.py", "model.channels=8", "model.channel_mult=(1,)"),
        *("model.num_res_blocks=1", "model.attn_resolutions=()"),
    ),
    "mlp": ("configs/toy_moons.py", "model.channels=16", "model.depth=1"),
    "dit": ("configs/digits_dit.py", "model.channels=8", "model.depth=1", "model.heads=1"),
    "wide_resnet": (
        *("configs/digits_classifier.py", "model.depth=10", "model.width=1"),
        "model.noise_channels=4",
    ),
    "ncsn": ("configs/paper.py:ve/ncsn/cifar10", "model.channels=8", "data.image_size=8"),
}
TEXTS = (
    *("None", "nan", "inf", "-inf", "1e400", "-1", "0", "1", "7", "-0.0", "1.5", "1e-300", "1e300"),
    *("2147483647", "2147483648", "4294967296", "9" * 20, "9" * 5000, "1_000", "0x10", "True", ""),
    *("()", "(3,)", "(0,)", "(-1,)", "(1.5,)", "('a',)", "(None,)", "(1,(2,))", "(nan,)", "[1]"),
    *("{}", "{'a':1}", "(" * 300, "(1," * 50, "('a','a')", "(2147483648,)", "'x'", '"', "\\", "%s"),
    *(
        "x" * 300,
        "y" * 5000,
        "é",
        "\ud800",
        "..",
        "/",
        "~",
        "a b",
        "a\nb",
        "import os",
        "lambda: 0",
    ),
    *("16", "64", "0.5", "0.999", "1000000", "100000000", "(1,2)", "(8,)", "(1,)", "('label',)"),
)
OBJECTS = (
    *(None, float("nan"), float("inf"), -1, 0, 3, 2.5, True, 10**30, 10**400, "", "x" * 300, b"x"),
    *(
        (),
        (3,),
        ("a",),
        (None,),
        ((1,),),
        [],
        [1, "a"],
        {},
        {"a": 1},
        {1: 2},
        object(),
        np.zeros(3),
    ),
    *(np.float32(0.5), np.float64("nan"), np.int64(3), np.bool_(True), "a\0b", 1j, 1e-300, 1e300),
)
STORED = tuple(one for one in OBJECTS if type(one) in (type(None), float, int, bool, str, list))
STORED += ({}, {"a": 1}, {"a": {"b": {}}}, [[1]], [None])
FLAGS = ("num_samples", "step", "label", "scale", "weights", "mask", "condition", "task", "mode")


@dataclasses.dataclass(frozen=True)
class Case:
    """Fields and values, and how they are given: "typed", "set" by a script or in a "file"."""

    network: str
    how: str
    fields: tuple[tuple[str, object], ...]
    flags: tuple[str, ...] = ()


@functools.cache
def _paths(network):
    return sorted(configs.entries(network))


def draw(rng):
    """A case."""
    network, how = rng.choice(list(RECIPES)), rng.choice(("typed", "typed", "set", "file"))
    paths = [rng.choice(_paths(network)) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    fields = tuple((path, _value(rng, network, path, how)) for path in paths)
    given = ()
    if how == "typed" and rng.random() < 0.15:
        given = tuple(f"--{rng.choice(FLAGS)}={rng.choice(TEXTS)}" for _ in range(2))
    return Case(network, how, fields, given)


def _value(rng, network, path, how):
    entry = configs.entries(network)[path]
    if rng.random() < 0.4:  # one that may be right
        names = [
            name
            for one in getattr(entry.annotation, "__metadata__", ())
            if isinstance(one, values.OneOf)
            for name in one.names
        ]
        value = rng.choice([*names, entry.default])
        return str(value).replace(" ", "") if how == "typed" else value
    return rng.choice({"typed": TEXTS, "set": OBJECTS, "file": STORED}[how])


def _config(case):
    """The config of a case, and the fields that were given."""
    recipe, *small = RECIPES[case.network]
    argv = ["main.py", f"--config={recipe}", *(f"--config.{one}" for one in small)]
    if case.how == "typed":
        argv += [f"--config.{path}={value}" for path, value in case.fields]
        line = flags.parse([*argv, *case.flags])
        return line.config, line.overrides
    config = flags.parse(argv).config
    if case.how == "file":
        stored = configs.to_json(config)
        for path, value in case.fields:
            *parts, name = path.split(".")
            section = functools.reduce(lambda section, part: section[part], parts, stored)
            section[name] = value
        return configs.from_json(stored), ()
    for path, value in case.fields:
        configs.set_field(config, path, value)
    return config, ()


_NETWORKS = {}


@contextlib.contextmanager
def _networks_once(config):
    """A network that has been built before is the same again, for the sake of time."""
    parts = [config[name].to_dict() for name in ("model", "space", "conditions", "data")]
    key = repr((parts, config.sde.scales, config.objective.name))
    real = build.functional

    def once(make):
        if key not in _NETWORKS:
            _NETWORKS[key] = real(make)
        return _NETWORKS[key]

    build.functional = once
    try:
        yield
    finally:
        build.functional = real


def answer(case):
    """How a case is answered: "" if it is accepted, else the one line that refuses it."""
    try:
        config, overrides = _config(case)
        info = selection.read(config.data).describe()
        with _networks_once(config):
            experiment = build.experiment(config, info)
        train.check(experiment, make_mesh(experiment.training.fsdp))
        if config.evaluation.metrics:
            asked.read(config.evaluation)
        ignored(experiment, config, overrides)
        configs.to_json(config)
    except UserError as error:
        return str(error) or "refused"
    return ""


def clean(line):
    """Whether an answer is one line that can be read."""
    return "\n" not in line and len(line) < 1500


def main(number, seed=0):
    """Run cases; returns how many were not answered."""
    rng, kinds, slowest = random.Random(seed), collections.Counter(), []
    accepted = refused = 0
    for i in range(number):
        case, begin = draw(rng), time.monotonic()
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                line = answer(case)
            accepted, refused = accepted + (line == ""), refused + (line != "")
            if not clean(line):
                kinds["not one line"] += 1
                print(f"case {i}: {case}\n{line[:2000]}", flush=True)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            kinds[f"{type(error).__name__} at {frame.filename}:{frame.lineno}"] += 1
            print(f"case {i}: {case}\n{traceback.format_exc()[-1500:]}", flush=True)
        slowest.append((time.monotonic() - begin, i, case))
    slowest.sort(key=lambda entry: -entry[0])
    print(f"{number} cases: {accepted} accepted, {refused} refused, {sum(kinds.values())} broken")
    for kind, count in kinds.most_common():
        print(f"{count} x {kind}")
    for seconds, i, case in slowest[:5]:
        print(f"{seconds:.1f} s: case {i}, {case.fields}"[:200])
    return sum(kinds.values())


if __name__ == "__main__":
    sys.exit(bool(main(int(sys.argv[1]), *map(int, sys.argv[2:]))))
