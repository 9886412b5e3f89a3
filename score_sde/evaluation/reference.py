"""Statistics of real examples, to compare samples with: in memory and in files.

Our files, .npz, hold `mu` [d], `sigma` [d, d], `n`, `protocol` (JSON) and, for the metrics that
need more than moments, `features` [m, d]. Files of other projects hold `mu` and `sigma`, or the
features of all of them as `pool_3`. None is executed: a file with pickled objects is refused.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import records
from score_sde.errors import UserError
from score_sde.evaluation.moments import moments
from score_sde.files import replacing
from score_sde.formats import npz

_PLAIN = {"iu": "whole number", "U": "text"}


@dataclasses.dataclass(frozen=True)
class Reference:
    """What is known of real examples.

    Attributes:
        mean: of their features, float64 [d].
        cov: unbiased covariance, float64 [d, d].
        n: how many examples; None if a file does not say.
        features: of some or all of them, [m, d]; None if they were not kept.
        protocol: how the numbers were made; empty if a file does not say.
    """

    mean: np.ndarray
    cov: np.ndarray
    n: int | None = None
    features: np.ndarray | None = None
    protocol: dict[str, Any] = dataclasses.field(default_factory=dict)

    def check(self, extractor: dict[str, Any]) -> None:
        """Raise UserError if the protocol names another extractor than this one's."""
        for name, value in extractor.items():
            if self.protocol.get(name, value) != value:
                raise UserError(
                    f"the reference statistics were made with {name}={self.protocol[name]}, not "
                    f"{value}: compute them again with python -m score_sde.evaluation.statistics"
                )


def save(path: Path, reference: Reference) -> None:
    """Write a file whole or not at all; its folder is made."""
    arrays = {"mu": reference.mean, "sigma": reference.cov}
    if reference.n is not None:
        arrays["n"] = np.array(reference.n)
    if reference.features is not None:
        arrays["features"] = reference.features
    arrays["protocol"] = np.array(json.dumps(reference.protocol))
    with replacing(path) as file:
        np.savez(file, **arrays)


def load(path: str | Path, width: int | None = None) -> Reference:
    """Read the statistics of a file, of this project or another.

    Args:
        path: .npz with `mu` and `sigma`, or with `pool_3`.
        width: how many features an example has to have, d; None for any number.

    Raises:
        UserError: there is no such file, or what it holds cannot be statistics: its arrays are not
            of finite real numbers or do not fit together, sigma is not the covariance of anything,
            or they are of fewer than two examples.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"no reference statistics at {path}: make them with python -m "
            "score_sde.evaluation.statistics NAME --out=FILE.npz"
        )
    with npz.opened(path, "a file of statistics") as arrays:
        names = set(arrays)
        if {"mu", "sigma"} <= names:
            return _moments(arrays, width)
        if "pool_3" in names:
            return _features(arrays, width)
        raise ValueError(
            f"it holds {', '.join(sorted(names)) or 'nothing'}: need mu and sigma, or pool_3"
        )


def _features(arrays: npz.Arrays, width: int | None) -> Reference:
    """Of the features of all examples."""
    lengths = _check(arrays, "pool_3", ("n", "d"), {})
    _check_width(lengths["d"], width)
    n = lengths["n"]
    if n < 2:
        raise ValueError(f"pool_3 is of {n} examples: statistics need two")
    features = _finite(arrays, "pool_3")
    return Reference(*moments(features), n, features)


def _moments(arrays: npz.Arrays, width: int | None) -> Reference:
    """Of mean and covariance, and perhaps the features of some examples."""
    d = _check(arrays, "mu", ("d",), {})["d"]
    _check_width(d, width)
    _check(arrays, "sigma", ("d", "d"), {"d": d})
    n, features, protocol = None, None, {}
    if "n" in arrays:
        n = int(_plain(arrays, "n", "iu"))
        if n < 2:
            raise ValueError(f"they are of n={n} examples: statistics need two")
    if "features" in arrays:
        kept = _check(arrays, "features", ("m", "d"), {"d": d})["m"]
        if n is not None and kept > n:
            raise ValueError(f"features of {kept} examples, and they are of n={n}")
        features = _finite(arrays, "features")
    if "protocol" in arrays:
        try:
            protocol = records.parse(str(_plain(arrays, "protocol", "U")))
        except ValueError as error:
            raise ValueError(f"its protocol {error}") from error
    mean, cov = (_finite(arrays, name).astype(np.float64) for name in ("mu", "sigma"))
    _check_covariance(cov, arrays.headers["sigma"].dtype)
    return Reference(mean, cov, n, features, protocol)


def _check_width(d: int, width: int | None) -> None:
    if width not in (None, d):
        raise ValueError(
            f"they are of {d} features an example, the samples of {width}: take the same "
            "extractor for both"
        )


def _check(
    arrays: npz.Arrays, name: str, axes: tuple[str, ...], known: dict[str, int]
) -> dict[str, int]:
    """Check type and shape of an array of real numbers, of which nothing is read.

    Args:
        arrays: the file.
        name: of the array.
        axes: names of its axes; one that is not known may be of any length.
        known: lengths of axes by name.

    Returns:
        The lengths of its axes by name.

    Raises:
        ValueError: it is another one.
    """
    shape, dtype = arrays.headers[name]
    if dtype.kind != "f":
        raise ValueError(f"{name} is of type {dtype}: need real floating-point numbers")
    wanted = [known.get(axis) for axis in axes]
    fits = len(shape) == len(axes) and all(
        length in (None, size) and size > 0 for length, size in zip(wanted, shape, strict=True)
    )
    if not fits:
        words = [axis if n is None else str(n) for axis, n in zip(axes, wanted, strict=True)]
        raise ValueError(f"{name} of shape {list(shape)} must be [{', '.join(words)}]")
    return dict(zip(axes, shape, strict=True))


def _plain(arrays: npz.Arrays, name: str, kinds: str) -> np.ndarray:
    """A single value, of one of NumPy's kinds."""
    shape, dtype = arrays.headers[name]
    if shape or dtype.kind not in kinds:
        raise ValueError(f"{name} is {dtype} {list(shape)}: need one {_PLAIN[kinds]}")
    return arrays[name]


def _finite(arrays: npz.Arrays, name: str) -> np.ndarray:
    array = arrays[name]
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has values that are not finite")
    return array


def _check_covariance(cov: np.ndarray, dtype: np.dtype) -> None:
    """Raise ValueError unless a matrix is symmetric and positive semi-definite.

    As far as rounding lets one tell: it may be off by 1e-6 of its norm, or, if it was stored with
    fewer digits, by ten units in the last place.
    """
    slack = max(1e-6, 10 * float(np.finfo(dtype).eps)) * np.linalg.norm(cov)
    if np.abs(cov - cov.T).max() > slack:
        raise ValueError("sigma must be symmetric, as a covariance is")
    try:  # a hundred times as fast as the eigenvalues
        np.linalg.cholesky((cov + cov.T) / 2 + np.diag(np.full(len(cov), slack or 1.0)))
    except np.linalg.LinAlgError as error:
        lowest = np.linalg.eigvalsh((cov + cov.T) / 2)[0]
        raise ValueError(
            "sigma must be positive semi-definite, as a covariance is: it has an eigenvalue of "
            f"{lowest:.4g}"
        ) from error
