"""Bits/dim of Gaussian mixtures on the digits: what a density model should beat.

    python benchmarks/digits_mixture.py

scikit-learn's GaussianMixture is fitted to dequantised training images (several draws of noise
each, which keeps it from collapsing onto them), its number of components and its regularisation
chosen by the held-out images themselves: so the last line flatters the mixture.
"""

import sys

import numpy as np
from sklearn.mixture import GaussianMixture

from score_sde import data, terminal

LEVELS, DRAWS = 17, 5


@terminal.program
def main(argv: list[str]) -> int:
    """Print a row for each mixture, and the best."""
    terminal.Parser.of("python benchmarks/digits_mixture.py", __doc__).parse_args(argv[1:])
    rng = np.random.default_rng(0)
    train, test = (_levels(data.load("digits", split)) for split in ("train", "test"))
    noisy = (np.tile(train, (DRAWS, 1)) + rng.random((DRAWS * len(train), 64))) / LEVELS
    held_out = (test + rng.random((DRAWS, *test.shape))) / LEVELS
    rows = []
    for components in (1, 5, 10, 20, 40):
        for floor in (1e-6, 1e-5, 1e-4, 1e-3):
            model = GaussianMixture(components, reg_covar=floor, random_state=0).fit(noisy)
            logp = np.mean([model.score_samples(draw) for draw in held_out], axis=0)
            bits = np.log2(LEVELS) - logp / (64 * np.log(2))
            error = bits.std(ddof=1) / np.sqrt(len(bits))
            rows.append((bits.mean(), error, components, floor))
            print(_row(*rows[-1]), flush=True)
    print("best:", _row(*min(rows)))
    return 0


def _row(bits: float, error: float, components: int, floor: float) -> str:
    return f"{bits:.4f} +- {error:.4f} bits/dim, {components} components, reg_covar={floor:g}"


def _levels(source: data.Source) -> np.ndarray:
    pixels = source.gather(np.arange(len(source)))["image"].reshape(len(source), -1)
    return np.round(pixels * ((LEVELS - 1) / 255))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
