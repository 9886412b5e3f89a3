"""The study of throughput: what a row says, how tables are kept, and what is refused."""

import csv
import importlib
import json
import math
import subprocess
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from program import ROOT

from experiments import throughput
from experiments.throughput import __main__ as program
from experiments.throughput import cases, children, clock, one, op_times, tables, training
from experiments.throughput.cases import Case
from experiments.throughput.compiling import compiled
from score_sde.training import memory, xla

pytestmark = pytest.mark.slow

RESULTS = ROOT / "experiments" / "throughput" / "results"


# Of a network that compiles in a second.
TINY = """
from score_sde.runs import recipes

def get_config():
    config = recipes.get("toy_moons")
    config.model.channels = 16
    config.model.depth = 1
    config.training.steps_per_call = 1
    config.sampling.sampler = "ddim"
    return config
"""
MACHINE = {"kind": "a processor", "devices": 1, "cores": 2}
AGAIN = (cases.SAMPLING,)  # works that are compiled again


@pytest.fixture
def in_this_process(monkeypatch):
    """Children are functions that are called."""

    def run(command, **_):
        told = json.loads(Path(command[3]).read_text())
        if told.get("only_compile") and told["work"] not in AGAIN:
            return types.SimpleNamespace(returncode=1, stderr="")
        module = importlib.import_module(command[2])
        return types.SimpleNamespace(returncode=module.main(command[2:]), stderr="")

    monkeypatch.setattr(children.subprocess, "run", run)
    product = jax.jit(jnp.matmul)(jnp.ones((8, 8)), jnp.ones((8, 8)))
    monkeypatch.setattr(clock, "product", lambda dtype: (product.block_until_ready, 1024.0))


@pytest.fixture
def measure(in_this_process, tmp_path):
    """Runs the program; its exit code and what it wrote."""
    recipe, results = tmp_path / "tiny.py", tmp_path / "results"
    recipe.write_text(TINY)

    def call(*flags):
        own = (f"--recipes={recipe}", "--dtypes=float32", "--seconds=0", "--devices=1")
        code = program.main(["throughput", *own, f"--results={results}", *flags])
        (path,) = results.glob("*.json")
        return code, json.loads(path.read_text())["rows"]

    return call


def test_rows(measure, tmp_path, capsys):
    """Rates are of seconds and counted operations; what is measured again is replaced."""
    code, rows = measure("--batches=4")
    assert code == 0
    assert [row["work"] for row in rows] == list(cases.WORKS)
    assert capsys.readouterr().out.count("tiny.py, float32, batch 4, 1 device: ") == len(rows)
    case = Case(cases.SAMPLING, str(tmp_path / "tiny.py"))
    shapes = cases.read(case).experiment.network.shapes[0]
    dense = 2 * sum(math.prod(array.shape) for array in shapes.values() if array.ndim == 2)
    for row in rows:
        assert "note" not in row, row
        assert row["images_per_s"] == pytest.approx(row["batch"] / row["seconds"])
        if row["work"] == cases.INPUT:
            continue
        rate = row["gflop_per_image"] * row["images_per_s"]
        assert row["gflops"] == pytest.approx(rate)
        assert row["share"] == pytest.approx(rate / row["matrix_gflops"])
        assert row["compile_s"] > 0
        assert ("warm_compile_s" in row) == (row["work"] in AGAIN)
        assert ("overhead" in row) == (row["work"] != cases.TRAINING)
        operations = 1e9 * row["gflop_per_image"]
        if row["work"] == cases.SAMPLING:
            assert operations == pytest.approx(dense)
        if row["work"] == cases.LIKELIHOOD:  # with the tangent of x, not of the time
            assert dense < operations < 2 * dense
        if row["work"] == cases.TRAINING:  # no gradient of what the network is shown
            assert 2 * dense < operations < 3 * dense
    _, again = measure("--batches=4,8", f"--works={cases.INPUT}")
    assert len(again) == len(rows) + 1
    assert again[: len(rows) - 1] == rows[:-1]
    assert [(row["work"], row["batch"]) for row in again[-2:]] == [(cases.INPUT, n) for n in (4, 8)]
    check_form(tmp_path / "results")


def check_form(folder):
    """The three files say the same."""
    for path in folder.glob("*.json"):
        found = json.loads(path.read_text())
        rows = tables.read(folder, path.stem)
        text = path.with_suffix(".md").read_text()
        assert text == tables.markdown(found["machine"], rows, found["command"])
        with path.with_suffix(".csv").open(newline="") as file:
            listed = list(csv.DictReader(file))
        assert [row["recipe"] for row in listed] == [row["recipe"] for row in rows]
        assert tuple(listed[0]) == tables.COLUMNS
        assert text.count("\n| ") == len(rows) + len({row["work"] for row in rows})


def test_the_committed_results_can_be_read():
    assert list(RESULTS.glob("*.json"))
    check_form(RESULTS)


def test_what_is_measured_is_compiled_as_training_compiles_it(monkeypatch):
    """With the flags of a step, of which there are none on a CPU but what is made up here."""
    told = {}
    monkeypatch.setattr(xla, "STEP", [xla.Flag("mine", 7, "cpu", "a test")])
    monkeypatch.setattr(training, "compiled", lambda *_, said: told.update(said))
    training.Training(cases.read(Case(cases.TRAINING, "toy_moons", batch=4))).compiled()
    assert told == {"mine": 7}


def test_what_does_not_fit_is_said(measure, monkeypatch):
    monkeypatch.setattr(memory, "of_devices", lambda: 1000)
    code, (row,) = measure("--works=sampling", "--batches=4")
    assert code == 0
    assert row["note"].startswith("does not fit: needs ")
    assert "seconds" not in row


def test_batches_double_until_one_does_not_fit(measure, monkeypatch):
    def row(case, limit, alone):
        found = {name: getattr(case, name) for name in tables.KEYS}
        return found | ({"note": "does not fit"} if case.batch > 2 else {})

    monkeypatch.setattr(children, "row", row)
    _, rows = measure("--works=training", "--batches=fit")
    assert [row["batch"] for row in rows] == [1, 2, 4]


def test_who_is_stopped_has_said_what_was_known(monkeypatch):
    def run(command, **_):
        Path(command[4]).write_text('{"seconds": 1.0}')
        raise subprocess.TimeoutExpired(command, 7)

    monkeypatch.setattr(children.subprocess, "run", run)
    row = children.row(Case(cases.TRAINING, "toy_moons"), 7, alone=False)
    assert (row["seconds"], row["note"]) == (1.0, "not within 7 s")


def test_a_process_that_fails_is_a_note():
    case = Case(cases.INPUT, "toy_moons")
    assert children.row(case, 0.01, alone=False)["note"] == "not within 0.01 s"
    absent = Case(cases.INPUT, "no_recipe")
    assert children.row(absent, 600, alone=False)["note"].startswith("error: no config file")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--works=flying", "--works: 'flying' is none of training"),
        ("--dtypes=float16", "--dtypes: 'float16'"),
        ("--batches=0", "--batches=0: give numbers"),
        ("--recipes=digits_vq", "no config file"),
        ("--seconds=soon", "argument --seconds"),
        ("--seconds=-1", "argument --seconds: -1 is not from 0 to 1,000,000"),
        ("--limit=nan", "argument --limit: nan is not from 0"),
        ("--limit=1e300", "argument --limit: 1e300 is not from 0"),
    ],
)
def test_bad_input_is_one_line(flag, message, capsys):
    assert program.main(["throughput", flag]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("flag", ["--works=sampling", "--devices=all", "--peer", "--batches=fit"])
def test_a_profile_of_what_it_is_not_of_is_refused(flag, capsys):
    assert program.main(["throughput", "--recipes=toy_moons", "--profile", flag]) == 2
    name, error = flag.partition("=")[0], capsys.readouterr().err
    assert error.startswith("error: --profile ")
    assert name in error
    assert error.count("\n") == 1


def test_a_profile_is_of_each_dtype_and_batch_that_is_asked(monkeypatch, capsys):
    monkeypatch.setattr(children, "profile", lambda case, limit: f"{case.dtype} {case.batch}")
    monkeypatch.setattr(children, "machine", lambda limit: MACHINE)
    flags = ("--recipes=toy_moons", "--profile", "--works=training", "--devices=1")
    assert program.main(["throughput", *flags, "--dtypes=bfloat16,float32", "--batches=4,8"]) == 0
    assert program.main(["throughput", *flags]) == 0
    found = capsys.readouterr().out.splitlines()
    several = [f"{dtype} {batch}" for dtype in ("bfloat16", "float32") for batch in (4, 8)]
    assert found == ["a processor: 1 device, 2 cores", *several, found[0], "float32 1"]


@pytest.mark.parametrize("words", [["--results=/a"], ["--results", "/a"], []])
def test_a_table_says_the_command_without_where_it_went(words):
    command = program._command(["--peer", *words, "--works=input"])
    assert command == "python -m experiments.throughput --peer --works=input"


def test_other_files_are_not_overwritten(measure, tmp_path, capsys):
    measure("--works=input", "--batches=4")
    (path,) = tmp_path.glob("results/*.json")
    path.write_text('{"rows": [{"mine": 1}]}')
    code, rows = measure("--works=input", "--batches=4")
    assert "move it away" in capsys.readouterr().err
    assert (code, rows) == (2, [{"mine": 1}])


def test_ratios_are_of_times_that_were_measured_in_turn(monkeypatch):
    """Ours in 6 s, what it is made of in 5, a product in 2, PyTorch in 9."""
    times = {"ours": 6.0, "single": 5.0, "product": 2.0, "theirs": 9.0}
    in_turn = lambda calls, _: {name: np.array([times[name]] * 3) for name in calls}  # noqa: E731
    monkeypatch.setattr(clock, "in_turn", in_turn)
    monkeypatch.setattr(clock, "product", lambda dtype: (lambda: None, 1024.0))
    theirs = lambda subject, parts: {"eager": lambda: None}  # noqa: E731
    peer = types.SimpleNamespace(evaluations=theirs, steps=theirs, NoPeer=ValueError)
    monkeypatch.setattr(throughput, "peer", peer, raising=False)
    case = Case(cases.SAMPLING, "toy_moons", batch=8, peer=True)
    row = {}
    for found in one._timed(case, dict.fromkeys(("ours", "single"), lambda: None), 100.0, 4):
        row |= found
    assert (row["seconds"], row["overhead"]) == (6 / 4, 6 / 5)
    assert row["share"] == pytest.approx((100 / 6) / (1024 / 2))
    assert (row["eager_ratio"], row["eager_seconds"]) == (9 / 6, 9 / 4)


def test_calls_are_timed_in_turn():
    order = []
    found = clock.in_turn({name: lambda n=name: order.append(n) for name in "ab"}, 0)
    assert order == ["a", "b"] * (1 + clock.ROUNDS)
    assert {name: len(times) for name, times in found.items()} == {"a": 3, "b": 3}


def test_operations_have_a_kind_and_a_pass(tmp_path):
    """Of a layer: its products are where they belong, and the profiler names what is in the HLO."""

    def step(kernel, x):
        value, gradient = jax.value_and_grad(lambda k: jnp.tanh(x @ k).sum())(kernel)
        return value, kernel - gradient

    step = compiled(jax.jit(step), jnp.ones((64, 64)), jnp.ones((64, 64))).call
    of = op_times.kinds(step.as_text())
    passes = sorted(when for kind, when in of.values() if kind == "matrix product")
    assert passes == ["backward", "forward"]
    times = op_times.recorded(
        lambda: jax.block_until_ready(step(*[jnp.ones((64, 64))] * 2)), tmp_path
    )
    assert {name for name in times if of.get(name, [""])[0] == "matrix product"}
    table = op_times.table({"a": 3.0, "b": 1.0}, dict.fromkeys("ab", ("reduction", "update")), "of")
    assert table.splitlines()[-1] == "| reduction | 0.0 | 0.0 | 4.0 | 4.0 | 100.0% |"


@pytest.mark.parametrize("recipe", ["digits_vp", "cifar_edm", "cifar_dit"])
def test_the_peer_has_as_many_parameters(recipe):
    pytest.importorskip("torch")
    from experiments.throughput import peer

    small = {"model.depth": 1} if recipe == "cifar_dit" else {"model.num_res_blocks": 1}
    subject = cases.read(Case(cases.TRAINING, recipe, batch=2, changes=small))
    assert sum(array.numel() for array in peer.network(subject).parameters()) == (
        subject.experiment.parameters
    )
    for call in (peer.steps(subject, 1), peer.evaluations(subject, 1)):
        call["eager"]()


def test_the_matrix_rate_counts_every_product_of_a_turn(monkeypatch):
    call, operations = clock.product("float32")
    waited = []
    monkeypatch.setattr(clock.jax, "block_until_ready", waited.append)
    call()
    side = waited[0].shape[-1]
    assert operations == len(waited) * 2 * jax.device_count() * side**3
