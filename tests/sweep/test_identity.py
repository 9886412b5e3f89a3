"""What makes two rows the same run: everything that their numbers depend on, and nothing else."""

import dataclasses
import json

import pytest
from program import ROOT

from score_sde.evaluation.metrics import METRICS
from score_sde.models import NETWORKS
from score_sde.runs import config as configs
from score_sde.runs.recipes import module as recipe
from score_sde.sweep import (
    DIGITS,
    EVALUATE,
    SAMPLE,
    TRAIN,
    Metric,
    Point,
    Program,
    Study,
    identity,
)
from score_sde.sweep import rows as sweep_rows
from score_sde.sweep.plan import plan
from score_sde.sweep.rows import rows
from score_sde.training.options import OptimOptions

pytestmark = pytest.mark.slow

VP = {"config": "configs/digits_vp.py"}
RK45 = {"sampling.sampler": "rk45"}
PC = {
    "sampling.sampler": "predictor_corrector",
    "sampling.predictor_corrector.corrector": "langevin",
    "sampling.predictor_corrector.snr": 0.2,
}
BITS = {"evaluation.metrics": ("bits_per_dim",)}
FID = {"evaluation.metrics": ("fid",)}


def row(changes=(), evaluate=(SAMPLE, DIGITS), train=(TRAIN,), own=()):
    study = Study(
        title="t",
        points=[Point({"point": "one"}, VP | dict(changes), train=own)],
        evaluate=evaluate,
        metrics=[Metric("m", "m")],
        train=train,
        seed_fields=(),
    )
    return rows(study, ROOT)[0]


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        ({}, {"sampling.predictor_corrector.corrector": "none"}),  # as in the recipe
        ({}, {"model.channels": 24}),
        ({}, {"sde.beta_max": 20.0}),  # the default of the process, spelt out
        (RK45, {"sampling.rk45.rtol": 1e-5}),  # of the sampler
        (RK45, {"sampling.predictor_corrector.predictor": "ancestral"}),  # it has none
        (PC | {"sampling.steps": 1000}, {"sampling.sampler": "PC1000", "sampling.steps": None}),
        ({}, {"data.dir": "/elsewhere"}),
        ({}, {"training.log_every": 10}),
        ({}, {"objective.mean_flow.power": 2.0}),  # of another objective
        ({}, {"space.autoencoded.scale": (2.0,)}),  # of another space
        ({}, {"sampling.batch_size": 50}),  # images have keys of their own
        ({}, {"evaluation.num_examples": 7}),  # SAMPLE and DIGITS do not evaluate
    ],
)
def test_the_same_run_in_other_words(base, changes):
    assert row(base).id == row(base | changes).id
    assert row(base).trained == row(base | changes).trained


@pytest.mark.parametrize(
    ("base", "changes"),
    [
        ({}, {"sampling.steps": 251}),
        ({}, {"sampling.seed": 1}),
        ({}, {"sampling.num_samples": 501}),
        (RK45, {"sampling.rk45.rtol": 1e-4}),
        (RK45, {"sampling.batch_size": 50}),  # one step size for the batch
        ({}, RK45),
    ],
)
def test_other_samples_are_another_row_of_the_same_training(base, changes):
    assert row(base).id != row(base | changes).id
    assert row(base).trained == row(base | changes).trained


@pytest.mark.parametrize(
    "changes",
    [
        {"model.channels": 32},
        {"sde.beta_max": 19.0},
        {"sde.name": "subvp"},
        {"optim.learning_rate": 1e-3},
        {"training.steps": 990},
        {"space.pixels.dequantize": True},
        {"seed": 1},
    ],
)
def test_another_training_makes_other_rows(changes):
    assert row().trained != row(changes).trained
    assert row().id != row(changes).id


def test_a_folder_of_images_is_another_for_another_path():
    images = {"data.name": "folder", "data.image_size": 32}
    one, other = (row(images | {"data.dir": path}) for path in ("/data/one", "/data/other"))
    assert one.trained != other.trained
    assert one.id != other.id
    assert one.settings["data.dir"] == "/data/one"


def test_networks_differ_even_where_both_have_only_defaults():
    found = [configs.default(name) for name in NETWORKS]
    ids = {identity.fingerprint(identity.of_training(config), config, [TRAIN]) for config in found}
    assert len(ids) == len(NETWORKS) > 1


def evaluated(changes):
    return row(changes, evaluate=[EVALUATE]).id


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluation.batch_size": 7},
        {"evaluation.samples.num_samples": 7},  # the section of metrics that are not asked for
        {"evaluation.variational_bound.steps": 7},
        {"sampling.steps": 7},  # draws nothing
    ],
)
def test_bits_per_dim_has_what_it_depends_on(changes):
    assert evaluated(BITS) == evaluated(BITS | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluation.bits_per_dim.repeats": 5},
        {"evaluation.num_examples": 7},
        {"evaluation.seed": 7},
        {"evaluation.metrics": ("bits_per_dim", "fid")},
    ],
)
def test_bits_per_dim_depends_on(changes):
    assert evaluated(BITS) != evaluated(BITS | changes)


def test_fid_depends_on_how_samples_are_drawn_and_not_on_bits_per_dim():
    assert evaluated(FID) == evaluated(FID | {"evaluation.bits_per_dim.repeats": 5})
    assert evaluated(FID) == evaluated(FID | {"sampling.num_samples": 7})
    assert evaluated(FID) == evaluated(FID | {"evaluation.samples.keep": "files"})
    for changes in (
        {"evaluation.samples.num_samples": 7},
        {"sampling.steps": 100},
        {"sampling.seed": 1},
    ):
        assert evaluated(FID) != evaluated(FID | changes), changes
    assert evaluated(FID) == evaluated(FID | {"evaluation.batch_size": 7})
    coupled = FID | RK45
    assert evaluated(coupled) != evaluated(coupled | {"evaluation.batch_size": 7})


@pytest.fixture
def fresh():
    """No recipe is kept that was read with other defaults, and no list of fields."""

    def clear():
        of_configs = (configs.schema, configs.entries, configs._reference, configs._defaults)
        for cached in (recipe, *of_configs, identity._of_network):
            cached.cache_clear()

    clear()
    yield clear
    clear()


def test_a_field_or_a_metric_that_is_new_changes_no_identity(fresh, monkeypatch):
    """One more field in sections that are used, and one more section beside them."""
    before = row(evaluate=[SAMPLE, EVALUATE])

    @dataclasses.dataclass(frozen=True)
    class More(METRICS["bits_per_dim"]):
        new: int = 3

    @dataclasses.dataclass(frozen=True)
    class MoreOptim(OptimOptions):
        new: int = 3

    monkeypatch.setitem(METRICS, "another", METRICS["bits_per_dim"])
    monkeypatch.setitem(METRICS, "bits_per_dim", More)
    for module in (configs, sweep_rows):
        monkeypatch.setattr(module, "OptimOptions", MoreOptim)
    fresh()
    after = row(evaluate=[SAMPLE, EVALUATE])
    assert after.config.optim.new == 3
    assert after.config.evaluation.bits_per_dim.new == 3
    assert "another" in after.config.evaluation
    assert (after.id, after.trained) == (before.id, before.trained)


def test_programs_are_part_of_what_they_make():
    base = row()
    other = Program(("{python}", "other.py", "{config}"))
    assert row(evaluate=[SAMPLE]).id != base.id
    assert row(evaluate=[SAMPLE]).trained == base.trained
    assert row(train=[other]).trained != base.trained
    assert row(train=[other]).id != base.id
    own = row(own=(other,))
    assert (own.trained, own.id) == (row(train=[other]).trained, row(train=[other]).id)
    assert own.train == (other,)


def test_a_program_that_is_told_no_config_depends_on_none_of_it():
    assert DIGITS.reads == ()
    assert Program(("{python}", "own.py", "{config}")).reads == ("sampling", "evaluation")


def test_identities_are_those_of_the_committed_results(monkeypatch):
    """Whoever changes how they are made has to rename the files that are named by them."""
    monkeypatch.chdir(ROOT)
    for folder in (path.parent for path in ROOT.glob("experiments/*/sweep.py")):
        known = plan(folder).evaluations if any(folder.glob("results/*.json")) else ()
        for path in (folder / "results").glob("*.json"):
            assert json.loads(path.read_text())["id"] == path.stem
            assert path.stem in known, f"{path} is of no row"


def test_a_default_that_has_changed_is_found():
    old = {"sampling.steps": 250, "model.gone": 1}
    assert identity.contradiction(old, {"sampling.steps": 250, "model.new": 2}) is None
    assert identity.contradiction(old, {"sampling.steps": 99}) == (
        "config.sampling.steps was 250 and is 99"
    )
