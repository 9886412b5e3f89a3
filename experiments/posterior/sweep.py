"""Methods for inverse problems against exact posteriors, by evaluations; nothing is trained."""

from collections.abc import Sequence

from score_sde.sweep import Metric, Plot, Point, Program, Study

EVALUATIONS = (50, 200, 500, 1000, 2000)
METHODS = {
    "replacement": "replacement",
    "replacement, Langevin": "replacement+langevin",
    "DPS": "dps",
    "PiGDM": "pigdm",
    "PiGDM, Langevin": "pigdm+langevin",
    "moments": "moments",
    "split Gibbs": "gibbs",
}


def _point(label: str, method: str, evaluations: int) -> Point:
    program = Program(
        (
            "{python}",
            "experiments/posterior/measure.py",
            f"--method={method}",
            f"--evaluations={evaluations}",
        ),
        collect="posterior",
    )
    return Point({"method": label, "evaluations": str(evaluations)}, {}, (program,))


def points(evaluations: Sequence[int]) -> list[Point]:
    """Each method with each number; draws from the posterior itself show the error of counting."""
    found = [_point(label, name, n) for n in evaluations for label, name in METHODS.items()]
    return [_point("the posterior itself", "exact", 0), *found]


def study() -> Study:
    """All methods, 50 to 2000 evaluations."""
    return Study(
        title="Given an observation: error of mean and covariance by evaluations",
        note=(
            "Exact denoisers of two Gaussians and of a mixture, EDM, noise 0.1 in the observation, "
            "16,384 samples. "
            "Mean: in posterior standard deviations, root mean square over coordinates. "
            "Covariance: Frobenius norm of the error over that of the posterior's. What the "
            "posterior itself has is the error of so many draws."
        ),
        points=points(EVALUATIONS),
        base={"config": "configs/toy_gaussians.py"},  # its network is neither trained nor used
        train=(),
        evaluate=(),
        metrics=[
            Metric("NFE", "posterior.pair.nfe", 0),
            Metric("mean, pair", "posterior.pair.mean", 3),
            Metric("covariance, pair", "posterior.pair.covariance", 3),
            Metric("mean, field", "posterior.field.mean", 3),
            Metric("covariance, field", "posterior.field.covariance", 3),
            Metric("mean, bumps", "posterior.bumps.mean", 3),
            Metric("covariance, bumps", "posterior.bumps.covariance", 3),
        ],
        plots=[
            Plot(name, "NFE", metric, along="evaluations", log_x=True, log_y=True, levels=levels)
            for name, metric, levels in (
                ("mean_pair", "mean, pair", {"wanted": 0.05}),
                ("covariance_pair", "covariance, pair", {"wanted": 0.05}),
                ("mean_field", "mean, field", {"wanted": 0.05}),
                ("covariance_field", "covariance, field", {"wanted": 0.05}),
                ("mean_bumps", "mean, bumps", {"wanted": 0.05}),
                ("covariance_bumps", "covariance, bumps", {"wanted": 0.05}),
            )
        ],
    )


def smoke() -> Study:
    """The cheapest of each."""
    full = study()
    return Study(
        title=f"In small. {full.title}",
        note=full.note,
        points=points((50,)),
        base=full.base,
        train=(),
        evaluate=(),
        metrics=full.metrics,
    )
