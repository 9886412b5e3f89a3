"""The Markov chain of ../shared/ORACLES.md, and what samplers of masked tokens draw of it, exactly.

All sequences with masks are enumerated, as digits in base 4 of which the last is the mask.
"""

import itertools

import jax.numpy as jnp
import numpy as np

from score_sde.processes import MASK
from score_sde.token_analytic import MarkovChain

INITIAL = np.array([0.5, 0.3, 0.2])
TRANSITIONS = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]])
V = 3


def chain():
    """In the dtype that is enabled."""
    return MarkovChain(jnp.asarray(INITIAL), jnp.asarray(TRANSITIONS))


def everything(length, masks=True):
    """Every sequence, int32 [n, length], with masks among the tokens or without."""
    tokens = [*range(V), *([MASK] if masks else [])]
    return np.array(list(itertools.product(tokens, repeat=length)), np.int32)


def probabilities(sequences):
    """p of the chain by its definition, [n]."""
    steps = TRANSITIONS[sequences[:, :-1], sequences[:, 1:]]
    return INITIAL[sequences[:, 0]] * steps.prod(axis=1)


def step(law, predicted, turns, again=0.0):
    """The law of sequences with masks after one step in which all places move independently.

    Args:
        law: of all sequences before it, [4] * length, the last of each axis a mask.
        predicted: of each, probabilities of a place's token, [4] * length + [length, V].
        turns: the probability with which a mask turns.
        again: that with which a token is masked.
    """
    length = law.ndim
    after = np.zeros_like(law)
    for index in np.argwhere(law > 0):
        moves = np.array(law[tuple(index)])
        for place, held in enumerate(index):
            own = np.zeros(V + 1)
            if held == V:
                own[:V] = turns * predicted[tuple(index)][place]
                own[V] = 1 - turns
            else:
                own[held], own[V] = 1 - again, again
            moves = moves[..., None] * own.reshape((1,) * place + (V + 1,))
        after += moves.reshape((V + 1,) * length)
    return after
