"""Operations are counted exactly: each number here was worked out by hand."""

import itertools

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from score_sde.models import DiT
from score_sde.models.attention import attend
from score_sde.models.conv import conv2d
from score_sde.models.functional import functional
from score_sde.training.flops import count


def of(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def test_products():
    assert count(jnp.matmul, of(3, 5), of(5, 7)) == 2 * 3 * 5 * 7
    assert count(
        lambda a, b: jnp.einsum("bhqd,bhkd->bhqk", a, b), of(2, 3, 4, 8), of(2, 3, 5, 8)
    ) == (2 * (2 * 3) * 4 * 5 * 8)
    assert count(jnp.sin, of(9)) == 0


def test_of_a_choice_by_platform_the_default_counts():
    """Of a GPU's kernel the products cannot be seen."""

    def chosen(x):
        kernel = lambda x: jax.pure_callback(lambda x: x, x, x) @ x @ x  # noqa: E731
        return lax.platform_dependent(x, cuda=kernel, default=lambda x: x @ x)

    assert count(chosen, of(5, 5)) == 2 * 5**3


def test_attention_in_half_precision_counts_as_in_full():
    """Two products forwards and four backwards, 2 n m d each for a head."""
    for dtype in (jnp.float32, jnp.bfloat16):
        args = [jax.ShapeDtypeStruct((2, 16, 3, 8), dtype)] * 3
        loss = lambda *qkv: attend(*qkv).sum()  # noqa: E731
        assert count(loss, *args) == 2 * (2 * 3) * (2 * 16 * 16 * 8)
        assert count(jax.grad(loss, (0, 1, 2)), *args) == 6 * (2 * 3) * (2 * 16 * 16 * 8)


def xla_conv2d(x, kernel, stride):
    layout = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), ((1, 1), (1, 1)), dimension_numbers=layout
    )


@pytest.mark.parametrize("conv", [conv2d, xla_conv2d])
@pytest.mark.parametrize(("stride", "out"), [(1, 8), (2, 4)])
def test_a_convolution_and_its_derivatives(conv, stride, out):
    """Each derivative costs what the convolution does."""

    def loss(x, kernel):
        return conv(x, kernel, stride=stride).sum()

    args, once = (of(2, 8, 8, 3), of(3, 3, 3, 5)), 2 * (2 * out * out * 5) * (3 * 3 * 3)
    assert count(loss, *args) == once
    assert count(jax.grad(loss, (0, 1)), *args) == 3 * once


def test_a_convolution_of_groups():
    def depthwise(x, kernel):
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=layout, feature_group_count=6
        )

    assert count(depthwise, of(2, 8, 8, 6), of(3, 3, 1, 6)) == 2 * (2 * 8 * 8 * 6) * 9


def test_a_dense_network_and_its_gradient():
    """Of a layer three products, but the first, whose input has no gradient."""
    sizes = (4, 16, 16, 2)
    layers = list(itertools.pairwise(sizes))
    weights = [of(*layer) for layer in layers]

    def loss(weights, x):
        for kernel in weights:
            x = jnp.tanh(x @ kernel)
        return x.sum()

    forward = 2 * 5 * sum(a * b for a, b in layers)
    assert count(loss, weights, of(5, 4)) == forward
    assert count(jax.grad(loss), weights, of(5, 4)) == 3 * forward - 2 * 5 * 4 * 16


def test_what_is_inside_other_functions():
    square = of(4, 4)
    once = 2 * 4**3

    def loop(a):
        return lax.scan(lambda x, _: (jax.jit(jnp.matmul)(x, a), None), a, length=10)[0]

    def either(a):
        return lax.cond(a[0, 0] > 0, lambda a: a @ a @ a, lambda a: a @ a, a)

    @jax.custom_jvp
    def own(a):
        return a @ a

    own.defjvp(lambda primals, tangents: (own(*primals), tangents[0] @ primals[0]))

    assert count(loop, square) == 10 * once
    assert count(either, square) == 2 * once
    assert count(own, square) == once
    assert count(jax.vmap(loop), of(3, 4, 4)) == 3 * 10 * once
    # Computed again, and two products of its derivative.
    again = jax.checkpoint(lambda a: jnp.sin(jnp.sin(a @ a)))
    assert count(jax.grad(lambda a: again(a).sum()), square) == 4 * once


def test_what_cannot_be_counted_is_refused():
    def until(a):
        return lax.while_loop(lambda x: x.sum() < 1, lambda x: x @ a, a)

    with pytest.raises(ValueError, match="while loop"):
        count(until, of(4, 4))
    assert count(lambda a: lax.while_loop(lambda x: x < 9, lambda x: x + a, a), of()) == 0


@pytest.mark.parametrize(("size", "published"), [("S/2", 6.06), ("XL/2", 118.64)])
def test_published_counts(size, published):
    """Multiply-adds of DiT on 32x32 latents, in 1e9 (Peebles and Xie 2022, arXiv 2212.09748)."""
    shape = (32, 32, 4)
    network = functional(lambda rngs: DiT(shape=shape, size=size, learn_variance=True, rngs=rngs))
    found = count(network.apply, *network.shapes, of(1, *shape), of(1))
    assert found / 2e9 == pytest.approx(published, rel=1e-3)


def test_every_device_counts():
    auto = (jax.sharding.AxisType.Auto,) * 2
    mesh = jax.sharding.AbstractMesh((4, 2), ("data", "fsdp"), axis_types=auto)
    split = jax.sharding.PartitionSpec("data")
    each = jax.shard_map(jnp.matmul, mesh=mesh, in_specs=(split, None), out_specs=split)
    assert count(each, of(8, 4), of(4, 4)) == 2 * (2 * 8 * 4 * 4)  # twice, along fsdp
