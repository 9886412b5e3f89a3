"""Eight Gaussians on a ring, as configs/toy_moons.py.

python main.py --config=configs/toy_gaussians.py
python main.py --config=configs/toy_gaussians.py --mode=sample --num_samples=2000
python main.py --config=configs/toy_gaussians.py --mode=evaluate
"""

from ml_collections import ConfigDict

from configs import toy_moons


def get_config() -> ConfigDict:
    """The recipe."""
    config = toy_moons.get_config()
    config.data.name = "gaussians"
    return config
