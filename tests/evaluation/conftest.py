"""The Inception network with made-up weights."""

import inception_weights
import pytest


@pytest.fixture(scope="session")
def inception_file(shared, tmp_path_factory):
    return inception_weights.write(shared, tmp_path_factory.mktemp("weights") / "made_up.pth")
