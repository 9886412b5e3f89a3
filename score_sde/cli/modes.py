"""The command line: from flags to a run."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import math
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from score_sde import terminal
from score_sde.cli import messages
from score_sde.cli.begin import begin
from score_sde.cli.flags import CommandLine, HelpRequest, parse
from score_sde.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from jax.sharding import Mesh

    from score_sde.cli.question import Question
    from score_sde.data import Source
    from score_sde.runs.drawn import Target
    from score_sde.runs.experiment import Experiment
    from score_sde.runs.init_from import Start
    from score_sde.runs.opened import Opened


@terminal.program
def main(argv: list[str]) -> int:
    """Run a command line.

    Args:
        argv: sys.argv.

    Returns:
        The exit code: 0, also after SIGTERM, on which training saves; 143 after it elsewhere; 2
        for bad input; 130 after Ctrl-C; 1 if training diverged.
    """
    try:
        line = parse(argv)
        # JAX is slow to import and its devices slow to open: mistakes in flags come before.
        from score_sde.data.base import UnknownSetError
        from score_sde.runs import peers
        from score_sde.runs.rewinding import DivergedError

        # A solver that gives up raises through a callback, whose traceback JAX would log as well.
        logging.getLogger("jax._src.callback").setLevel(logging.CRITICAL)
        try:
            code = _MODES[line.mode](line)
            peers.succeeded()
            return code
        except UnknownSetError as error:
            # A run's config.json names its data; what a recipe registers, only that recipe makes.
            more = "" if line.recipe else ". If a recipe registers it, give --config=RECIPE too"
            return _fail(f"{error}{more}", 2)
        except DivergedError as error:
            return _fail(error, 1)
        except MemoryError as error:
            return _fail(f"out of memory: {error}. Give smaller batches or fewer examples", 1)
    except HelpRequest as text:
        with contextlib.suppress(terminal.NobodyReads):  # who has seen enough of it
            print(text, flush=True)
        return 0
    except UserError as error:
        return _fail(error, 2)


def _fail(message: object, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


def _train(line: CommandLine) -> int:
    import jax

    from score_sde.runs import init_from, session

    def announce(
        experiment: Experiment,
        mesh: Mesh,
        train_set: Source,
        held_out: Source | None,
        start: Start,
    ) -> None:
        messages.say_ignored(line, experiment)
        messages.announce(experiment, mesh, train_set, held_out, line.workdir)
        for source in (train_set, held_out):
            messages.say_note(source)
        for text in start.lines:
            print(text, flush=True)

    begin(line)
    asked = None
    if line.init_from is not None:
        asked = init_from.Request(line.init_from, line.weights, line.step)
    experiment, outcome = session.train(
        line.config, line.workdir, announce, asked, again=not line.recipe, given=line.overrides
    )
    if jax.process_index() == 0:
        messages.say_what_next(line, experiment, outcome)
    return 130 if outcome.stopped_by == signal.SIGINT else 0


def _sample(line: CommandLine) -> int:
    import jax
    from jax.experimental import multihost_utils

    from score_sde import report
    from score_sde.cli import questions
    from score_sde.runs import drawn, folder, guide, held, sampling, tuned
    from score_sde.runs.generate import Generator, sample_key
    from score_sde.training import memory
    from score_sde.training.progress import Count

    begin(line)
    config, workdir = line.config, line.workdir
    _check_trained(line)
    drawing = sampling.drawing(config, tuned.sampler(config, workdir))
    shared = {"fsdp": config.sampling.fsdp, "tensor": config.sampling.tensor}
    run = folder.load(workdir, weights=line.weights, step=line.step, **shared)
    if line.loras:
        from score_sde.interop.lora.use import with_lora

        run = with_lora(run, *line.loras)
    if line.prompted.prompts and run.experiment.text.prompts and run.space.IMAGES:
        from score_sde.cli import prompts

        return prompts.draw(line, run)
    if line.prompted.prompts:
        raise UserError(
            f"--prompt: {workdir} is of a model that draws no pictures of texts; what it is told, "
            "--condition=NAME=VALUE says"
        )
    texts = _texts(run)
    experiment = drawing(run.experiment)
    run = dataclasses.replace(run, experiment=experiment)
    guided = guide.opened(run, config.guidance)
    number = questions.number(line.question, line.num_samples, config, experiment)
    seed, size = config.sampling.seed, min(number, config.sampling.batch_size)
    asked_for = f"{number} samples (--num_samples or config.sampling.num_samples)"
    numbers = math.prod(experiment.space.shape)
    memory.check(asked_for, 4 * number * numbers, memory.of_host(), "draw fewer")
    memory.check_batch("config.sampling.batch_size", size, numbers)
    question = questions.ask(line.question, config, experiment, number, texts)
    target = drawn.Target.of(line.out, workdir, question.name, experiment.space)
    generator = Generator(experiment, run.mesh, size, guided.guide)
    identity = question.identity(line.question)
    sampler, batch = question.sampler or experiment.sampler, generator.batch_size
    about = drawn.samples(run, sampler, guided.protocol, seed, batch, number, *identity)
    first = jax.process_index() == 0

    def say(text: str) -> None:
        if first:
            print(text, flush=True)

    def there() -> bool:
        """Whether the files hold these samples, which is said then."""
        there = None if line.overwrite else target.holds(about)
        if there:
            if first:
                messages.say_ignored(line, experiment)
            nfe = there["nfe"]
            say(f"{nfe} function evaluations an example. {target.arrays} holds these samples")
        return bool(there)

    if there():
        return 0
    if first:
        target.check()
    # Every process has looked for the files before the first one writes them.
    multihost_utils.sync_global_devices("the files of samples were looked for")
    with held.drawing(target.arrays):
        if there():  # by another program, meanwhile
            return 0
        say(
            f"sampling {number} examples from {workdir} at step {run.step} ({run.weights} weights) "
            f"with {question.drawn_by(config.sampling.sampler)}{guided.words}, seed {seed}, "
            f"on {messages.devices(run.mesh)}"
        )
        if first:
            messages.say_ignored(line, experiment)
        key = sample_key(experiment.seed, seed)
        told = question.task, {**question.cond, **question.encoded}, question.given
        with Count(number, "examples", quiet=not first) as count:
            samples, nfe = generator(run.params, run.constants, key, number, count.reach, *told)
        if first:
            _write(target, question, experiment, samples, {**about, "nfe": nfe})
            report.refresh(workdir)
    return 0


def _write(
    target: Target,
    question: Question,
    experiment: Experiment,
    samples: np.ndarray,
    about: Mapping[str, Any],
) -> None:
    """Write what was drawn, and say so.

    Args:
        target: the files.
        question: what was asked.
        experiment: of the model.
        samples: [number, *shape of the field].
        about: what they are; see drawn.Target.
    """
    fit = question.fit(experiment.space, samples)
    shown = question.picture(samples, experiment.space.MOST)
    captions = question.captions(experiment.data)
    number = len(samples)
    examples = min(number, question.examples(shown))
    target.write(
        experiment.space,
        question.arrays(samples) | fit,
        shown,
        question.columns,
        {**about, "shown": examples},
        captions,
        question.titles(shown, captions, experiment.space.SETS_OFF),
        question.known_of(shown),
    )
    messages.say_fit(fit, experiment.space.UNITS)
    part = f" (its first {examples})" if examples < number else ""
    files = f"; each is in a file in {target.files}" if target.files else ""
    moving = f"; it moves in {target.moving.name}" if target.moving else ""
    print(
        f"{about['nfe']} function evaluations an example. "
        f"Wrote {target.arrays} and {target.picture.name}{part}{moving}{files}",
        flush=True,
    )


def _check_trained(line: CommandLine, also: tuple[str, ...] = ()) -> None:
    """Raise UserError if the command line contradicts what was trained.

    The run's own record says what that was; the command line, what to do with it, and, where it
    leaves that open, the recipe if there is one, or else the run.

    Args:
        line: the command line.
        also: sections or dotted fields in which the recipe may not contradict it either.
    """
    from score_sde.data import IN_MEMORY
    from score_sde.runs import begun
    from score_sde.runs import config as configs

    trained, _ = configs.read(line.workdir)
    fixed = *(path for path in line.overrides if path.startswith(begun.FIXED)), *also
    if trained.data.name == IN_MEMORY:  # the file that now holds them has another name
        fixed = tuple(path for path in fixed if not path.startswith("data."))
    changed = configs.difference(trained, line.config, fixed)
    if changed:
        raise UserError(f"{line.workdir} was trained with another config: {changed}")


def _evaluate(line: CommandLine) -> int:
    import jax

    from score_sde import report
    from score_sde.report import facts

    begin(line)
    first = jax.process_index() == 0
    measured = measure(line, write=first)
    for name, entry in measured.items():
        said = facts.of_number(entry)
        if first:
            value = facts.of_value(entry)
            print(f"{name}: {value}" + (f" ({said})" if said else ""), flush=True)
    if first:
        report.refresh(line.workdir)
        pictures = [entry["picture"] for entry in measured.values() if "picture" in entry]
        written = " and ".join([str(line.workdir / "evaluation.json"), *pictures])
        print(f"Wrote {written}", flush=True)
    return 0


def measure(line: CommandLine, write: bool) -> Mapping[str, Any]:
    """The entries of evaluation.json that a command asks for, by name.

    Args:
        line: the command.
        write: whether this process writes them there.
    """
    import jax

    from score_sde.data.selection import DETERMINING
    from score_sde.evaluation import asked as evaluation
    from score_sde.evaluation.engine import evaluate
    from score_sde.runs import folder, guide, sampling, sources, tuned
    from score_sde.runs.evaluate import subject
    from score_sde.training import memory

    config, workdir = line.config, line.workdir
    # The examples come from the command line and the recipe, so these must be those of the run.
    _check_trained(line, also=tuple(f"data.{name}" for name in DETERMINING))
    asked = evaluation.read(config.evaluation)
    drawing = sampling.drawing(config, tuned.sampler(config, workdir))
    mesh = folder.mesh_of(config.sampling.fsdp, config.sampling.tensor)
    run = folder.opened(workdir, weights=line.weights, step=line.step, mesh=mesh)
    _check_measured(run)
    run = dataclasses.replace(run, experiment=drawing(run.experiment))
    guided = guide.opened(run, config.guidance)
    opened = functools.partial(
        sources.matching, config, experiment=run.experiment, who=str(workdir)
    )
    source = opened(asked.options.split)
    first = jax.process_index() == 0

    def say(text: str) -> None:
        if first:
            print(text, flush=True)

    drawing_of = config.sampling.seed, config.sampling.told_of
    what = subject(run, guided, source, asked.options, mesh, say, opened, *drawing_of)
    size = min(what.batch_size, max(what.number, asked.samples.num_samples))
    memory.check_batch("config.evaluation.batch_size", size, math.prod(what.space.shape))
    say(
        f"evaluating {workdir} at step {run.step} ({run.weights} weights) on {what.number} of "
        f"{len(source):,} {source.info.split} examples of {source.info.name}, on "
        f"{messages.devices(mesh)}"
    )
    if first:
        messages.say_ignored(line, run.experiment)
        messages.say_note(source)
    return evaluate(what, asked, write)


def _texts(run: Opened) -> Callable[[str], Mapping[str, Any]] | None:
    """What tells a model of a text, by encoders that it has; None of one that has none.

    Raises:
        UserError: what it draws are pictures, of which --prompt asks.
    """
    if not run.experiment.text.ENCODERS or run.space.IMAGES:
        _check_no_text(run)
        return None
    return run.text


def _check_no_text(run: Opened) -> None:
    """Raise UserError if a model has to be told of a text, which only --prompt does."""
    if run.experiment.text.ENCODERS:
        raise UserError(
            f"{run.workdir} draws pictures of texts: give --mode=sample --prompt=TEXT, without a "
            "task or another mode"
        )


def _check_measured(run: Opened) -> None:
    """Raise UserError if a model is told of texts by encoders: metrics tell the data's fields."""
    if not run.experiment.text.ENCODERS:
        return
    how = "--condition=text=TEXT, which writes a file of each"
    if run.space.IMAGES:
        how = "--prompt=FILE.csv, whose pictures python -m score_sde.interop.clip_score measures"
    raise UserError(
        f"--mode=evaluate: {run.workdir} is told texts by encoders, and metrics tell models fields "
        f"of the data alone. Draw samples, --mode=sample {how}"
    )


def _import(line: CommandLine) -> int:
    from score_sde import interrupts, report
    from score_sde.interop.importer import import_run
    from score_sde.objectives import AUTOENCODER, CLASSIFIER

    averaged = line.weights == "ema"
    interrupts.listen()  # a folder that is half a run is removed
    beside = {"components": line.components, "motion": line.motion}
    imported = import_run(line.config, line.checkpoint, line.workdir, averaged, **beside)
    if imported.steers:
        print(
            f"{line.checkpoint} is now the control {line.workdir}: {imported.parameters:,} "
            f"parameters. Next: draw with --prompt=TEXT --control={line.workdir}:IMAGE"
        )
        return 0
    report.refresh(line.workdir)
    if imported.pipeline:
        prompt = f" {imported.asked.replace('TEXT', _EXAMPLE)}" if imported.asked else ""
        prompt += " --frames=16" if line.motion is not None else ""
        print(
            f"{line.checkpoint} is now the run {line.workdir}: {imported.parameters:,} parameters "
            f"and what it is released with. Next: {line.rerun} --mode=sample{prompt}"
        )
        return 0
    kinds = "parameters, raw and averaged"
    if not imported.averaged:
        kinds = "raw parameters, with which an average begins"
    elif not imported.raw:
        kinds = "averaged parameters, which stand for the raw ones too"
    differs = imported.file_decay not in (None, imported.decay)
    in_file = f" (in the file {imported.file_decay})" if differs else ""
    averages = f"averages by {imported.decay}{in_file} and " if imported.decay else ""
    print(
        f"{line.checkpoint} is now the run {line.workdir} at step {imported.step}: "
        f"{imported.parameters:,} {kinds}. Training would go on at this step of the schedule, "
        f"with {averages}new Adam moments: those of a file are not read."
    )
    next_with = {
        CLASSIFIER: "a model of these images samples with --task=class "
        f"--classifier={line.workdir}",
        AUTOENCODER: "a model of its latents, --config.space.name=SPACE, has "
        f"--config.space.SPACE.autoencoder={line.workdir}; SPACE is autoencoded of images, "
        "sound_latents of signals",
    }
    print(f"Next: {next_with.get(imported.trains, f'{line.rerun} --mode=sample')}")
    return 0


_EXAMPLE = "'a corgi'"  # of a text

_MODES: dict[str, Callable[[CommandLine], int]] = {
    "train": _train,
    "sample": _sample,
    "evaluate": _evaluate,
    "import": _import,
}
