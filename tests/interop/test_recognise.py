"""Each released file is recognised from its path alone, and others are refused."""

import functools
import math
import pickle
import shutil

import numpy as np
import pytest
from pickled import Call, dumps, nested

from score_sde.formats import safetensors, torch_file, torch_writer
from score_sde.interop.recognise import FAMILIES, OURS, recognise

# A file is read once for all tests of it.
golden = functools.cache(recognise)


@pytest.fixture
def folder(shared):
    return shared / "golden" / "checkpoints"


KNOWN = {
    "adm_classifier_small.pt": "guided_diffusion_classifier",
    "adm_cond_fp16.pt": "guided_diffusion",
    "adm_uncond_newattn.pt": "guided_diffusion",
    "dit_p2.pt": "dit",
    "dit_train_ckpt.pt": "dit",
    "edm2_cond_fp16.pkl": "edm2",
    "edm2_phema_out-0000393-0.075.pkl": "edm2",
    "edm2_phema/network-snapshot-0000131-0.050.pkl": "edm2",
    "edm2_phema/network-snapshot-0000131-0.100.pkl": "edm2",
    "edm2_phema/network-snapshot-0000262-0.050.pkl": "edm2",
    "edm2_phema/network-snapshot-0000262-0.100.pkl": "edm2",
    "edm2_phema/network-snapshot-0000393-0.050.pkl": "edm2",
    "edm2_phema/network-snapshot-0000393-0.100.pkl": "edm2",
    "edm_adm_cond.pkl": "edm",
    "edm_ddpmpp.pkl": "edm",
    "edm_iddpm_precond.pkl": "edm",
    "edm_ncsnpp_cond.pkl": "edm",
    "edm_ve_precond.pkl": "edm",
    "edm_vp_precond.pkl": "edm",
    "edm_vp_precond_torch2.pkl": "edm",
    "improved_cond.pt": "improved_diffusion",
    "ncsn_cifar10.pth": "ncsn",
    "ncsn_mnist.pth": "ncsn",
    "ncsnv2_cifar10.pth": "ncsnv2",
    "ncsnv2_ffhq_deepest.pth": "ncsnv2",
    "ncsnv2_lsun_deeper.pth": "ncsnv2",
    "sit_train_ckpt.pt": "sit",
    "uvit_tiny.pth": "uvit",
    "../ncsnpp_ve.pth": "song",
}


def test_every_golden_file_is_known(folder):
    files = {path for path in folder.rglob("*") if path.suffix in (".pkl", ".pt", ".pth")}
    files = {str(p.relative_to(folder)) for p in files if p.parent.name != "hostile"}
    assert files == {name for name in KNOWN if not name.startswith("..")}
    assert set(KNOWN.values()) == set(FAMILIES) - {OURS, "oobleck"}  # see test_oobleck.py


@pytest.mark.parametrize("name", KNOWN)
def test_family(folder, name):
    found = golden(folder / name)
    assert found.family == KNOWN[name]
    for arrays in (found.ema, found.raw):
        assert arrays is None or all(np.isfinite(array).all() for array in arrays.values())
    assert bool(found.arrays) == (found.family != "song")


def test_facts_of_edm(folder):
    found = golden(folder / "edm_vp_precond.pkl")
    assert found.facts["class"] == "VPPrecond"
    assert found.facts["network"]["class"] == "SongUNet"
    assert found.facts["network"]["channel_mult"] == [1]
    assert found.arguments["beta_d"] == 19.9
    assert found.arguments["sigma_min"] == float(
        np.load(folder / "edm_vp_precond.npz")["sigma_min"]
    )
    found = golden(folder / "edm_ddpmpp.pkl")
    assert found.facts["loss_fn"] == {
        "class": "EDMLoss",
        "P_mean": -1.2,
        "P_std": 1.2,
        "sigma_data": 0.5,
    }
    assert found.facts["augment_pipe"]["p"] == 0.12
    assert found.arguments["sigma_max"] == math.inf
    assert found.raw is None


def test_facts_of_edm2(folder):
    found = golden(folder / "edm2_phema" / "network-snapshot-0000262-0.100.pkl")
    assert (found.facts["kimg"], found.facts["ema_std"]) == (262, 0.1)
    assert found.facts["encoder"]["class"] == "StabilityVAEEncoder"
    assert found.facts["encoder"]["scale"].shape == (4,)
    assert found.facts["network"]["channels_per_head"] == 8
    found = golden(folder / "edm2_phema_out-0000393-0.075.pkl")
    assert (found.facts["kimg"], found.facts["ema_std"]) == (393, 0.075)
    assert "ema_std" not in golden(folder / "edm2_cond_fp16.pkl").facts


def test_facts_of_refinenets(folder):
    found = golden(folder / "ncsnv2_cifar10.pth")
    assert (found.step, found.ema_decay) == (torch_file.load(found.path)[3], 0.999)
    assert found.facts["config"]["model"]["sigma_begin"] == 50
    assert set(found.raw) - set(found.ema) == {"sigmas"}
    found = golden(folder / "ncsnv2_ffhq_deepest.pth")
    assert (found.facts["class"], found.facts["config"]) == ("NCSNv2Deepest", None)
    assert (found.step, found.ema_decay) == (80_000, None)
    assert golden(folder / "ncsnv2_lsun_deeper.pth").facts["class"] == "NCSNv2Deeper"
    found = golden(folder / "ncsn_cifar10.pth")
    adam = torch_file.load(found.path)[1]["state"]
    assert found.step == next(iter(adam.values()))["step"] > 0
    assert (found.ema, found.facts["class"]) == (None, "NCSN")


def test_transformers_of_the_same_arrays_are_told_apart_by_name(folder, tmp_path):
    found = golden(folder / "sit_train_ckpt.pt")
    assert found.facts["training"]["prediction"] == "velocity"
    assert set(found.ema) == set(found.raw)
    for name, family in (("SiT-XL-2-256x256", "sit"), ("DiT-XL-2-256x256", "dit")):
        shutil.copy(folder / "dit_p2.pt", tmp_path / f"{name}.pt")
        assert recognise(tmp_path / f"{name}.pt").family == family
    shutil.copy(folder / "dit_p2.pt", tmp_path / "model.pt")
    with pytest.raises(ValueError, match="begin the file's name with DiT or SiT"):
        recognise(tmp_path / "model.pt")
    shutil.copy(folder / "dit_train_ckpt.pt", tmp_path / "0400000.pt")
    found = recognise(tmp_path / "0400000.pt")
    assert (found.family, found.step, found.ema_decay) == ("dit", 400_000, 0.9999)


def test_the_name_of_an_average_of_guided_diffusion(folder, tmp_path):
    shutil.copy(folder / "adm_cond_fp16.pt", tmp_path / "ema_0.9999_400000.pt")
    found = recognise(tmp_path / "ema_0.9999_400000.pt")
    assert (found.step, found.ema_decay) == (400_000, 0.9999)


def test_the_same_arrays_in_other_containers(folder, tmp_path):
    arrays = torch_file.load(folder / "uvit_tiny.pth")
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    safetensors.save(tmp_path / "a.safetensors", whole, {"step": "7", "ema_decay": "0.5"})
    found = recognise(tmp_path / "a.safetensors")
    assert (found.family, found.step, found.ema_decay) == ("uvit", 7, 0.5)
    torch_writer.save(tmp_path / "a.pt", {f"module.{name}": whole[name] for name in whole})
    found = recognise(tmp_path / "a.pt")
    assert (found.family, set(found.arrays)) == ("uvit", set(arrays))
    for name, other in (("a.safetensors", "b.pt"), ("a.pt", "b.safetensors")):  # whatever it says
        (tmp_path / name).rename(tmp_path / other)
        assert recognise(tmp_path / other).family == "uvit"


def test_a_config_of_another_network_is_refused(folder, tmp_path):
    shutil.copy(folder / "ncsnv2_lsun_deeper.pth", tmp_path / "checkpoint.pth")
    shutil.copy(folder / "ncsnv2_cifar10_config.yml", tmp_path / "config.yml")
    with pytest.raises(ValueError, match="a NCSNv2Deeper, but the config beside it is of CIF"):
        recognise(tmp_path / "checkpoint.pth")
    shutil.copy(folder / "hostile" / "config_apply.yml", tmp_path / "config.yml")
    with pytest.raises(pickle.UnpicklingError, match=r"config\.yml: the file asks .*os\.system"):
        recognise(tmp_path / "checkpoint.pth")


def described(name, state):
    meta = {"type": "class", "version": 6, "module_src": "", "class_name": name, "state": state}
    return Call("torch_utils.persistence", "_reconstruct_persistent_obj", meta)


ODD = {"_parameters": {}, "_buffers": {}, "_modules": {}, "_non_persistent_buffers_set": 3}
INSIDE = {"_modules": {"model": described("SongUNet", {"_modules": {"a": described("Odd", {})}})}}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"ema": described("Generator", {})}, "its network is a Generator; known are EDMPrecond"),
        ({"ema": described("EDMPrecond", {})}, "its model is missing; known are SongUNet"),
        ({"ema": described("EDMPrecond", INSIDE)}, r"its model\.a is a Odd, which is not known"),
        ({"G_ema": 1, "D": 2}, "no known checkpoint: it holds a dictionary of G_ema, D"),
        ([1, "x"], "no known checkpoint: it holds a list of int, str"),
        (described("EDMPrecond", {}), "no known checkpoint: it holds a EDMPrecond"),
        (
            {"ema": described("EDMPrecond", {"_modules": {"model": described("SongUNet", ODD)}})},
            "the buffers of model that pass are no names",
        ),
    ],
)
def test_pickles_of_others(tmp_path, value, reason):
    (tmp_path / "a.pkl").write_bytes(dumps(value, 4))
    with pytest.raises(ValueError, match=rf"a\.pkl: {reason}"):
        recognise(tmp_path / "a.pkl")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (
            {"fc.weight": np.zeros((3, 2))},
            r"1 arrays, the first of which is fc\.weight of shape",
        ),
        ({"fc.weight": np.zeros(3, np.int32)}, "fc.weight of type int32, not floating"),
        ({"a": np.zeros(3), "module.a": np.zeros(3)}, "it has a twice"),
        ({"state_dict": {"a": np.zeros(3)}}, "a dictionary of state_dict"),
        ({}, "a dictionary of nothing"),
        ([{"a": np.zeros(3)}, {}], "no known network"),
    ],
)
def test_torch_files_of_others(tmp_path, value, reason):
    torch_writer.save(tmp_path / "a.pt", value)
    with pytest.raises(ValueError, match=rf"a\.pt: .*{reason}"):
        recognise(tmp_path / "a.pt")


def test_a_name_that_is_no_text_is_none(tmp_path):
    """It is not made a text, which could be of any size; the file's own name counts."""
    names = ("x_embedder.proj.weight", "t_embedder.mlp.0.weight", "final_layer.linear.weight")
    arrays = {name: np.zeros(1, np.float32) for name in names}
    value = {"model": arrays, "ema": arrays, "opt": {}, "args": {"model": nested(3)}}
    torch_writer.save(tmp_path / "DiT-x.pt", value)
    assert recognise(tmp_path / "DiT-x.pt").family == "dit"


def test_other_files(tmp_path):
    (tmp_path / "a.pt").write_text("<html>not found</html>")
    with pytest.raises(ValueError, match=r"a\.pt: it is not a PyTorch file, a pickle or"):
        recognise(tmp_path / "a.pt")
    with pytest.raises(FileNotFoundError):
        recognise(tmp_path / "missing.pt")


@pytest.mark.parametrize("decay", ["nan", "inf", "-1", "1", "1_0"])
def test_a_decay_that_is_none(folder, tmp_path, decay):
    arrays = dict(recognise(folder / "dit_p2.pt").arrays)
    safetensors.save(tmp_path / "DiT.safetensors", arrays, {"ema_decay": decay})
    with pytest.raises(ValueError, match="its ema_decay is not a number from 0 to below 1"):
        recognise(tmp_path / "DiT.safetensors")


def test_the_name_of_a_file_of_improved_diffusion(folder, tmp_path):
    for name, family in (
        ("cifar10_uncond_50M_500K", "improved_diffusion"),
        ("model500000", "guided_diffusion"),
    ):
        shutil.copy(folder / "improved_cond.pt", tmp_path / f"{name}.pt")
        assert recognise(tmp_path / f"{name}.pt").family == family
    shutil.copy(folder / "adm_cond_fp16.pt", tmp_path / "cifar10_uncond_50M_500K.pt")
    assert recognise(tmp_path / "cifar10_uncond_50M_500K.pt").family == "guided_diffusion"
