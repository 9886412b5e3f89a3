"""How a config is answered: it is accepted, and a step is taken, or one line refuses it."""

from __future__ import annotations

import contextlib
import functools
import io
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from experiments.faults import examples
from experiments.faults.cases import RECIPES, STORED, TYPED, Case
from score_sde.cli import flags
from score_sde.data import selection
from score_sde.errors import UserError
from score_sde.evaluation import asked
from score_sde.runs import build, rewinding, session, train
from score_sde.runs import config as configs
from score_sde.runs.ignored import ignored

# Of a step that is to be taken, where the case does not say otherwise.
_ONE_STEP = {
    "training.steps": 1,
    "training.steps_per_call": 1,
    "training.batch_size": 8,
    "training.log_every": 1,
    "training.eval_every": 0,
    "training.sample_every": 0,
}
# A step is not taken of what would keep this machine busy for long.
_MOST_STEPS, _MOST_PARAMETERS, _MOST_EXAMPLES = 4, 2_000_000, 1024


def answer(case: Case) -> str:
    """How a case is answered: "" if it is accepted, else the one line that refuses it.

    It is parsed, and all that it names is built, without an array and without compiling.
    """
    try:
        config, overrides = _config(case)
        info = selection.read(config.data).describe()
        with _networks_once(config):
            experiment = build.experiment(config, info)
        train.check(experiment, build.mesh(config))
        if config.evaluation.metrics:
            asked.read(config.evaluation)
        ignored(experiment, config, overrides)
        configs.to_json(config)
    except UserError as error:
        return str(error) or "refused"
    return ""


def clean(line: str) -> bool:
    """Whether an answer is one line that can be read."""
    return "\n" not in line and len(line) < 1500


def step(case: Case) -> str | None:
    """What became of a step of a case that is accepted, through the whole of training.

    Returns:
        "" if it was taken, the line that says why not, or None if it was not tried: it is too
        large.
    """
    config, _ = _config(case)
    given = {path for path, _ in case.fields}
    for path, value in _ONE_STEP.items():
        if path not in given:
            configs.set_field(config, path, value)
    if _is_large(config):
        return None
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        try:
            session.train(config, Path(folder) / "run", lambda *_: None)
        except (UserError, rewinding.DivergedError) as error:
            return str(error) or "refused"
        finally:
            jax.clear_caches()
    return ""


def _is_large(config: ConfigDict) -> bool:
    info = selection.read(config.data).describe()
    with _networks_once(config):
        parameters = build.experiment(config, info).parameters
    training = config.training
    return (
        training.steps > _MOST_STEPS
        or training.steps_per_call > _MOST_STEPS
        or training.batch_size * training.accumulate > _MOST_EXAMPLES
        or config.evaluation.batch_size > 4 * _MOST_EXAMPLES
        or parameters > _MOST_PARAMETERS
    )


def _config(case: Case) -> tuple[ConfigDict, tuple[str, ...]]:
    """The config of a case, and the fields that were given on the command line."""
    examples.register()
    recipe, *small = RECIPES[case.recipe]
    argv = ["main.py", f"--config={recipe}", *(f"--config.{one}" for one in small)]
    if case.how == TYPED:
        argv += [f"--config.{path}={value}" for path, value in case.fields]
        line = flags.parse([*argv, *case.flags])
        return line.config, line.overrides
    config = flags.parse(argv).config
    if case.how == STORED:
        stored = configs.to_json(config)
        for path, value in case.fields:
            *parts, name = path.split(".")
            section = functools.reduce(lambda section, part: section[part], parts, stored)
            section[name] = value
        return configs.from_json(stored), ()
    for path, value in case.fields:
        configs.set_field(config, path, value)
    return config, ()


_NETWORKS: dict[str, Any] = {}


@contextlib.contextmanager
def _networks_once(config: ConfigDict) -> Iterator[None]:
    """A network that has been built before is the same again, for the sake of time."""
    parts = [config[name].to_dict() for name in ("model", "space", "conditions", "data")]
    key = repr((parts, config.sde.scales, config.objective.name))
    real = build.functional

    def once(make: Callable[[], Any]) -> Any:
        if key not in _NETWORKS:
            _NETWORKS[key] = real(make)
        return _NETWORKS[key]

    build.functional = once
    try:
        yield
    finally:
        build.functional = real
