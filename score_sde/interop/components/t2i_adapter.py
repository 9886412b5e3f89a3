"""T2IAdapter: the released adapters of Stable Diffusion 1, 2 and XL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from score_sde.interop.components import values
from score_sde.interop.components.base import Component
from score_sde.interop.layouts import CONV_1X1, affine
from score_sde.interop.slots import Slots
from score_sde.models.t2i_adapter import T2IAdapter

_READ = ("in_channels", "channels", "num_res_blocks", "downscale_factor")
# Which levels halve the size, of how many.
_HALVED = {
    "full_adapter": lambda n: (False, *(True,) * (n - 1)),
    "full_adapter_xl": lambda n: (False, False, True, *(False,) * (n - 3))[:n],
}


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of T2IAdapter, by the values of config.json; see Component."""
    values.check(config, _READ, {"adapter_type": tuple(_HALVED)})
    widths = values.present(config, "channels", (320, 640, 1280, 1280))
    kind = values.present(config, "adapter_type", "full_adapter")
    return {
        "image_channels": values.present(config, "in_channels", 3),
        "factor": values.present(config, "downscale_factor", 8),
        "widths": widths,
        "halved": _HALVED[kind](len(widths)),
        "num_res_blocks": values.present(config, "num_res_blocks", 2),
    }


def slots(model: T2IAdapter) -> Slots:
    """Every array of the adapter; see slots."""
    yield from affine("adapter.conv_in", model.conv_in)
    for i, level in enumerate(model.levels):
        prefix = f"adapter.body.{i}"
        if level.dense_in is not None:
            yield from affine(f"{prefix}.in_conv", level.dense_in, CONV_1X1)
        for j, (conv, dense) in enumerate(zip(level.convs, level.denses, strict=True)):
            yield from affine(f"{prefix}.resnets.{j}.block1", conv)
            yield from affine(f"{prefix}.resnets.{j}.block2", dense, CONV_1X1)


COMPONENT = Component(T2IAdapter, options, slots)
