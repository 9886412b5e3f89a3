"""The Inception network of FID against reference outputs, and what a bad weight file says."""

import hashlib

import numpy as np
import pytest

from score_sde.errors import UserError
from score_sde.evaluation import fid_network
from score_sde.formats import torch_writer

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def net(inception_file):
    return fid_network.load(inception_file, check_hash=False)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden" / "inception.npz") as file:
        return dict(file)


def relative(found, expected):
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("size", [32, 64, 299])
def test_features_and_logits_are_the_references(net, golden, size):
    out = net(golden[f"x{size}_uint8_nhwc"])
    assert out.pool3.shape == (2, 2048)
    assert out.logits.shape == (2, 1008)
    assert relative(out.pool3, golden[f"pool3_{size}"]) < 1e-5
    assert relative(out.logits, golden[f"logits_{size}"]) < 1e-5


def test_gray_images_are_those_with_three_equal_channels(net, golden):
    gray = golden["x32_uint8_nhwc"][..., :1]
    np.testing.assert_array_equal(net(gray).pool3, net(gray.repeat(3, -1)).pool3)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 32, 32, 3), np.float32), np.zeros((32, 32, 3), np.uint8)]
)
def test_only_batches_of_bytes(net, images):
    with pytest.raises(ValueError, match="inception takes uint8 images"):
        net(images)


def test_the_hash_is_recorded_and_checked(net, inception_file):
    digest = hashlib.sha256(inception_file.read_bytes()).hexdigest()
    assert net.protocol["weights_sha256"] == digest
    with pytest.raises(UserError, match=r"SHA-256 is .* not 6726825d0af5f729.*check_hash=False"):
        fid_network.load(inception_file)


def test_the_cache_is_where_the_message_says(tmp_path, monkeypatch, inception_file):
    monkeypatch.setenv("SCORE_SDE_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"download https://github\.com/mseitzer") as info:
        fid_network.load()
    assert str(tmp_path / fid_network.FILE_NAME) in str(info.value)
    (tmp_path / fid_network.FILE_NAME).symlink_to(inception_file)
    fid_network.load(check_hash=False)


FIRST = "Conv2d_1a_3x3.conv.weight"


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, f"{FIRST} is missing"),
        ({FIRST: 3.0}, f"{FIRST} is missing"),
        ({FIRST: np.zeros((32, 3, 3, 3))}, "Conv2d_1a_3x3.bn.weight is missing"),
        ({FIRST: np.zeros((32, 3, 5, 5))}, rf"{FIRST} has shape .*, not \(32, 3, 3, 3\)"),
    ],
)
def test_a_wrong_array_is_named(tmp_path, arrays, message):
    torch_writer.save(tmp_path / "wrong.pth", arrays)
    with pytest.raises(UserError, match=message):
        fid_network.load(tmp_path / "wrong.pth", check_hash=False)


def test_what_is_no_weight_file(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    torch_writer.save(tmp_path / "list.pth", [1, 2])
    for name, message in (("text.pth", "cannot read"), ("list.pth", "holds no state dict")):
        with pytest.raises(UserError, match=message):
            fid_network.load(tmp_path / name, check_hash=False)
