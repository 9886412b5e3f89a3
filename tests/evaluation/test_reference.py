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
        ({"mu": MU, "sigma": SIGMA * np.nan}, "sigma has values that are not finite"),
        ({"mu": MU * np.inf, "sigma": SIGMA}, "mu has values that are not finite"),
        ({"mu": MU, "sigma": np.array([[1.0, 2.0], [0.0, 1.0]])}, "must be symmetric"),
        ({"mu": MU, "sigma": -SIGMA}, "positive semi-definite.*an eigenvalue of -2.207"),
        ({"mu": MU, "sigma": SIGMA - 0.9 * np.eye(2)}, "it has an eigenvalue of -0.1071"),
        ({"mu": MU * 1j, "sigma": SIGMA}, "mu is of type complex128: need real floating"),
        ({"mu": MU, "sigma": SIGMA.astype(int)}, "sigma is of type int64"),
        ({"mu": MU[:0], "sigma": SIGMA[:0, :0]}, r"mu of shape \[0\] must be \[d\]"),
        ({"mu": MU, "sigma": SIGMA, "n": 1}, "they are of n=1 examples: statistics need two"),
        ({"mu": MU, "sigma": SIGMA, "n": -5}, "they are of n=-5 examples"),
        ({"mu": MU, "sigma": SIGMA, "n": 2.5}, r"n is float64 \[\]: need one whole number"),
        ({"mu": MU, "sigma": SIGMA, "n": [3, 4]}, r"n is int64 \[2\]: need one whole number"),
        ({"pool_3": np.ones(4)}, r"pool_3 of shape \[4\] must be \[n, d\]"),
        ({"pool_3": np.ones((1, 4))}, "pool_3 is of 1 examples: statistics need two"),
        ({"pool_3": np.full((3, 4), np.nan)}, "pool_3 has values that are not finite"),
        ({"mu": MU, "sigma": SIGMA, "features": np.ones((3, 5))}, r"features .* \[m, 2\]"),
        ({"mu": MU, "sigma": SIGMA, "n": 2, "features": np.ones((3, 2))}, "features of 3 examples"),
        ({"mean": MU}, "holds mean: need mu and sigma, or pool_3"),
        ({"mu": MU, "sigma": SIGMA, "protocol": "{"}, "its protocol is not JSON"),
        ({"mu": MU, "sigma": SIGMA, "protocol": "[1]"}, "its protocol is not a JSON object"),
        ({"mu": MU, "sigma": SIGMA, "protocol": 3.0}, r"protocol is float64 \[\]: need one text"),
        ({"mu": MU, "sigma": SIGMA, "protocol": '{"a":' * 500 + "1" + "}" * 500}, "is nested more"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, arrays, message):
    with pytest.raises(UserError, match=message) as info:
        reference.load(write(tmp_path / "bad.npz", **arrays))
    assert "\n" not in str(info.value)


def test_rounding_is_no_damage(tmp_path):
    """Covariances of rank 3 in 8 dimensions, whose eigenvalues of 0 rounding makes negative."""
    features = np.random.default_rng(0).normal(size=(4, 8))
    cov = np.cov(features, rowvar=False)
    for dtype in (np.float16, np.float32, np.float64):
        path = write(tmp_path / "rank.npz", mu=features.mean(0), sigma=cov.astype(dtype))
        np.testing.assert_array_equal(reference.load(path).cov, cov.astype(dtype))
    path = write(tmp_path / "constant.npz", mu=MU, sigma=np.zeros((2, 2)))  # all examples alike
    assert (reference.load(path).cov == 0).all()


def test_the_width_is_that_of_the_extractor(tmp_path):
    path = write(tmp_path / "two.npz", mu=MU, sigma=SIGMA)
    assert reference.load(path, 2).mean.size == 2
    with pytest.raises(UserError, match="of 2 features an example, the samples of 3"):
        reference.load(path, 3)


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
