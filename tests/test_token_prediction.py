"""From the logits of a network to which tokens stand where masks are."""

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import guidance
from score_sde.composite import evaluations
from score_sde.noise_labels import NOISE_LABELS
from score_sde.processes import MASK, Masked
from score_sde.token_prediction import NEVER, OfNetwork

PROCESS = Masked("cosine")


def network(tokens, label, cond):
    """Logits that tell apart places, tokens, times and conditions."""
    place = jnp.arange(tokens.shape[1])[None, :, None]
    told = 0 if cond is None else cond["label"][:, None, None]
    wave = jnp.arange(4)[None, None] * (1 + place) + label[:, None, None] + told
    return 30 * jnp.sin(wave) + tokens[..., None]


def test_masks_are_predicted_and_tokens_are_known():
    """log_softmax of the logits where a mask is; elsewhere its own token, for sure."""
    tokens, t = jnp.array([[MASK, 3, MASK], [0, MASK, 1]]), jnp.array([0.25, 0.5])
    found = OfNetwork(network, PROCESS, NOISE_LABELS["time"])(tokens, t)
    raw = jax.nn.log_softmax(network(tokens, 999 * t, None))
    np.testing.assert_array_equal(found[0, 0], raw[0, 0])
    np.testing.assert_array_equal(found[1, 1], raw[1, 1])
    np.testing.assert_array_equal(found[0, 1], [NEVER, NEVER, NEVER, 0])
    np.testing.assert_allclose(jnp.exp(found).sum(-1), 1, rtol=1e-6)


def test_guidance_of_logits(x64):
    """(1 - w) log p_0 + w log p_1 of masks, and what is known stays; in an interval only."""
    predict = OfNetwork(network, PROCESS, NOISE_LABELS["thousandths"])
    tokens, t = jnp.array([[MASK, 3, MASK]] * 2), jnp.array([0.1, 0.9])
    cond, away = ({"label": jnp.array(labels)} for labels in ([1, 2], [3, 3]))
    wanted, other = (predict(tokens, t, given) for given in (cond, away))
    guided = guidance.classifier_free(predict, 2.5, negative=away)
    expected = other + 2.5 * (wanted - other)
    np.testing.assert_allclose(guided(tokens, t, cond), expected, rtol=1e-13)
    np.testing.assert_array_equal(jnp.argmax(guided(tokens, t, cond)[:, 1], -1), [3, 3])
    assert evaluations(guided, 0.1) == 2
    inside = guidance.classifier_free(predict, 2.5, negative=away, interval=(1, 1e9)).bound(PROCESS)
    found = inside(tokens, t, cond)  # sigma / alpha is sin / (1 - sin) of pi t / 2
    np.testing.assert_array_equal(found[0], wanted[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-13)
