"""Families of released files: how a config is proposed for one, and how it fills our network.

`importer.import_run` imports a file of any family in FAMILIES, and `--config=auto` proposes its
config. To add one, of which recognise.recognise already gives arrays by their authors' names:

1. a module beside this one, with
   - `propose(released)`: the config that fits (see proposal, with what the file's arguments, facts
     and shapes say). What leaves no trace is set to what the authors released; the user changes it
     by flags, which come after;
   - `fields(released, config)`: the fields of the data that the network was trained on;
   - `slots(model, released)`: slots.Slot of every array of our network;
   - if arrays have to be changed before they have a place (split, joined, widened, left out), a
     function from arrays to arrays;
   - if the process or anything else beside the network must agree, `check(experiment, released)`;
   - for interop.export, `export(model, experiment, path)`: slots of every array of the official
     network in a file of this name, and `exports(experiment)`: whether a run of one of its networks
     is of this family;
2. its line in FAMILIES:

       "uvit": Family(("uvit",), family.propose, named(family.slots), fields=family.fields),

3. its row in catalogue.CATALOGUE, which says to people what opens, and how near.

Nothing else is changed: the command line, the checks of names, shapes and finite numbers, the
averages and the writing of the run are common to all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from score_sde.fields import Field
from score_sde.interop import (
    abstract,
    adm_family,
    edm_family,
    oobleck,
    own_family,
    refinenet,
    song_family,
    transformer_family,
)
from score_sde.interop.recognise import OURS
from score_sde.interop.released import Arrays, Released
from score_sde.interop.slots import Slot, to_params
from score_sde.interop.weights import Weights
from score_sde.models import NETWORKS
from score_sde.runs.experiment import Experiment

# What has our variables, see Family.model: a module, or a dictionary of them.
Model = Any
# (our abstract network, the file, whether its averages are asked for) -> arrays.
# ValueError: they do not fit.
Fill = Callable[[Model, Released, bool], Weights]


class Family(NamedTuple):
    """How the files of one family are imported.

    Attributes:
        networks: the values of config.model.name that it can fill.
        propose: the config that fits a file. ValueError: there is none.
        fill: see Fill.
        check: compare what stands beside the network. ValueError: the config does not fit.
        fields: of an example of the data, by the file and the config; None: the config says it.
        export: the arrays of the official network in a file of a name; None: there is another way,
            or none.
        exports: whether a run of one of `networks` is written so; the first family that does it.
        alone: whether a file of arrays and nothing else is one of this family.
        model: of what `fill` and `export` are given; see abstract. ValueError: there is none.
    """

    networks: tuple[str, ...]
    propose: Callable[[Released], ConfigDict]
    fill: Fill
    check: Callable[[Experiment, Released], None] = lambda experiment, released: None
    fields: Callable[[Released, ConfigDict], tuple[Field, ...]] | None = None
    export: Callable[[Model, Experiment, Path], Iterable[Slot]] | None = None
    exports: Callable[[Experiment], bool] = lambda experiment: True
    alone: bool = False
    model: Callable[[Experiment], Model] = abstract.module


def named(
    slots: Callable[[Model, Released], Iterable[Slot]],
    prepare: Callable[[Arrays], Arrays] = lambda arrays: arrays,
) -> Fill:
    """Fill a network by the names of its arrays; see the module."""

    def fill(model: Model, released: Released, averaged: bool) -> Weights:
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


_ADM = (
    named(adm_family.slots),
    lambda experiment, released: None,
    adm_family.fields,
    adm_family.export,
    adm_family.exports,
    True,
)
_REFINENET = (refinenet.propose, named(refinenet.slots, refinenet.prepare), refinenet.check)

FAMILIES: Mapping[str, Family] = {
    "ncsn": Family(("ncsn",), *_REFINENET),
    "ncsnv2": Family(("ncsnv2",), *_REFINENET),
    "edm": Family(
        ("unet", "adm"),
        edm_family.propose,
        named(edm_family.slots, edm_family.prepare),
        edm_family.check,
        edm_family.fields,
        edm_family.export,
        edm_family.exports,
    ),
    "edm2": Family(
        ("edm2",),
        edm_family.propose2,
        named(edm_family.slots2),
        fields=edm_family.fields,
        export=edm_family.export2,
    ),
    "sit": Family(
        ("dit",),
        transformer_family.propose_sit,
        named(transformer_family.slots_sit),
        fields=transformer_family.fields_dit,
        export=transformer_family.export_sit,
        exports=transformer_family.is_sit,
        alone=True,
    ),
    "dit": Family(
        ("dit",),
        transformer_family.propose_dit,
        named(transformer_family.slots_dit),
        fields=transformer_family.fields_dit,
        export=transformer_family.export_dit,
        exports=transformer_family.is_dit,
        alone=True,
    ),
    "uvit": Family(
        ("uvit",),
        transformer_family.propose_uvit,
        named(transformer_family.slots_uvit),
        fields=transformer_family.fields_uvit,
        export=transformer_family.export_uvit,
        alone=True,
    ),
    "guided_diffusion": Family(("adm",), adm_family.propose, *_ADM),
    "improved_diffusion": Family(("adm",), adm_family.propose, *_ADM),
    "guided_diffusion_classifier": Family(
        ("adm_classifier",), adm_family.propose_classifier, *_ADM
    ),
    "oobleck": Family(
        ("sound_autoencoder",),
        oobleck.propose,
        named(oobleck.slots, oobleck.prepare),
        fields=oobleck.fields,
    ),
    "song": Family(("unet",), song_family.propose, song_family.fill, song_family.check),
    OURS: Family(
        tuple(NETWORKS),
        own_family.propose,
        named(own_family.places),
        export=own_family.export,
        model=abstract.variables,
    ),
}
