"""A network whose learning rate was found for another width: what `optim.base` of a config says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flax import nnx
from ml_collections import ConfigDict

from score_sde import models, values
from score_sde.checks import check_name
from score_sde.errors import UserError, first_line
from score_sde.models import arguments, width
from score_sde.models.functional import Functional


def widened(
    config: ConfigDict,
    network: Functional,
    make: Callable[[nnx.Rngs], nnx.Module],
    of_base: Callable[[Mapping[str, Any]], Callable[[nnx.Rngs], nnx.Module]],
    beside: str,
) -> tuple[Functional, width.Factors]:
    """The network as it starts, and the learning rates of its arrays over the base's.

    Args:
        config: the config.
        network: the network.
        make: makes it.
        of_base: of a section `model`, makes that network of the same data.
        beside: the field that has something else trained than the network; "" for none.

    Raises:
        UserError: the base is no network, or differs from it in more than widths.
    """
    texts = config.optim.base
    if not texts:
        return network, {}
    option = f"config.optim.base={texts}"
    if beside:
        raise UserError(f"{option} is of a network that is trained itself, not of {beside}")
    try:
        base = of_base({**config.model, **_fields(config.model.name, texts)})
        found = width.widening(make, base)
    except ValueError as error:
        raise UserError(f"{option}: {first_line(error)}") from error
    return width.started(network, found.starts), found.rates


def _fields(network: str, texts: Sequence[str]) -> dict[str, Any]:
    """The values of fields of the section `model`, from "FIELD=VALUE" each."""
    found, options = {}, arguments.options(models.NETWORKS[network])
    for text in texts:
        name, says, value = text.partition("=")
        if not says:
            raise ValueError(f"{text!r}: give FIELD=VALUE of the section model, as channels=64")
        check_name("field", name, options)
        found[name] = values.literal(value)  # or a name, such as that of a size
        values.check(name, found[name], options[name].annotation)
    return found
