"""The bound of tokens: of the exact predictor it is the log-likelihood."""

import chains
import jax.numpy as jnp
import numpy as np
import pytest
from made_subject import made_source, subject_of

from score_sde import fields
from score_sde.evaluation.metrics import METRICS
from score_sde.objectives import TOKEN_PREDICTOR
from score_sde.processes import Masked
from score_sde.spaces import Tokens

pytestmark = pytest.mark.usefixtures("quick_compile")


def test_of_the_exact_predictor_it_is_the_log_likelihood(tmp_path, x64):
    """Of examples in their exact shares the entropy; by draws of each, to four standard errors."""
    every = chains.everything(3, masks=False)
    p = chains.probabilities(every)
    field = fields.tokens(3, 3)
    source = made_source({"tokens": np.repeat(every, np.round(2000 * p).astype(int), 0)}, [field])
    x = source.gather(np.arange(len(source)))["tokens"]
    expected = -float(chains.chain().log_prob(jnp.asarray(x)).mean()) / np.log(2)
    space = Tokens.of(field)
    told = {"batch_size": len(source), "trains": TOKEN_PREDICTOR}
    subject = subject_of(tmp_path, Masked(), chains.chain(), space, source, **told)[0]
    found = METRICS["token_bound"](draws=30).prepare(subject)()
    whole, each = (found[name] for name in ("bits_per_example", "bits_per_token"))
    # The error over examples is of the data; what draws add to it is far less.
    assert abs(whole["value"] - expected) < 0.2 * whole["standard_error"]
    assert each["value"] == pytest.approx(whole["value"] / 3)
    assert each["standard_error"] == pytest.approx(whole["standard_error"] / 3)
    assert (each["unit"], each["examples"], each["nfe"]) == ("bits/token", len(source), 30)
