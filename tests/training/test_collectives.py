"""What devices tell each other in a step of training, on eight of them: bytes, exactly."""

import pytest

from score_sde.training import collectives

pytestmark = pytest.mark.slow

# A transformer of three blocks on a mesh, what its step sends, and what its arrays are.
CODE = """
import math
import jax, jax.numpy as jnp, optax
from score_sde.models import placing
from score_sde.models.dit import DiT
from score_sde.models.functional import Maker, functional
from score_sde.training import collectives
from score_sde.training.sharding import batch_sharding, make_mesh, replicated, state_sharding
from score_sde.training.state import init_state
from score_sde.training.step import make_train_step

DEPTH, BATCH, TOKENS, WIDTH = 3, 16, 16, 64
options = {"shape": (8, 8, 3), "patch": 2, "channels": WIDTH, "depth": DEPTH, "heads": 4}
optimizer = optax.adam(1e-3)

def step(fsdp, tensor, dtype=jnp.float32):
    mesh = make_mesh(fsdp, tensor)
    network = functional(Maker(DiT, options | {"dtype": dtype})).on(mesh)
    def loss(key, params, constants, space, batch, step):
        x = batch["x"]
        return jnp.square(network.apply(params, constants, x, x[:, 0, 0, 0]) - x).mean((1, 2, 3))
    key = jax.random.key(0)
    shapes = jax.eval_shape(lambda: init_state(key, network, optimizer, ("0.99",)))
    where = state_sharding(mesh, shapes, network.splits)
    placed = lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s)
    x = jax.ShapeDtypeStruct((1, BATCH, 8, 8, 3), jnp.float32, sharding=batch_sharding(mesh, 1))
    taken = jax.jit(
        make_train_step(loss, optimizer), donate_argnums=0, out_shardings=(where, replicated(mesh))
    )
    compiled = taken.lower(jax.tree.map(placed, shapes, where), {"x": x}, (), key).compile()
    return network, mesh, collectives.of(compiled)

def bytes_of(kind):
    # Without scalars: the loss, and the sums of squares of the norm of the gradient.
    return sum(one.times * (one.bytes - 4 * sum(not shape for shape in one.shapes))
               for one in found if one.kind == kind)

def width(path):
    # The embedding of the noise level computes in float32.
    return used if path in network.cast and not path.startswith("noise_embedding/") else 4

def stored(share):
    # (bytes of stacked arrays, of the others) that are split over an axis.
    sizes = [0, 0]
    for path, array in network.shapes[0].items():
        spec = placing.stored(mesh.shape, array.shape, network.splits.get(path))
        sizes[not path.startswith("blocks/")] += width(path) * array.size * (share in spec)
    return sizes

def parameters():
    # As their gradients are reduced: those of biases are sums in float32.
    return sum((4 if path.endswith("bias") else width(path)) * array.size
               for path, array in network.shapes[0].items())

def kinds(): return {one.kind for one in found}
def counts(kind): return sum(one.times for one in found if one.kind == kind and any(one.shapes))
"""


@pytest.fixture(scope="module")
def eight(eight_devices):
    eight_devices.execute(CODE, __file__)
    return eight_devices


def test_copies_tell_each_other_every_gradient_once(eight):
    """In one reduction, as few blocks are no loop; nothing is gathered."""
    eight.execute("network, mesh, found = step(1, 1); used = 4", __file__)
    assert eight.holds("kinds() == {'all-reduce'} and {one.devices for one in found} == {8}")
    assert eight.holds("bytes_of('all-reduce') == parameters()")
    assert eight.holds("counts('all-reduce') == 1")


def test_parameters_are_gathered_where_they_are_used_and_activations_are_not(eight):
    """Blocks' twice, forward and backward, so that none is kept whole; the others once."""
    eight.execute("network, mesh, found = step(4, 1); used = 4", __file__)
    assert eight.holds("kinds() <= {'all-gather', 'all-reduce', 'reduce-scatter'}")
    assert eight.holds("min(stored('fsdp')) > 0")
    assert eight.holds("bytes_of('all-gather') == 2 * stored('fsdp')[0] + stored('fsdp')[1]")
    # Over `data` each has a quarter; here XLA reduces before that all, and slices, for a scatter.
    assert eight.holds(
        "bytes_of('all-reduce') + bytes_of('reduce-scatter') "
        "== parameters() + sum(stored('fsdp')) // 4"
    )


def test_what_layers_cast_is_sent_as_they_compute_with_it(eight):
    """Half of the bytes, of parameters and of gradients; the stored arrays stay float32.

    In float16: XLA's CPU backend widens what is sent in bfloat16, which others do not.
    """
    eight.execute("network, mesh, found = step(4, 1, jnp.float16); used = 2", __file__)
    assert eight.holds("all(a.dtype == jnp.float32 for a in network.shapes[0].values())")
    assert eight.holds("bytes_of('all-gather') == 2 * stored('fsdp')[0] + stored('fsdp')[1]")
    assert eight.holds(
        "bytes_of('all-reduce') + bytes_of('reduce-scatter') "
        "== parameters() + sum(stored('fsdp')) // 4"
    )


def test_two_sums_of_activations_end_a_block_and_two_its_backward_pass(eight):
    """Megatron's count. The queries', keys' and values' kernel goes to its heads and back."""
    eight.execute("network, mesh, found = step(1, 2); used = 4", __file__)
    activation = "(BATCH // 4 * TOKENS, WIDTH)"
    assert eight.holds(
        f"sum(one.times for one in found if one.shapes == ({activation},)) == 4 * DEPTH"
    )
    assert eight.holds(
        "{one.devices for one in found if one.kind == 'all-to-all'} == {2} "
        "and bytes_of('all-to-all') == 3 * DEPTH * 4 * (WIDTH * 3 * WIDTH // 2)"
    )
    assert eight.holds(
        f"bytes_of('all-reduce') == 4 * DEPTH * 4 * math.prod({activation}) + sum("
        "4 * array.size // (2 if path in network.splits else 1)"
        " for path, array in network.shapes[0].items())"
    )
    # Of biases that lie on every device: of 3 and 4 times as many numbers as a token has.
    assert eight.holds("bytes_of('all-gather') == DEPTH * 4 * (3 * WIDTH + 4 * WIDTH)")


@pytest.mark.parametrize(
    ("kind", "passes"), [("all-reduce", 2), ("all-gather", 1), ("reduce-scatter", 1)]
)
def test_what_a_ring_of_devices_sends(kind, passes):
    """Three quarters of the bytes among four devices, twice to reduce, in each turn of a loop."""
    one = collectives.Collective(kind, ((25,),), bytes=100, devices=4, times=3)
    assert one.sent == passes * 0.75 * 100 * 3


def test_what_is_passed_on_is_sent_whole():
    one = collectives.Collective("collective-permute", ((25,),), bytes=100, devices=2, times=3)
    assert one.sent == 300


# As XLA writes them for GPUs and TPUs, which scatter, and begin before they wait.
ELSEWHERE = """
HloModule step

%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%x, %y)
}

%more (p: (s32[], f32[8])) -> pred[] {
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

%body (p: (s32[], f32[8])) -> (s32[], f32[8]) {
  %r = f32[8,4]{1,0} reduce-scatter(%a), channel_id=1, replica_groups=[2,4]<=[8], to_apply=%add
}

ENTRY %main (a: f32[8]) -> f32[8] {
  %w = (s32[], f32[8]) while(%t), condition=%more, body=%body, \
backend_config={"known_trip_count":{"n":"5"}}
  %g = (bf16[2,4]{1,0}, bf16[8,4]{1,0}) all-gather-start(%b), replica_groups={{0,2,4,6},{1,3,5,7}}
  %d = bf16[8,4]{1,0} all-gather-done(%g)
  %s = f32[3]{0} all-reduce(%e), replica_groups={{0},{1},{2},{3},{4},{5},{6},{7}}, to_apply=%add
  ROOT %p = f32[8]{0} all-reduce(%f), replica_groups={}, to_apply=%add
}
"""


def test_what_other_platforms_compile_is_read():
    """A scatter has four times its result before; what one device alone reduces is not sent."""
    found = collectives.in_text(ELSEWHERE, 8)
    assert found == [
        collectives.Collective("reduce-scatter", ((8, 4),), 4 * 4 * 32, devices=4, times=5),
        collectives.Collective("all-gather", ((8, 4),), 2 * 32, devices=4, times=1),
        collectives.Collective("all-reduce", ((8,),), 4 * 8, devices=8, times=1),
    ]
    assert collectives.total(found, "reduce-scatter") == 5 * 4 * 4 * 32


def test_a_loop_that_turns_nobody_knows_how_often_is_refused():
    text = ELSEWHERE.replace('"known_trip_count"', '"unknown"')
    with pytest.raises(ValueError, match="how often a loop"):
        collectives.in_text(text, 8)
