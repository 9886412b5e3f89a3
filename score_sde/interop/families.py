"""Families of released files: how a config is proposed for one, and how it fills our network.

`importer.import_run` imports a file of any family in FAMILIES, and `--config=auto` proposes its
config. To add one, of which recognise.recognise already gives arrays by their authors' names:

1. a module beside this one, with
   - `propose(released)`: the config that fits (runs.config.default of a network, with what the
     file's arguments, facts and shapes say set in it). What leaves no trace is set to what the
     authors released; the user changes it by flags, which come after;
   - `slots(model, released)`: slots.Slot of every array of our network;
   - if arrays have to be changed before they have a place (split, joined, widened, left out), a
     function from arrays to arrays;
   - if the process or anything else beside the network must agree, `check(experiment, released)`;
2. its line in FAMILIES:

       "dit": Family(("dit",), dit.propose, named(dit.slots)),

Nothing else is changed: the command line, the checks of names, shapes and finite numbers, the
averages and the writing of the run are common to all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from flax import nnx
from ml_collections import ConfigDict

from score_sde.interop import refinenet, song_family
from score_sde.interop.released import Arrays, Released
from score_sde.interop.slots import Slot, to_params
from score_sde.interop.weights import Weights
from score_sde.runs.build import Experiment

# (our abstract network, the file, whether its averages are asked for) -> arrays.
# ValueError: they do not fit.
Fill = Callable[[nnx.Module, Released, bool], Weights]


class Family(NamedTuple):
    """How the files of one family are imported.

    Attributes:
        networks: the values of config.model.name that it can fill.
        propose: the config that fits a file. ValueError: there is none.
        fill: see Fill.
        check: compare what stands beside the network. ValueError: the config does not fit.
    """

    networks: tuple[str, ...]
    propose: Callable[[Released], ConfigDict]
    fill: Fill
    check: Callable[[Experiment, Released], None] = lambda experiment, released: None


def named(
    slots: Callable[[nnx.Module, Released], Iterable[Slot]],
    prepare: Callable[[Arrays], Arrays] = lambda arrays: arrays,
) -> Fill:
    """Fill a network by the names of its arrays; see the module."""

    def fill(model: nnx.Module, released: Released, averaged: bool) -> Weights:
        raw, ema = released.raw, released.ema if averaged else None
        if raw is None and not averaged:
            raise ValueError("it has moving averages only: leave out --weights=raw")
        places = list(slots(model, released))
        states = [None if found is None else prepare(found) for found in (raw, ema)]
        params = [None if found is None else to_params(model, places, found) for found in states]
        first, constants = next(found for found in params if found is not None)
        own, average = (first if found is None else found[0] for found in params)
        return Weights(
            own,
            average,
            constants,
            released.step,
            released.ema_decay if averaged else None,
            has_raw=raw is not None,
            has_average=ema is not None,
        )

    return fill


_REFINENET = (refinenet.propose, named(refinenet.slots, refinenet.prepare), refinenet.check)

FAMILIES: Mapping[str, Family] = {
    "ncsn": Family(("ncsn",), *_REFINENET),
    "ncsnv2": Family(("ncsnv2",), *_REFINENET),
    "song": Family(("unet",), song_family.propose, song_family.fill, song_family.check),
}
