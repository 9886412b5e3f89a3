"""Checkpoints: what goes in comes out, the right ones are kept, and a wrong one is an error."""

import logging
import os
import random
import re
import resource
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from score_sde.training import checkpoint_folder, failures, record
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.failures import CheckpointError, DamagedError
from score_sde.training.state import TrainState
from score_sde.version import versions

pytestmark = pytest.mark.slow

# What compresses to a few bytes lies among those that Orbax has a checksum of; this does not.
NOISE = jnp.asarray(np.random.default_rng(0).standard_normal(400), jnp.float32)


def state_at(step):
    params = {
        "conv/kernel": jnp.full((2, 3), float(step)),
        "bias": jnp.arange(3.0),
        "noise": NOISE + step,
    }
    return TrainState(
        jnp.asarray(step, jnp.int32),
        params,
        {"frequencies": jnp.ones(4)},
        optax.adam(1e-3).init(params),
        {"0.999": jax.tree.map(lambda a: a + 1, params), "0.9": params},
    )


def shape(*sizes, dtype=jnp.float32):
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.ShapeDtypeStruct(sizes, dtype, sharding=here)


def shapes():
    return jax.tree.map(lambda a: shape(*a.shape, dtype=a.dtype), state_at(0))


def test_round_trip(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(state_at(7), {"next_index": 7}, {"seed": 1})
    checkpoints.close()
    state, data = Checkpoints(tmp_path / "c").restore(shapes())
    jax.tree.map(np.testing.assert_array_equal, state, state_at(7))
    assert data == {"next_index": 7}
    assert int(state.step) == 7


@pytest.mark.parametrize(("weights", "expected"), [("raw", 7.0), ("0.999", 8.0), ("0.9", 7.0)])
def test_weights_alone(tmp_path, weights, expected):
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(state_at(7), {}, {})
    checkpoints.wait()
    params, constants = checkpoints.restore_weights((shapes().params, shapes().constants), weights)
    np.testing.assert_array_equal(params["conv/kernel"], np.full((2, 3), expected))
    np.testing.assert_array_equal(constants["frequencies"], np.ones(4))


def test_an_average_is_read_without_the_parameters_themselves(tmp_path):
    """Unless these hold constants: then both are read, and what is gone is damage."""
    for name, constants in (("none", {}), ("some", state_at(7).constants)):
        checkpoints = Checkpoints(tmp_path / name)
        checkpoints.save(state_at(7)._replace(constants=constants), {}, {})
        checkpoints.wait()
        shutil.rmtree(tmp_path / name / "7" / "model")
        of = (shapes().params, {k: shapes().constants[k] for k in constants})
        if constants:
            with pytest.raises(DamagedError):
                checkpoints.restore_weights(of, "0.999")
        else:
            params, found = checkpoints.restore_weights(of, "0.999")
            np.testing.assert_array_equal(params["conv/kernel"], np.full((2, 3), 8.0))
            assert found == {}


def test_keeps_the_last_and_the_periodic_ones(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", keep_last=2, keep_every=10)
    for step in (10, 15, 20, 25, 30):
        checkpoints.save(state_at(step), {}, {})
        checkpoints.wait()
    checkpoints.close()
    assert sorted(int(p.name) for p in (tmp_path / "c").iterdir()) == [10, 20, 25, 30]
    due = {every: checkpoint_folder.latest_due(tmp_path / "c", every) for every in (20, 25, 40)}
    assert due == {20: 20, 25: 25, 40: 30}


def test_errors_name_what_is_there(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    assert checkpoints.latest_step() is None
    assert not (tmp_path / "c").exists()  # looking does not make it
    checkpoints.save(state_at(7), {}, {})
    checkpoints.wait()
    with pytest.raises(CheckpointError, match=r"no checkpoint 8 in .*; it has 7"):
        checkpoints.restore(shapes(), step=8)
    other = shapes()._replace(params={**shapes().params, "bias": shape(4)})
    with pytest.raises(CheckpointError, match=r"checkpoint 7 in .* does not fit this config"):
        checkpoints.restore(other)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run's folder with the checkpoints 7 and 9."""
    checkpoints = Checkpoints(tmp_path_factory.mktemp("run") / "checkpoints", keep_last=2)
    for step in (7, 9):
        checkpoints.save(state_at(step), {"next_index": step}, {})
    checkpoints.close()
    return checkpoints.folder.parent


@pytest.fixture
def two(saved, tmp_path):
    """The folder of these checkpoints, to be damaged."""
    return shutil.copytree(saved, tmp_path.resolve() / "run") / "checkpoints"


def test_a_flipped_bit_is_found_or_has_no_effect(two, capfd):
    """In every file of a checkpoint, at places of a fixed seed."""
    rng = random.Random(0)
    files = sorted(
        path for path in (two / "9").rglob("*") if path.stat().st_size and path.is_file()
    )
    kinds = {"model", "optimizer", "ema_0.9", "ema_0.999", "data", "config", "record"}
    assert kinds <= {path.relative_to(two / "9").parts[0] for path in files}
    found = {}
    for path in files:
        good = path.read_bytes()
        bad, bit = bytearray(good), rng.randrange(8 * len(good))
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        checkpoints = Checkpoints(two)
        try:
            state, data = checkpoints.restore(shapes())
            jax.tree.map(np.testing.assert_array_equal, state, state_at(9))
            assert data == {"next_index": 9}, path
        except DamagedError as error:
            found[path] = str(error)
        checkpoints.close()
        path.write_bytes(good)
    # Some of these reach the arrays, and Orbax notices nothing.
    assert any("'] is not what was written" in message for message in found.values())
    assert any(path.parts[-2] == "record" for path in found)
    for message in found.values():
        assert message.startswith(f"checkpoint 9 in {two} is damaged: ")
        assert message.endswith(". Take another with --step=7 (step=7 in Python), or move it away")
        assert "\n" not in message
    assert capfd.readouterr().err == ""  # what Orbax's threads raise is not printed as well


def change_an_array(folder):
    """Write other weights in place of those that were recorded, as no checksum of Orbax finds."""
    shutil.rmtree(folder / "model")
    shutil.copytree(folder.with_name("7") / "model", folder / "model")


def copy_another(folder):
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("7"), folder)


def truncate(folder):
    for path in (folder / "optimizer").rglob("d/*"):
        path.write_bytes(path.read_bytes()[:-20])


def alter_the_record(folder):
    (folder / "record" / "metadata").write_text("[]")


def make_a_pipe(name):
    def damage(folder):
        path = next(folder.glob(name))
        path.unlink()
        os.mkfifo(path)

    return damage


DAMAGES = {
    make_a_pipe("optimizer/**/d/*"): "its 9/optimizer/.* is no regular file",
    make_a_pipe("record/metadata"): "its 9/record/metadata is no regular file",
    change_an_array: r"model\['params'\]\['conv/kernel'\] is not what was written",
    copy_another: "it was written as checkpoint 7",
    truncate: "it cannot be read",
    lambda folder: shutil.rmtree(folder / "optimizer"): "it cannot be read",
    alter_the_record: "its record was altered",
    lambda folder: (folder / "record" / "metadata").write_text("{"): "it cannot be read",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_training_goes_on_from_the_checkpoint_before_a_damaged_one(two, capfd, damage):
    damage(two / "9")
    with pytest.raises(DamagedError, match=DAMAGES[damage]):
        Checkpoints(two).restore(shapes())
    checkpoints = Checkpoints(two, keep_last=2)
    state, data = checkpoints.resume(shapes())
    assert (int(state.step), data) == (7, {"next_index": 7})
    warning = capfd.readouterr().err
    assert warning.startswith(f"warning: checkpoint 9 in {two} is damaged: ")
    assert warning.endswith("It is now damaged-9, and the run goes on from checkpoint 7\n")
    checkpoints.save(state_at(9), {"next_index": 9}, {})  # its step can be written again
    checkpoints.close()
    assert sorted(path.name for path in two.iterdir()) == ["7", "9", "damaged-9"]
    assert int(Checkpoints(two).restore(shapes())[0].step) == 9


def test_what_orbax_would_wait_for_is_one_line(two):
    """It opens the metadata of all checkpoints, whichever is asked for."""
    make_a_pipe("_CHECKPOINT_METADATA")(two / "9")
    for step in (7, 9):
        with pytest.raises(CheckpointError, match=r"move checkpoint 9 away"):
            Checkpoints(two).restore(shapes(), step)


def test_without_a_sound_checkpoint_training_does_not_begin_again(two):
    for step in ("7", "9"):
        truncate(two / step)
    with pytest.raises(CheckpointError, match=r"every checkpoint in .* is damaged \(9: .*; 7: "):
        Checkpoints(two).resume(shapes())
    assert sorted(path.name for path in two.iterdir()) == ["7", "9"]


def test_folders_that_are_no_checkpoints_change_nothing(two):
    for name in ("12", "old", "7.orbax-checkpoint-tmp"):
        (two / name).mkdir()
    assert Checkpoints(two).latest_step() == 9
    checkpoints = Checkpoints(two, keep_last=2)
    assert int(checkpoints.resume(shapes())[0].step) == 9
    checkpoints.save(state_at(11), {}, {})  # Orbax would take 12 for the newest
    checkpoints.close()
    assert Checkpoints(two).latest_step() == 11
    assert (two / "9").exists()


def test_a_pipe_in_a_checkpoint_is_not_waited_for(two):
    """Orbax looks into all of them, whichever is read."""
    (two / "7" / "_CHECKPOINT_METADATA").unlink()
    os.mkfifo(two / "7" / "_CHECKPOINT_METADATA")
    with pytest.raises(CheckpointError, match=r"is no regular file: move checkpoint 7 away"):
        Checkpoints(two).restore(shapes(), step=9)


def test_a_link_to_itself_is_no_folder_of_checkpoints(tmp_path):
    (tmp_path / "c").symlink_to("c")
    checkpoints = Checkpoints(tmp_path / "c")
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* yet"):
        checkpoints.restore(shapes())
    with pytest.raises(CheckpointError, match="cannot be written to"):
        checkpoints.prepare()


def test_other_shapes_are_no_damage(two):
    other = shapes()._replace(constants={"frequencies": shape(5)})
    with pytest.raises(CheckpointError, match="does not fit this config") as caught:
        Checkpoints(two).resume(other)
    assert not isinstance(caught.value, DamagedError)
    assert (two / "9").exists()


def test_arrays_of_another_version_are_named_with_the_versions(tmp_path, monkeypatch):
    """As an optimiser whose state is another one; what is the same is not told."""
    before = versions()
    monkeypatch.setattr(record, "versions", lambda: {**before, "optax": "0.0.1"})
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(state_at(7), {}, {})
    checkpoints.wait()
    monkeypatch.undo()
    other = shapes()._replace(optimizer=optax.sgd(1e-3, momentum=0.9).init(shapes().params))
    said = (
        f"checkpoint 7 in {checkpoints.folder} does not fit this config: in its optimizer, it has "
        f"no [0].trace['bias']. It was written with optax 0.0.1, not {before['optax']}"
    )
    with pytest.raises(CheckpointError, match=f"^{re.escape(said)}$"):
        checkpoints.restore(jax.tree.map(lambda a: shape(*a.shape, dtype=a.dtype), other))


def test_a_checkpoint_from_before_there_were_records_is_taken_with_a_warning(two, capfd):
    shutil.rmtree(two / "9" / "record")
    state, _ = Checkpoints(two).restore(shapes())
    assert int(state.step) == 9
    assert capfd.readouterr().err.count("\n") == 1


def test_a_full_disk_is_one_line_that_names_the_last_good_checkpoint(two, capfd):
    """Here: files cannot grow beyond a few bytes, in whatever thread."""
    checkpoints = Checkpoints(two, keep_last=2)

    def save():
        checkpoints.save(state_at(11), {}, {})
        checkpoints.wait()

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50, limits[1]))
        with pytest.raises(CheckpointError) as caught:
            save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    checkpoints.close()  # says it once
    assert str(caught.value) == (
        f"checkpoint 11 cannot be written to {two}: File too large. Last good checkpoint: "
        f"{two / '9'}. The same command goes on from there"
    )
    assert capfd.readouterr().err == ""
    save()
    checkpoints.close()
    assert Checkpoints(two).latest_step() == 11


def test_answers_that_nobody_waits_for_are_not_printed(caplog):
    """Of TensorStore, whose errors come without a traceback when a disk is full; others are."""
    failures.silence_orbax()
    log = logging.getLogger("asyncio")
    for error in (ValueError("RESOURCE_EXHAUSTED: Error writing"), ValueError("theirs")):
        log.error("Future exception was never retrieved", exc_info=(ValueError, error, None))
    assert [str(entry.exc_info[1]) for entry in caplog.records] == ["theirs"]


def test_a_folder_that_is_gone_or_a_file_is_one_line(tmp_path, two):
    checkpoints = Checkpoints(two)
    checkpoints.prepare()
    shutil.rmtree(two)
    for refused in (checkpoints.check, lambda: checkpoints.save(state_at(11), {}, {})):
        with pytest.raises(CheckpointError, match=r"checkpoints is gone\. There is no good check"):
            refused()
        assert not two.exists()
    checkpoints = Checkpoints(two)
    shutil.rmtree(two.parent)
    with pytest.raises(CheckpointError, match=r"checkpoint 11 .* is gone\. There is no good check"):
        checkpoints.save(state_at(11), {}, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot be written to .*file: Not a directory"):
        Checkpoints(tmp_path / "file").prepare()


def sound(folder):
    pass


def alter_the_place(folder):
    (folder / "data" / "metadata").write_text('{"next_index": 8}')


# What is damaged for this process, what another one answers when they compare (it has a record; how
# reading that went, and the rest: 0 well, 1 damaged, 2 not on that machine), and what is said here.
COMPARED = [
    (sound, [True, 1], "it cannot be read (another process could not read it)"),
    (sound, [True, 0, 1], "it cannot be read (another process could not read it)"),
    (alter_the_record, [True, 0], "its record was altered"),
    (alter_the_place, [True, 0, 0], "the place in the data was altered"),
]


@pytest.fixture
def answer(monkeypatch):
    """As if the arrays were split over this process and another, which gives these answers."""
    answers = []
    monkeypatch.setattr("score_sde.training.reading._spans_processes", lambda items: True)
    monkeypatch.setattr(
        "score_sde.training.reading.multihost_utils.process_allgather",
        lambda mine: np.stack([mine, answers.pop(0)]),
    )
    return answers.extend


@pytest.mark.parametrize(("damage", "answers", "reason"), COMPARED)
def test_processes_take_the_same_checkpoint(two, answer, capfd, damage, answers, reason):
    """Else one reads another than the rest, and all wait for ever."""
    damage(two / "9")
    answer([*answers, True, 0, 0])
    state, _ = Checkpoints(two).resume(shapes())
    assert int(state.step) == 7
    assert f"checkpoint 9 in {two} is damaged: {reason}. " in capfd.readouterr().err


def test_no_process_passes_over_a_checkpoint_that_another_may_not_read(two, answer):
    answer([True, 2])
    with pytest.raises(CheckpointError, match=r"9 .* cannot be read: another process") as told:
        Checkpoints(two).resume(shapes())
    assert not isinstance(told.value, DamagedError)
