"""Files of reference statistics, ours and those of other projects."""

import numpy as np
import pytest

from score_sde.errors import UserError
from score_sde.evaluation import reference
from score_sde.evaluation.reference import Reference

MU, SIGMA = np.array([1.0, 2.0]), np.array([[2.0, 0.5], [0.5, 1.0]])


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_what_is_saved_is_read(tmp_path):
    path = tmp_path / "new" / "own.npz"
    features = np.ones((3, 2), np.float32)
    reference.save(path, Reference(MU, SIGMA, 7, features, {"split": "train"}))
    found = reference.load(path)
    np.testing.assert_array_equal(found.mean, MU)
    np.testing.assert_array_equal(found.cov, SIGMA)
    np.testing.assert_array_equal(found.features, features)
    assert (found.n, found.protocol) == (7, {"split": "train"})
    assert [p.name for p in path.parent.iterdir()] == ["own.npz"]


def test_mu_and_sigma_of_other_projects(tmp_path):
    found = reference.load(write(tmp_path / "fid.npz", mu=MU.astype(np.float32), sigma=SIGMA))
    assert found.mean.dtype == found.cov.dtype == np.float64
    assert (found.n, found.features, found.protocol) == (None, None, {})


def test_features_of_the_papers_code(tmp_path):
    """pool_3 of every image: moments, and features for KID."""
    pool = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    found = reference.load(write(tmp_path / "stats.npz", pool_3=pool))
    np.testing.assert_allclose(found.cov, np.cov(pool.astype(np.float64), rowvar=False))
    assert found.n == len(found.features) == 20


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": MU, "sigma": np.eye(3)}, r"sigma of shape \[3, 3\] must be \[2, 2\]"),
        ({"mu": MU[None], "sigma": SIGMA}, r"mu of shape \[1, 2\] must be \[d\]"),
        ({"mu": MU, "sigma": SIGMA * np.nan}, r"sigma .* must be"),
        ({"mu": MU * np.inf, "sigma": SIGMA}, r"mu .* must be finite"),
        ({"mu": MU, "sigma": np.array([[1.0, 2.0], [0.0, 1.0]])}, "must be symmetric"),
        ({"pool_3": np.ones(4)}, r"pool_3 of shape \[4\] must be \[n, d\]"),
        ({"mu": MU, "sigma": SIGMA, "features": np.ones((3, 5))}, r"features .* \[n, 2\]"),
        ({"mean": MU}, "holds mean: need mu and sigma, or pool_3"),
        ({"mu": MU, "sigma": SIGMA, "protocol": np.array("{")}, "is not a file of statistics"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, arrays, message):
    with pytest.raises(UserError, match=message) as info:
        reference.load(write(tmp_path / "bad.npz", **arrays))
    assert "\n" not in str(info.value)


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickles_are_refused_and_do_not_run(tmp_path):
    payload = np.array(Payload(tmp_path / "ran"), dtype=object)
    for name in ("mu", "protocol"):
        arrays = {"mu": MU, "sigma": SIGMA, name: payload}
        with pytest.raises(UserError, match="is not a file of statistics"):
            reference.load(write(tmp_path / "bad.npz", **arrays))
    assert not (tmp_path / "ran").exists()


def test_no_file_and_no_archive(tmp_path):
    with pytest.raises(UserError, match=r"python -m score_sde\.evaluation\.statistics"):
        reference.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "array.npy", MU)
    for name in ("text.npz", "array.npy"):
        with pytest.raises(UserError, match="is not a file of statistics"):
            reference.load(tmp_path / name)


def test_another_extractor_is_refused():
    known = Reference(MU, SIGMA, protocol={"extractor": "inception", "weights_sha256": "ab"})
    known.check({"extractor": "inception", "weights_sha256": "ab"})
    Reference(MU, SIGMA).check({"extractor": "inception"})  # a file that does not say
    with pytest.raises(UserError, match="weights_sha256=ab, not cd"):
        known.check({"extractor": "inception", "weights_sha256": "cd"})
