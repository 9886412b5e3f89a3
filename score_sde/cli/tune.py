"""The command that tunes the times of a sampler for a run: python -m score_sde.samplers.tune."""

from __future__ import annotations

import argparse
import functools
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from score_sde import files, interrupts, terminal
from score_sde.errors import UserError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from score_sde.prediction import Denoiser
    from score_sde.runs.opened import Run
    from score_sde.samplers.fixed_step import FixedStep


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)


def _seed(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 0")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    found = terminal.Parser(
        prog="python -m score_sde.samplers.tune",
        description="Tunes the times of a sampler for a run, towards an accurate solution of the "
        "probability-flow ODE from the same noise, and writes them into the run's grid.json. "
        "--config.sampling.grid=tuned then samples and evaluates with them. Other options of the "
        "sampler are given as --config.sampling.NAME=VALUE.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    found.add_argument("run", type=files.expanded, help="the run's folder")
    found.add_argument("--sampler", required=True, help="a sampler that adds no noise")
    found.add_argument("--steps", required=True, type=_count, help="its number of steps")
    found.add_argument(
        "--coefficients", action="store_true", help="tune factors on its coefficients too"
    )
    found.add_argument("--weights", default="ema", help="ema, a decay, or raw")
    found.add_argument("--step", type=_count, help="which checkpoint; the newest by default")
    found.add_argument("--trajectories", type=_count, default=256, help="that are fitted")
    found.add_argument("--held_out", type=_count, default=128, help="that decide when to stop")
    found.add_argument("--batch_size", type=_count, default=64, help="trajectories at a time")
    found.add_argument("--iterations", type=_count, default=60, help="at most")
    found.add_argument("--seed", type=_seed, default=0, help="of the noise")
    return found


@terminal.program
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments after the program's name; those of the process if None.

    Returns:
        Exit code: 0, 2 after one line on stderr if the input is bad, 130 after Ctrl-C, 143 after
            SIGTERM.
    """
    try:
        return _tune(*parser().parse_known_args(argv))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _tune(args: argparse.Namespace, others: Sequence[str]) -> int:
    from score_sde.cli import compilation
    from score_sde.runs import folder, tuned
    from score_sde.samplers import tuning
    from score_sde.training import xla

    xla.begin()
    compilation.keep(functools.partial(print, flush=True))
    interrupts.listen()
    run = folder.load(args.run, weights=args.weights, step=args.step)
    sampler = _sampler(run.config, args, others)
    try:
        tuning.check(sampler, run.sde)
    except ValueError as error:
        raise UserError(f"{args.sampler}: {error}") from error
    print(
        f"tuning the times of {args.sampler} with {args.steps} steps for {args.run} at step "
        f"{run.step} ({run.weights} weights)",
        flush=True,
    )
    begin = time.monotonic()
    table, denoise = sampler.table(run.sde), _asked(run, sampler)
    fit, held_out = (
        tuning.loss(denoise, table, _solutions(run, denoise, sampler, args, number, split))
        for split, number in enumerate((args.trajectories, args.held_out))
    )
    found = tuning.tune(
        sampler,
        run.sde,
        fit,
        held_out,
        coefficients=args.coefficients,
        iterations=args.iterations,
        say=_say,
    )
    best = min(found.untuned, key=found.untuned.__getitem__)
    about = {
        "error": found.error,
        "untuned": found.untuned,
        "step": run.step,
        "weights": run.weights,
        **{name: getattr(args, name) for name in ("trajectories", "held_out", "seed")},
    }
    path = tuned.write(args.run, _with(sampler, found), about)
    print(
        f"distance to the accurate solution (root mean square, on held-out noise): "
        f"{found.error:.4g}; of the best untuned grid, {best}: {found.untuned[best]:.4g} "
        f"({time.monotonic() - begin:.0f} s)\n"
        f"Wrote {path}. Sample with --config.sampling.sampler={args.sampler} "
        f"--config.sampling.steps={args.steps} --config.sampling.grid=tuned",
        flush=True,
    )
    return 0


def _asked(run: Run, sampler: FixedStep) -> Denoiser:
    """The denoiser that a sampler of the run asks: guided as its config says, and clipped."""
    from score_sde.composite import bound
    from score_sde.runs import guide
    from score_sde.samplers.threshold import thresholded

    guided = guide.opened(run, run.config.guidance).guide.denoiser(run.denoise)
    return bound(thresholded(guided, sampler.clip, sampler.threshold), run.sde)


def _say(iteration: int, fitted: float, error: float) -> None:
    print(f"iteration {iteration}  distance {fitted:.4g}, held out {error:.4g}", flush=True)


def _with(sampler: FixedStep, found: Any) -> FixedStep:
    import dataclasses

    return dataclasses.replace(sampler, times=found.times, factors=found.factors)


def _sampler(config: ConfigDict, args: argparse.Namespace, others: Sequence[str]) -> FixedStep:
    """The sampler that is asked for, with options of the run's config unless they are given."""
    import copy

    from score_sde import values
    from score_sde.runs import config as configs
    from score_sde.runs import sampling
    from score_sde.samplers.fixed_step import FixedStep

    config = copy.deepcopy(config)
    fields = {"sampling.sampler": args.sampler, "sampling.steps": args.steps}
    fields |= {"sampling.grid": "uniform", "sampling.times": (), "sampling.factors": ()}
    for text in others:
        match = re.fullmatch(r"--config\.(sampling\.[\w.]+)=(.*)", text, re.DOTALL)
        if not match or match[1] in fields:
            raise UserError(f"unknown argument {text}: options are --config.sampling.NAME=VALUE")
        fields[match[1]] = values.literal(match[2])
    for path, value in fields.items():
        configs.set_field(config, path, value)
    sampler = sampling.sampler(config.sampling)
    if not isinstance(sampler, FixedStep):
        raise UserError(f"{args.sampler} has no table of steps to tune: use dpmpp_2m, for example")
    return sampler


def _solutions(
    run: Run,
    denoise: Denoiser,
    sampler: FixedStep,
    args: argparse.Namespace,
    number: int,
    split: int,
) -> list[tuple[Any, Any, Any]]:
    """Batches of noise, of what an accurate solution makes of it, and of conditions."""
    import jax
    import jax.numpy as jnp

    from score_sde import samplers
    from score_sde.errors import solver_error_as
    from score_sde.runs import sources
    from score_sde.runs.generate import borrowed
    from score_sde.training.progress import Count

    accurate = samplers.get("rk45", denoise_final=sampler.denoise_final)
    size = min(args.batch_size, number)
    number = -(-number // size) * size  # whole batches
    told = _conditions(run, number, split, borrowed, sources.split)
    solve: Callable[..., Any] = jax.jit(
        lambda x, cond: accurate(jax.random.key(0), denoise, run.sde, x_init=x, cond=cond).x
    )
    key = jax.random.fold_in(jax.random.key(args.seed), split)
    batches = []
    what = "trajectories" if not split else "held-out trajectories"
    with Count(number, what) as count, solver_error_as(UserError):
        for start in range(0, number, size):
            shape = (size, *run.space.shape)
            x = run.sde.prior_sample(jax.random.fold_in(key, start), shape, jnp.float32)
            cond = {name: values[start : start + size] for name, values in told.items()} or None
            batches.append((x, jax.block_until_ready(solve(x, cond)), cond))
            count.reach(start + size)
    return batches


def _conditions(
    run: Run, number: int, split: int, borrowed: Callable[..., Any], source: Callable[..., Any]
) -> dict[str, Any]:
    """Conditions of so many samples: classes at random, each as likely; others of examples."""
    import numpy as np

    experiment = run.experiment
    found = borrowed(experiment, lambda: source(run.config, "train"), number, split)
    rng = np.random.default_rng(split)
    return {
        name: found[name]
        if name in found
        else rng.integers(experiment.data[name].values, size=number).astype(np.int32)
        for name in experiment.conditions
    }
