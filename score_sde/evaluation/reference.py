"""Statistics of real examples, to compare samples with: in memory and in files.

Our files, .npz, hold `mu` [d], `sigma` [d, d], `n`, `protocol` (JSON) and, for the metrics that
need more than moments, `features` [m, d]. Files of other projects hold `mu` and `sigma`, or the
features of all of them as `pool_3`. None is executed: a file with pickled objects is refused.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from score_sde.errors import UserError
from score_sde.evaluation.moments import moments
from score_sde.files import replacing


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


def load(path: str | Path) -> Reference:
    """Read the statistics of a file, of this project or another.

    Args:
        path: .npz with `mu` and `sigma`, or with `pool_3`.

    Raises:
        UserError: there is no such file, or it holds no such statistics.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(
            f"no reference statistics at {path}: make them with python -m "
            "score_sde.evaluation.statistics NAME --out=FILE.npz"
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            return _read(path, file)
    except UserError:
        raise
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} is not a file of statistics: {reason}") from error


def _read(path: Path, file: Any) -> Reference:
    names = set(file.keys())
    if {"mu", "sigma"} <= names:
        mean, cov = (np.asarray(file[name], np.float64) for name in ("mu", "sigma"))
        features = file["features"] if "features" in names else None
        n = int(file["n"]) if "n" in names else None
        protocol = json.loads(str(file["protocol"])) if "protocol" in names else {}
    elif "pool_3" in names:
        features = file["pool_3"]
        _check(path, "pool_3", features.ndim == 2 and len(features) > 1, features, "[n, d]")
        (mean, cov), n, protocol = moments(features), len(features), {}
    else:
        raise UserError(
            f"{path} holds {', '.join(sorted(names)) or 'nothing'}: need mu and sigma, or pool_3"
        )
    d = mean.size
    _check(path, "mu", mean.shape == (d,), mean, "[d]")
    _check(path, "sigma", cov.shape == (d, d), cov, f"[{d}, {d}], as mu is [{d}]")
    _check(path, "sigma", np.allclose(cov, cov.T), cov, "symmetric")
    if features is not None:
        _check(path, "features", features.shape[1:] == (d,), features, f"[n, {d}]")
    return Reference(mean, cov, n, features, protocol)


def _check(path: Path, name: str, good: bool, array: np.ndarray, wanted: str) -> None:
    if not good or not np.isfinite(array).all():
        wanted = wanted if not good else "finite"
        raise UserError(f"{path}: {name} of shape {list(array.shape)} must be {wanted}")
