"""The containers of ../shared/golden/checkpoints: read bit for bit, or refused and not run."""

import pickle
import time
import tracemalloc

import numpy as np
import pytest

from score_sde.formats import namespace_yaml, persistent, torch_file

READERS = {
    ".pkl": persistent.load,
    ".pt": torch_file.load,
    ".pth": torch_file.load,
    ".yml": namespace_yaml.load,
}


@pytest.fixture
def folder(shared, tmp_path, monkeypatch):
    """Where the files are; what one writes, were it run, would lie in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    yield shared / "golden" / "checkpoints"
    assert list(tmp_path.iterdir()) == []


def check_equal(ours, golden, name=lambda key: f"state/{key}", rounded=None):
    """Two states of the same names and numbers; `rounded`: after this dtype."""
    assert {name(key) for key in ours} == {key for key in golden if key.startswith(name(""))}
    for key, array in ours.items():
        reference = golden[name(key)]
        assert array.dtype == (rounded or reference.dtype)
        np.testing.assert_array_equal(array, reference.astype(array.dtype), err_msg=key)


@pytest.mark.parametrize(
    ("file", "golden"),
    [
        ("edm_ddpmpp", "edm_ddpmpp"),
        ("edm_ncsnpp_cond", "edm_ncsnpp_cond"),
        ("edm_adm_cond", "edm_adm_cond"),
        ("edm_vp_precond", "checkpoints/edm_vp_precond"),
        ("edm_vp_precond_torch2", "checkpoints/edm_vp_precond"),
        ("edm_ve_precond", "checkpoints/edm_ve_precond"),
        ("edm_iddpm_precond", "checkpoints/edm_iddpm_precond"),
    ],
)
def test_edm(folder, file, golden):
    record = persistent.load(folder / f"{file}.pkl")["ema"]
    check_equal(persistent.state_dict(record), np.load(folder.parent / f"{golden}.npz"))


def test_edm2_in_half(folder):
    record = persistent.load(folder / "edm2_cond_fp16.pkl")["ema"]
    golden = np.load(folder.parent / "modern" / "edm2_cond.npz")
    check_equal(persistent.state_dict(record), golden, rounded=np.float16)


def test_edm2_reconstruction_of_the_authors(folder):
    """The sum of the snapshots, rounded; parameters only are in the golden sum."""
    record = persistent.load(folder / "edm2_phema_out-0000393-0.075.pkl")["ema"]
    golden = np.load(folder / "edm2_phema.npz")
    state, prefix = persistent.state_dict(record), "std0.075/state/"
    names = [key.removeprefix(prefix) for key in golden if key.startswith(prefix)]
    assert set(names) <= set(state)
    for name in names:
        np.testing.assert_array_equal(state[name], golden[prefix + name].astype(np.float16))


@pytest.mark.parametrize(
    ("file", "golden"),
    [("dit_p2", "modern/dit_p2"), ("adm_uncond_newattn", "modern/adm_uncond_newattn")],
)
def test_zip_files(folder, file, golden):
    check_equal(torch_file.load(folder / f"{file}.pt"), np.load(folder.parent / f"{golden}.npz"))


def test_every_file_is_read(folder):
    files = [path for path in folder.rglob("*") if path.suffix in READERS]
    files = [path for path in files if path.parent.name != "hostile"]
    assert len(files) == 30
    for path in files:
        assert READERS[path.suffix](path)


HOSTILE = {
    "config_apply.yml": r"os\.system",
    "dit_args_system.pt": r"posix\.system",
    "dit_huge_stride0.pt": "does not fit in its storage",
    "dit_negative_offset.pt": "do not fit",
    "dit_oob_offset.pt": "does not fit in its storage",
    "dit_oob_size.pt": "does not fit in its storage",
    "dit_posix_system.pt": r"posix\.system",
    "dit_short_record.pt": "too short",
    "dit_truncated.pt": "not a PyTorch file",
    "edm_builtins_eval.pkl": r"builtins\.eval",
    "edm_dotted_global.pkl": r"torch\.serialization\.os\.system",
    "edm_nested_legacy.pkl": r"posix\.system",
    "edm_nested_storage.pkl": r"posix\.system",
    "edm_os_system.pkl": r"os\.system",
    "edm_posix_system.pkl": r"posix\.system",
    "ncsn_optimizer_system.pth": r"posix\.system",
}


def test_every_hostile_file_is_known(folder):
    assert {path.name for path in (folder / "hostile").iterdir()} == set(HOSTILE)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_soon_and_in_little_memory(folder, name):
    path = folder / "hostile" / name
    begin = time.monotonic()
    tracemalloc.start()
    with pytest.raises((ValueError, pickle.UnpicklingError), match=HOSTILE[name]):
        READERS[path.suffix](path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22
    assert time.monotonic() - begin < 5
