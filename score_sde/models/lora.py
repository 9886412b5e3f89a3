"""Low-rank adaptation: training small factors beside the weights of a network, which stay.

A layer's kernel W, [*k, in, out] with the kernel *k of a convolution, is taken for (Hu et al. 2021,
arXiv 2106.09685, equation 3)

    W' = W + (alpha / rank) down up,    down [*k, in, rank],    up [rank, out]               (1)

`up` begins at zero, so that W' = W, bit for bit; `down` is drawn, normal with a variance of one
over the inputs, *k and in. Of layers that are stacked along a first axis each has its own factors.

A linear layer does not put W' together, but computes

    x W' = x W + (alpha / rank) (x down) up,                                                 (2)

so that no gradient of the size of W is made, nor W' itself; other layers do.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import math
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp

from score_sde import sections
from score_sde.models.adapter import Adapter
from score_sde.models.functional import Arrays, Functional
from score_sde.models.linear import linear
from score_sde.values import Every, Length, Name, Positive

FACTORS = "lora"  # before the path of a kernel, in those of its factors
_KEY = 0x6C6F7261  # far from the counts that a network's own keys are folded with


@dataclasses.dataclass(frozen=True)
class LoRA(Adapter):
    """The section `training.lora` of a config.

    Attributes:
        rank: of the factors; 0 to train the network itself.
        alpha: equation 1; None for the rank.
        layers: which layers are adapted, those whose path matches one of these patterns with * and
            ?, such as "*attention*"; of those, the kernels are.
    """

    PREFIX: ClassVar[str] = FACTORS

    rank: Every = 0
    alpha: Positive | None = None
    layers: Annotated[tuple[Name, ...], Length(1, 1000)] = ("*",)

    def __post_init__(self) -> None:
        sections.check(self, "config.training.lora.")

    @property
    def scale(self) -> float:
        """Alpha / rank."""
        return 1.0 if self.alpha is None else self.alpha / self.rank

    def adapts(self, path: str) -> bool:
        """Whether a parameter is adapted, by its path."""
        layer, _, name = path.rpartition("/")
        return name == "kernel" and any(fnmatch.fnmatchcase(layer, p) for p in self.layers)

    @property
    def said(self) -> str:
        """See Adapter."""
        return f"config.training.lora.rank={self.rank}" if self.rank else ""

    def adapted(self, network: Functional) -> Functional:
        """See Adapter; ValueError if no layer is adapted."""
        if not self.rank:
            return network
        kernels = {path: a for path, a in network.shapes[0].items() if self.adapts(path)}
        if not kernels:
            raise ValueError(
                f"config.training.lora.layers={self.layers} are none of the network's, such as "
                f"{next(iter(network.shapes[0])).rpartition('/')[0]}"
            )

        def init(key: jax.Array) -> tuple[Arrays, Arrays]:
            params, constants = network.init(key)
            keys = jax.random.split(jax.random.fold_in(key, _KEY), len(kernels))
            found: Arrays = {}
            for of_kernel, (path, kernel) in zip(keys, kernels.items(), strict=True):
                down, up = self._shapes(kernel.shape)
                size = 1 / math.sqrt(math.prod(kernel.shape[len(kernel.shape) % 2 : -1]))
                found[_down(path)] = size * jax.random.normal(of_kernel, down, kernel.dtype)
                found[_up(path)] = jnp.zeros(up, kernel.dtype)
            return found, params | constants

        def apply(params: Arrays, constants: Arrays, *args: Any, **kwargs: Any) -> Any:
            return network.apply(*self._arrays(network, params, constants), *args, **kwargs)

        def of(shape: tuple[int, ...], path: str) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(shape, kernels[path].dtype)

        factors = {}
        for path, kernel in kernels.items():
            down, up = self._shapes(kernel.shape)
            factors |= {_down(path): of(down, path), _up(path): of(up, path)}
        return Functional(init, apply, (factors, network.shapes[0] | network.shapes[1]))

    def _shapes(self, kernel: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of down and up."""
        stacked = kernel[: len(kernel) % 2]
        return (*kernel[:-1], self.rank), (*stacked, self.rank, kernel[-1])

    def _arrays(
        self, network: Functional, params: Arrays, constants: Arrays
    ) -> tuple[Arrays, Arrays]:
        """Parameters and constants of the network with W' in the place of W."""
        of_network = {path: constants[path] for path in network.shapes[0]}
        rest = {path: array for path, array in constants.items() if path not in of_network}
        apart = {
            path: Apart(of_network[path], down, self.scale * up)
            for path, (down, up) in factors(params).items()
            if path in network.linear
        }
        return self.merged(params, of_network) | apart, rest

    def whole(self, arrays: Arrays) -> Arrays:
        """See Adapter: the network, with W' in the place of W."""
        merged = self.merged(arrays, arrays)
        return {path: array for path, array in merged.items() if not self.owns(path)}

    def merged(self, own: Arrays, params: Arrays) -> Arrays:
        """The parameters of a network with W' of equation 1 in the place of W.

        Args:
            own: the factors, by their paths, see `factors`; others are ignored.
            params: of the network.
        """
        return params | {
            path: w + self.scale * product(own[_down(path)], own[_up(path)]).astype(w.dtype)
            for path, w in params.items()
            if _down(path) in own
        }


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Apart:
    """W' of a linear layer in the place of its kernel, which a layer only multiplies by.

    Attributes:
        kernel: W, [in, out], or [depth, in, out] of stacked layers.
        down: [in, rank], likewise.
        up: times alpha / rank, [rank, out], likewise.
    """

    kernel: jax.Array
    down: jax.Array
    up: jax.Array

    @property
    def ndim(self) -> int:
        """As many axes as W."""
        return self.kernel.ndim

    def __getitem__(self, index: Any) -> Apart:
        """Itself, as layers read their arrays: kernel[...]."""
        return self

    def astype(self, dtype: jnp.dtype) -> Apart:
        """In another dtype."""
        return jax.tree.map(lambda array: array.astype(dtype), self)

    def __rmatmul__(self, x: jax.Array) -> jax.Array:
        """x W' by equation 2."""
        return linear(x, self.kernel) + linear(linear(x, self.down), self.up)


def product(down: jax.Array, up: jax.Array) -> jax.Array:
    """`down` times `up`, of the shape of their kernel; of each of stacked layers its own."""
    stacked = up.shape[:-2]
    flat = down.reshape(*stacked, -1, down.shape[-1])
    return (flat @ up).reshape(*down.shape[:-1], up.shape[-1])


def factors(arrays: Arrays) -> dict[str, tuple[jax.Array, jax.Array]]:
    """(down, up) among parameters, by the path of their kernel."""
    paths = [p.removeprefix(f"{FACTORS}/").removesuffix("/down") for p in arrays]
    return {p: (arrays[_down(p)], arrays[_up(p)]) for p in paths if _down(p) in arrays}


def _down(path: str) -> str:
    return f"{FACTORS}/{path}/down"


def _up(path: str) -> str:
    return f"{FACTORS}/{path}/up"
