"""docs/extending.md: its examples work, added to a copy of the package, and touch few files.

As a program, `test_extending.py FOLDER`, this file uses the examples in a copy that has them.
"""

import dataclasses
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from program import environment, metrics

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "extending.md").read_text()

# How many files a member of each family may touch.
LIMITS = {
    "data set": 2,
    "space": 2,
    "condition": 2,
    "network": 2,
    "process": 2,
    "objective": 2,
    "solver": 2,
    "metric": 2,
}


@dataclasses.dataclass
class Section:
    """What the page says of one family: files and changes by their path, and uses in order."""

    files: dict[str, str] = dataclasses.field(default_factory=dict)
    changes: dict[str, str] = dataclasses.field(default_factory=dict)
    uses: list[tuple[str, str]] = dataclasses.field(default_factory=list)


def sections(page):
    """The sections of the page that have code, by their title."""
    found = {}
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, text = part.partition("\n")
        section = Section()
        for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            path = re.match(r"# (\S+\.py)\n", code)
            if language == "diff":
                section.changes[path[1]] = code[path.end() :]
            elif path:
                section.files[path[1]] = code[path.end() :]
            else:
                section.uses.append((language, code))
        if section.files:
            found[title.lower()] = section
    return found


def changed(text, change):
    """A text after a change: parts, divided by lines "@@", of lines that begin with " ", - or +."""
    for part in change.split("@@\n"):
        lines = part.splitlines(keepends=True)
        assert all(line[0] in " -+" for line in lines), f"neither kept nor changed in:\n{part}"
        assert any(line[0] in "-+" for line in lines), f"no change in:\n{part}"
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        times = f"\n{text}".count(f"\n{before}")
        assert times == 1, f"found {times} times and not once:\n{before}"
        text = f"\n{text}".replace(f"\n{before}", f"\n{after}")[1:]
    return text


def extended(folder):
    """A copy of the package with every example of the page in it."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("score_sde", "configs"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignore)
    shutil.copy(ROOT / "main.py", folder)
    for section in sections(PAGE).values():
        for path, code in section.files.items():
            assert not (folder / path).exists(), f"{path} is there already"
            (folder / path).write_text(code)
        for path, change in section.changes.items():
            (folder / path).write_text(changed((folder / path).read_text(), change))
    return folder


def test_the_examples_of_the_page_work(tmp_path, compilation_cache):
    """Each is used as the page says, through main.py, and agrees with closed forms: `USED`."""
    folder = extended(tmp_path)
    own = {"PYTHONPATH": str(folder), "SCORE_SDE_CACHE": str(folder / "cache")}
    result = subprocess.run(
        [sys.executable, __file__, str(folder)],
        cwd=folder,
        env=environment(**own),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    assert result.stdout.splitlines()[-1] == f"used: {', '.join(LIMITS)}"


def test_the_examples_touch_as_few_files_as_the_page_says():
    """The last table names the files of each section, at most as many as a newcomer may touch."""
    found = sections(PAGE)
    assert list(found) == list(LIMITS)
    table = PAGE.rpartition("\n## ")[2]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]
    rows = {row[0]: row[1:] for row in rows if len(row) == 4}
    for name, section in found.items():
        file, changes, files = rows[name]
        assert [path.strip("`") for path in file.split()] == list(section.files)
        assert [path.strip("`") for path in changes.split()] == list(section.changes)
        assert int(files) == len(section.files) + len(section.changes) <= LIMITS[name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (" c\n+d\n", "found 0 times"),
        (" a\n+d\n", "found 2 times"),
        (" b\n", "no change"),
        ("b\n+d\n", "neither kept nor changed"),
    ],
)
def test_a_change_that_does_not_fit_fails(change, message):
    """A line that is not there once, whole, is not taken for another."""
    assert changed("a\nab\na\nb\n", " ab\n+d\n@@\n-b\n+c\n") == "a\nab\nd\na\nc\n"
    with pytest.raises(AssertionError, match=message):
        changed("a\nab\na\nb\n", change)


# What follows runs in the copy.

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


def trained(run):
    """The config.json of a run whose two steps are done, with a finite loss."""
    folder = Path("runs") / run
    (row,) = metrics(folder)
    assert int(row["step"]) == 2
    assert np.isfinite(float(row["loss"]))
    assert (folder / "checkpoints" / "2").is_dir()
    return json.loads((folder / "config.json").read_text())


def used_data_set(names):
    """Less the sum of its arrows, each vector is noise; both splits are what they were."""
    from configs import arrows
    from score_sde import data

    train, test = (data.load("arrows", split) for split in ("train", "test"))
    assert (len(train), len(test), train.info["mask"].kind) == (5000, 500, "mask")
    examples = train.gather(np.arange(5000))
    noise = (examples["vector"] - examples["mask"] @ arrows.ARROWS) / arrows.NOISE
    # Within 5 standard errors, of a mean, a variance and a share of 10,000 and 15,000 draws.
    assert abs(noise.mean()) < 5 / 100
    assert abs(noise.var() - 1) < 5 * np.sqrt(2) / 100
    assert abs(examples["mask"].mean() - 0.5) < 5 * 0.5 / np.sqrt(15_000)
    again = data.load("arrows", "train").gather(np.arange(500))
    assert np.array_equal(again["vector"], examples["vector"][:500])
    assert not np.isin(test.gather(np.arange(500))["vector"], examples["vector"]).any()
    assert trained("arrows")["data"]["name"] == "arrows"


def used_space(names):
    """encode whitens, decode inverts it, and log_volume is the Jacobian's, all in a run too."""
    from score_sde import data
    from score_sde.spaces import SPACES

    source = data.load("arrows", "train")
    examples = source.gather(np.arange(len(source)))["vector"].astype(np.float64)
    with jax.enable_x64(True):
        space = SPACES["whitened"].of(source.info["vector"])
        space = space.with_arrays(trained("whitened")["run"]["space"])
        x = space.encode(jnp.asarray(examples))
        # Mean and L are kept in float32.
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(np.cov(x, rowvar=False), np.eye(2), atol=1e-5)
        np.testing.assert_allclose(space.decode(x), examples, atol=1e-12)
        jacobian = jax.jacobian(lambda one: space.encode(one[None])[0])(examples[0])
        sign, log_volume = np.linalg.slogdet(jacobian)
        assert sign == 1
        np.testing.assert_allclose(space.log_volume(examples[:1]), [log_volume], rtol=1e-6)
        assert abs(log_volume) > 0.1
    space.save(Path("saved"), ["one"], examples[:1])
    np.testing.assert_allclose(np.loadtxt("saved/one.txt"), examples[0], rtol=1e-8)


def used_condition(names):
    """The embedding is a sum over what the mask has; its null is what dropout and None give."""
    from score_sde.fields import Field
    from score_sde.models.conditions import CONDITIONS

    conditions = trained("masked")["conditions"]
    assert (conditions["fields"], conditions["mask"]) == (["mask"], {"dropout": 0.1})
    assert np.load("runs/masked/samples.npz")["mask"].tolist() == [[True, False, True]] * 8

    field = Field("mask", "mask", (3,), "bool")
    make = CONDITIONS["mask"](dropout=0.5).embedding
    with jax.enable_x64(True):
        module = make(field, 8, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
        module.null[...] = jnp.full(8, 5.0)
        e = module(jnp.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]], bool), 4, None)
        np.testing.assert_allclose(e[3] + e[0], e[1] + e[2], rtol=1e-14, atol=1e-14)
        assert not np.allclose(e[1], e[2])
        np.testing.assert_array_equal(module(None, 2, None), np.full((2, 8), 5.0))
        dropped = module(jnp.ones((1000, 3), bool), 1000, jax.random.key(0)) == 5
        assert (dropped.all(1) == dropped.any(1)).all()
        assert abs(dropped.mean() - 0.5) < 5 * 0.5 / np.sqrt(1000)  # 5 standard errors


def used_network(names):
    """It is affine in x coordinate by coordinate, and told the noise level and conditions."""
    from score_sde.fields import label
    from score_sde.models import NETWORKS
    from score_sde.models.conditions import CONDITIONS

    assert trained("affine")["model"]["name"] == "affine"
    with jax.enable_x64(True):
        network = NETWORKS["affine"](
            shape=(3,),
            channels=16,
            conditions={
                "label": lambda *args, **rest: CONDITIONS["label"]().embedding(
                    label(2), *args, **rest
                )
            },
            param_dtype=jnp.float64,
            rngs=nnx.Rngs(0),
        )

        @jax.jit
        def at(x, level, k):
            """The output, [3], and its Jacobian, [3, 3], at one state."""

            def output(x):
                return network(x[None], jnp.full(1, level), {"label": jnp.full(1, k)})[0]

            return output(x), jax.jacobian(output)(x)

        x = np.array([0.5, -1.0, 2.0])
        (value, slope), (bias, _) = at(x, 500.0, 0), at(0 * x, 500.0, 0)
        assert np.array_equal(slope, np.diag(np.diag(slope)))
        assert (np.diag(slope) != 0).all()
        np.testing.assert_allclose(value, bias + slope @ x, rtol=1e-12)
        for other in ((100.0, 0), (500.0, 1)):
            assert not np.allclose(at(x, *other)[1], slope)


def used_process(names):
    """f, g^2, log SNR and its inverse follow from alpha and sigma, whose squares add up to 1."""
    sde = names["sde"]
    config = trained("linear_log_snr")["sde"]
    assert (config["name"], config["log_snr_max"]) == ("linear_log_snr", sde.log_snr_max)
    with jax.enable_x64(True):
        t, h = np.linspace(sde.t_min, sde.t_max, 20)[1:-1], 1e-5

        def rate(function):
            return (function(t + h) - function(t - h)) / (2 * h)  # its error: h^2 = 1e-10

        f, sigma2 = rate(lambda t: np.log(sde.alpha(t))), sde.sigma(t) ** 2
        np.testing.assert_allclose(sde.alpha(t) ** 2 + sigma2, 1, rtol=1e-14)
        np.testing.assert_allclose(sde.f(t), f, rtol=1e-6)
        g2 = rate(lambda t: sde.sigma(t) ** 2) - 2 * f * sigma2
        np.testing.assert_allclose(sde.g2(t), g2, rtol=1e-6)
        np.testing.assert_allclose(sde.log_snr(t), np.log(sde.alpha(t) ** 2 / sigma2), atol=1e-12)
        np.testing.assert_allclose(sde.time_at_log_snr(sde.log_snr(t)), t, rtol=1e-12)
        np.testing.assert_allclose(sde.alpha(jnp.asarray(t)), sde.alpha(t), rtol=1e-14)
    np.testing.assert_allclose(sde.log_snr(np.array([0.0, 1.0])), [10, -5])


def used_objective(names):
    """Of a known error it is known, the exact denoiser is its minimum, and wide it is a square."""
    import score_sde
    from score_sde import analytic
    from score_sde.objectives import OBJECTIVES, Denoising
    from score_sde.prediction import Prediction

    config = trained("pseudo_huber")["objective"]
    assert (config["name"], config["pseudo_huber"]) == ("pseudo_huber", {"width": 0.05})
    pseudo_huber, sde, key = OBJECTIVES["pseudo_huber"], score_sde.VP(), jax.random.key(0)

    def loss(objective, std, error, x0):
        """Of the exact denoiser of N(1, std^2), but for an error of its eps."""
        exact = analytic.gaussian(sde, jnp.ones(2), std)

        def denoise(x, t, cond):
            return Prediction(None, exact(x, t).eps + error)

        return objective(key, denoise, sde, x0)

    @jax.jit
    def found(x0, error):
        """Losses and the mean gradient, in standard errors, where eps is off by an error."""

        def total(errors):
            return loss(pseudo_huber(), 0.5, errors, x0).sum()

        gradient = jax.grad(total)(jnp.full(x0.shape, error))
        return (
            loss(pseudo_huber(width=0.1), 0.0, error, jnp.ones_like(x0)),
            gradient.mean(0) / (gradient.std(0) / np.sqrt(len(x0))),
            loss(pseudo_huber(width=1e4), 0.5, error, x0),
            loss(Denoising(), 0.5, error, x0),
        )

    with jax.enable_x64(True):
        x0 = 1 + 0.5 * np.random.default_rng(0).standard_normal((10_000, 2))
        for error in (0.0, 0.1):
            known, slope, wide, square = found(x0, error)
            c = 0.1 * np.sqrt(2)
            np.testing.assert_allclose(known, np.sqrt(2 * error**2 + c**2) - c, atol=1e-12)
            # The exact denoiser of a Gaussian is the minimum: there the gradient is 0 within 4
            # standard errors, and only there.
            assert (abs(slope) < 4).all() if error == 0 else (slope > 4).all()
            # With a large c it is the squared error over 2 c, of the same draws.
            c = 1e4 * np.sqrt(2)
            np.testing.assert_allclose(wide * 2 * c, 2 * square, rtol=1e-6, atol=1e-6)


def used_solver(names):
    """It converges to the exact solution of the ODE, at order 4, with four evaluations a step."""
    import score_sde
    from score_sde import analytic, samplers

    out = names["out"]
    assert out.nfe == 4 * 19 + 1  # the last one is E[x_0 | x]
    # The mean and standard deviation of 1000 draws, within 5 standard errors.
    assert (abs(out.x.mean(0) - np.array([1.0, -1.0])) < 5 * 0.5 / np.sqrt(1000)).all()
    assert (abs(out.x.std(0) - 0.5) < 5 * 0.5 / np.sqrt(2000)).all()
    assert np.load("runs/arrows/samples.npz")["samples"].shape == (8, 2)

    sde = score_sde.VP(t_min=0.1)
    with jax.enable_x64(True):
        denoise = analytic.gaussian(sde, jnp.ones(2), 0.5)
        x = jnp.array([[0.3, -1.2]])
        t = np.array([sde.t_min, sde.t_max])
        std = np.sqrt((0.5 * sde.alpha(t)) ** 2 + sde.sigma(t) ** 2)
        exact = sde.alpha(t)[0] + std[0] / std[1] * (np.asarray(x) - sde.alpha(t)[1])

        def error(steps):
            sampler = samplers.get("rk4", steps=steps, denoise_final="none")
            draw = jax.jit(lambda x: sampler(jax.random.key(0), denoise, sde, x_init=x).x)
            return abs(draw(x) - exact).max()

        order = np.log2(error(32) / error(64))
    assert 3.8 < order < 4.2, order


def used_metric(names):
    """It is the sum over pairs, is known of two normal distributions, and is in evaluation.json."""
    from score_sde.evaluation.judgement import judge
    from score_sde.evaluation.metrics import METRICS
    from score_sde.evaluation.reference import Reference
    from score_sde.evaluation.samples import Drawn

    def measured(x, y):
        real = Reference(y.mean(0), np.cov(y, rowvar=False).reshape(2 * x.shape[1:]), features=y)
        entry = judge(Drawn(x), real, {"energy_distance": METRICS["energy_distance"]()})
        assert entry["energy_distance"]["standard_error"] is None
        return entry["energy_distance"]["value"]

    entry = json.loads(Path("runs/arrows/evaluation.json").read_text())["energy_distance"]
    assert np.isfinite(entry["value"])
    assert entry["nfe"] == 5

    x, y = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    pairs = itertools.product(x, y)
    across = sum(np.linalg.norm(a - b) for a, b in pairs) / 6
    within = 5, (1 + 5 + np.sqrt(18)) / 3
    np.testing.assert_allclose(measured(x, y), 2 * across - sum(within), rtol=1e-6)

    # Exact samples of N(1, 1) against N(0, 1): |X - Y| has the mean below, of N(1, 2). Its standard
    # error is from ten parts.
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((10, 200, 1)) + mean for mean in (1, 0))
    parts = np.array([measured(*pair) for pair in zip(x, y, strict=True)])
    across = 2 / np.sqrt(np.pi) * np.exp(-1 / 4) + 0.5204998778130465  # erf(1 / 2)
    exact = 2 * across - 4 / np.sqrt(np.pi)
    assert abs(parts.mean() - exact) < 4 * parts.std(ddof=1) / np.sqrt(10)
    assert exact > 4 * parts.std(ddof=1) / np.sqrt(10)


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
    main(Path(sys.argv[1]).resolve())
