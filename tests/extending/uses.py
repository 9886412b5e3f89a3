"""Uses each example of the page, in a copy of the package that has them: run there with -m."""

import shlex
from pathlib import Path

import jax
from extending.data import used_condition, used_data_set, used_space
from extending.drawing import used_metric, used_solver
from extending.learning import used_network, used_objective, used_process
from extending.page import PAGE, sections

# Two steps of a network that compiles fast, in the place of a minute of training.
SMALL = (
    "--config.model.channels=16",
    "--config.training.batch_size=32",
    "--config.training.steps=2",
    "--config.training.steps_per_call=2",
    "--config.training.log_every=2",
    "--config.training.eval_every=0",
    "--config.training.sample_every=0",
    "--config.training.checkpoint_every=2",
    "--config.optim.warmup=1",
)
SMALL_SAMPLES = (
    "--config.sampling.sampler=rk4",
    "--config.sampling.steps=2",
    "--config.sampling.num_samples=8",
    "--config.sampling.batch_size=8",
    "--config.evaluation.samples.num_samples=8",
)


def use(section):
    """Do what a section of the page shows; returns the names that its scripts define."""
    from score_sde import cli

    names = {}
    for language, code in section.uses:
        if language == "python":
            exec(compile(code, "docs/extending.md", "exec"), names)
            continue
        for command in code.replace("\\\n", " ").splitlines():
            python, program, *arguments = shlex.split(command)
            assert (python, program) == ("python", "main.py"), command
            small = SMALL if "affine" in command else ("--config.model.depth=1", *SMALL)
            assert cli.main([program, *arguments, *small, *SMALL_SAMPLES]) == 0, command
    return names


USED = {
    "data set": used_data_set,
    "space": used_space,
    "condition": used_condition,
    "network": used_network,
    "process": used_process,
    "objective": used_objective,
    "solver": used_solver,
    "metric": used_metric,
}


def main(folder):
    """Use every example, in the order of the page."""
    import score_sde

    assert Path(score_sde.__file__).is_relative_to(folder), score_sde.__file__
    for name, section in sections(PAGE).items():
        print(f"--- {name}", flush=True)
        names = use(section)
        with jax.numpy_rank_promotion("raise"):
            USED[name](names)
    print("used:", ", ".join(USED))


if __name__ == "__main__":
    main(Path.cwd().resolve())
