"""A new run that starts from another's weights: what is taken, what is not, and what is refused."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from made_info import image_info
from program import called
from untrained import untrained_run

import score_sde
from score_sde import fields, records
from score_sde.data import Info
from score_sde.errors import UserError
from score_sde.models.functional import Functional
from score_sde.runs import begun, build, init_from
from score_sde.runs import config as configs
from score_sde.runs.init_from import Request
from score_sde.training.state import Weights, init_state

pytestmark = pytest.mark.usefixtures("quick_compile")

TINY = {
    "model.channels": 4,
    "model.channel_mult": (1,),
    "model.num_res_blocks": 1,
    "model.attn_resolutions": (),
    "model.embedding": "fourier",  # whose frequencies are drawn, and not trained
    "model.noise_label": "sigma",
    "conditions.fields": ("label",),
    "training.ema_decays": (0.99, 0.9),
}
TABLE = "conditions/label/table"


def experiment(classes=10, **more):
    config = configs.default()
    for path, value in {**TINY, **more}.items():
        configs.set_field(config, path, value)
    return build.experiment(config, image_info("folder", "train", 9, (8, 8, 1), classes, 17))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A run at step 0 with random arrays, told one of ten classes."""
    workdir = tmp_path_factory.mktemp("source") / "run"
    return untrained_run(workdir, configs.default(), **TINY)


@pytest.mark.parametrize("weights", ["ema", "0.9", "raw"])
def test_what_fits_is_taken_and_another_number_of_classes_begins_anew(source, tmp_path, weights):
    new = experiment(classes=5)
    start = init_from.start(tmp_path / "new", Request(str(source), weights), new, again=False)
    theirs = score_sde.load(source, weights=weights)
    assert start.weights.params.keys() == theirs.params.keys() - {TABLE}
    assert (
        start.weights.constants.keys() == theirs.constants.keys() == {"noise_embedding/frequencies"}
    )
    for ours, other in zip(start.weights, (theirs.params, theirs.constants), strict=True):
        for path, array in ours.items():
            np.testing.assert_array_equal(array, other[path])
    table = f"{TABLE} ([11, 16] there, [6, 16] here)"
    number = len(theirs.params)  # but one, and the frequencies
    assert start.record == {
        "run": str(source),
        "step": 0,
        "weights": theirs.weights,
        "weights_sha256": start.record["weights_sha256"],
        "arrays": number,
        "not_taken": [table],
    }
    share = 1 - 6 * 16 / new.parameters
    assert start.lines == (
        f"starting from {source} at step 0 ({theirs.weights} weights): {number} of {number + 1} "
        f"arrays, {share:.1%} of the parameters",
        f"not taken: {table}",
    )


def test_what_is_not_taken_is_counted_and_all_of_it_recorded(source, tmp_path):
    """A network of another width, whose process and output mean something else, too."""
    new = experiment(**{"model.channels": 8, "sde.name": "subvp", "model.parametrization": "v"})
    start = init_from.start(tmp_path, Request(str(source)), new, again=False)
    missed = start.record["not_taken"]
    assert "conv_in/kernel ([3, 3, 1, 4] there, [3, 3, 1, 8] here)" in missed
    assert len(missed) == sum(map(len, new.network.shapes)) - start.record["arrays"]
    assert [line.partition(" ")[0] for line in start.lines] == ["starting", *["not"] * 4, "note:"]
    assert start.lines[4] == f"not taken: {len(missed) - 3} more, which config.json lists"
    for name in (
        "model.channels was 4 and is 8",
        "sde.name was vp and is subvp",
        "parametrization",
    ):
        assert name in start.lines[5]


def test_a_state_starts_from_weights_and_draws_the_others():
    """Parameters and each moving average alike; the optimiser and the step are at zero."""

    def draw(key):
        return {"a": jax.random.normal(key, (2,)), "b": jnp.ones(3)}, {"c": jnp.zeros(1)}

    start = Weights({"b": np.arange(3, dtype=np.float32)}, {"c": np.full(1, 7, np.float32)})
    network, key = Functional(draw, None, None), jax.random.key(3)
    state = init_state(key, network, optax.adam(1e-3), ("0.9", "0.99"), start)
    for params in (state.params, *state.ema.values()):
        np.testing.assert_array_equal(params["a"], draw(key)[0]["a"])
        np.testing.assert_array_equal(params["b"], [0, 1, 2])
    np.testing.assert_array_equal(state.constants["c"], [7])
    assert state.step == 0
    assert all(not leaf.any() for leaf in jax.tree.leaves(state.optimizer))


@pytest.mark.parametrize(
    ("path", "more", "message"),
    [
        ("none", {}, "no run in .*/none: it has no config.json"),
        ("run/checkpoints/7", {}, "no checkpoint 7 in .*; it has 0"),
        ("run", {"weights": "0.5"}, "weights='0.5': choose from ema, raw, 0.99, 0.9"),
        ("run/checkpoints/7", {"step": 0}, "is of step 7: leave out --step"),
        ("run/config.json", {}, "config.json is a file: give a run's folder"),
    ],
)
def test_weights_that_are_not_there_are_one_line(source, tmp_path, path, more, message):
    def start():
        asked = Request(str(source.parent / path), **more)
        init_from.start(tmp_path / "new", asked, experiment(), again=False)

    with pytest.raises(UserError, match=message) as caught:
        start()
    assert "\n" not in str(caught.value)


def test_who_is_to_start_from_weights_and_has_none_is_told(tmp_path):
    consistency = {
        "objective.name": "ect",
        "model.parametrization": "edm",
        "sde.name": "edm",
        "sampling.sampler": "jump",
    }
    (line,) = init_from.start(tmp_path, None, experiment(**consistency), again=False).lines
    assert "ect is made to start from the weights of a denoiser: without --init_from=RUN" in line
    assert init_from.start(tmp_path, None, experiment(), again=False).lines == ()


def test_a_folder_has_to_be_named():
    """An empty shell variable is no wish to begin from nothing."""
    with pytest.raises(UserError, match="--init_from names no run: give its folder"):
        Request("")


def test_weights_of_another_network_or_of_which_nothing_fits_are_refused(source, tmp_path):
    mlp = untrained_run(
        tmp_path / "mlp", configs.default("mlp"), **{"space.name": "vectors", "data.name": "moons"}
    )
    with pytest.raises(UserError, match=r"mlp is of the network mlp, and config\.model\.name=unet"):
        init_from.read(Request(str(mlp)), experiment())
    wide = configs.default("mlp")
    wide.space.name, wide.model.channels = "vectors", 16
    new = build.experiment(wide, Info("points", "train", 9, (fields.vector(3),)))
    with pytest.raises(UserError, match=r"nothing of .*mlp fits: none of its"):
        init_from.read(Request(str(mlp)), new)
    with pytest.raises(UserError, match="is the run itself: give another --workdir"):
        init_from.start(source.parent / "empty", Request(str(source.parent / "empty")), new, False)


def test_a_run_that_has_a_checkpoint_goes_on_and_reads_no_other(source, tmp_path):
    """It has to be the one that it was begun from, if it is named; and it need not be there."""
    workdir, new = tmp_path / "run", experiment()
    shutil.copytree(source, workdir)
    with pytest.raises(UserError, match="run was begun from no other run: leave out --init_from"):
        init_from.start(workdir, Request("gone"), new, again=False)
    record = {"run": str((tmp_path / "gone").resolve()), "step": 9, "weights": "ema 0.99"}
    begun.begin(workdir, new.config, new, record)
    given = [
        Request(str(tmp_path / "gone"), w, step) for w in ("ema", "0.99") for step in (None, 9)
    ]
    for asked in (None, *given):
        start = init_from.start(workdir, asked, new, again=True)
        assert start.record == record
        assert start.weights == ({}, {})
    for asked in (Request("other"), Request(record["run"], "raw"), Request(record["run"], step=8)):
        with pytest.raises(UserError, match=r"was begun from .*/gone: leave out --init_from"):
            init_from.start(workdir, asked, new, again=True)


def test_a_run_without_a_checkpoint_starts_from_what_it_was_begun_from(source, tmp_path):
    """Where its folder says all; a recipe says all itself, so that without the flag it is none."""
    workdir, new = tmp_path / "run", experiment()
    first = init_from.start(workdir, Request(str(source), "raw"), new, again=False)
    begun.begin(workdir, new.config, new, first.record)
    again = init_from.start(workdir, None, new, again=True)
    assert again.record == first.record
    jax.tree.map(np.testing.assert_array_equal, again.weights, first.weights)
    assert init_from.start(workdir, None, new, again=False) == init_from.Start()


@pytest.mark.parametrize("damaged", [3, [], {"run": 1, "step": 2, "weights": "raw"}, {"run": "a"}])
def test_a_record_that_is_damaged_is_one_line(tmp_path, damaged):
    new = experiment()
    begun.begin(tmp_path, new.config, new)
    values = json.loads((tmp_path / "config.json").read_text())
    values["run"]["init_from"] = damaged
    (tmp_path / "config.json").write_text(json.dumps(records.sealed(values, inside="run")))
    with pytest.raises(UserError, match=r"config\.json is not a run's config: see its run\.init_f"):
        init_from.start(tmp_path, None, new, again=True)


@pytest.mark.slow
def test_the_program_starts_there_and_goes_on_when_that_run_is_gone(finished, small, tmp_path):
    """Two steps of Adam from the moving average: the first at rate 0, the second at 1e-3 / 4."""
    other, workdir = tmp_path / "other", tmp_path / "new"
    shutil.copytree(finished[0], other)
    arguments = (*small, f"--workdir={workdir}", f"--init_from={other}/checkpoints/8")
    result = called(*arguments, "--config.training.steps=2")
    assert result.returncode == 0, result.stderr
    assert f"starting from {other} at step 8 (ema 0.995 weights): " in result.stdout
    assert json.loads((workdir / "config.json").read_text())["run"]["init_from"]["step"] == 8
    before, after = score_sde.load(other, step=8), score_sde.load(workdir, weights="raw")
    moved = max(float(abs(after.params[k] - before.params[k]).max()) for k in before.params)
    assert 2.4e-4 < moved < 2.1 * 2.5e-4
    shutil.rmtree(other)
    result = called(*arguments, "--config.training.steps=4")
    assert result.returncode == 0, result.stderr
    assert "going on from step 2" in result.stdout
    assert "starting from" not in result.stdout
    record = json.loads((workdir / "config.json").read_text())["run"]["init_from"]
    assert (record["run"], record["step"]) == (str(other), 8)
