"""MMDiT, Flux and PixArt: training, sizes, masks, precision. Numbers: interop/components."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde.models.flux import Flux
from score_sde.models.functional import functional
from score_sde.models.mmdit import MMDiT
from score_sde.models.pixart import PixArt

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

TEXT, POOLED = 5, 6
SMALL = {
    MMDiT: {"channels": 12, "heads": 2, "depth": 2, "dual": (0,), "positions": 5},
    Flux: {"heads": 2, "axes": (2, 2, 4), "depth": 2, "single_depth": 2},
    PixArt: {"channels": 12, "heads": 2, "depth": 2},
}
each = pytest.mark.parametrize("network", SMALL, ids=lambda network: network.__name__)


def make(network, **options):
    options = {"shape": (4, 4, 2), "text_features": TEXT, **SMALL[network], **options}
    if network is not PixArt:
        options["pooled_features"] = POOLED
    return functional(lambda rngs: network(**options, rngs=rngs))


def batch(network):
    """Images of another size than the network was made for, and all that it is told."""
    rng = np.random.default_rng(0)
    x, text, pooled = (rng.standard_normal((2, *n)) for n in ((4, 6, 2), (3, TEXT), (POOLED,)))
    told = {"text": text, "text_mask": np.array([[1, 1, 0], [1, 1, 1]])}
    told |= {
        MMDiT: {"pooled": pooled},
        Flux: {"pooled": pooled, "guidance": np.array([0.01, 0.02])},
        PixArt: {"sizes": np.array([[4.0, 6.0, 0.7], [2.0, 5.0, 0.4]])},
    }[network]
    time = np.array([0.4, 0.9]) if network is Flux else np.array([4.0, 90.0])
    return jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), (x, time, told))


@functools.cache
def gradients(network):
    """Of the sum of squares, by the parameters and by the text."""
    x, time, told = batch(network)
    model = make(network, remat=True)
    params, constants = filled(model)

    def loss(params, text):
        return (model.apply(params, constants, x, time, {**told, "text": text}) ** 2).sum()

    return quick_jit(jax.grad(loss, argnums=(0, 1)))(params, told["text"])


@each
def test_every_parameter_of_every_block_matters(network):
    """But the queries of the text in MMDiT's last block, which nothing is added to."""
    for name, g in gradients(network)[0].items():
        stacked = "/block/" in name
        matters = [np.abs(one).max() > 0 for one in (g if stacked else g[None])]
        read = network is not MMDiT or name != "stacks/1/block/text/attention/query_norm/scale"
        assert all(matters) == read, name


@each
def test_masked_text_is_not_seen(network):
    """No gradient reaches the last token of the first example, which the mask hides."""
    by_text = np.abs(gradients(network)[1]).max(-1) > 0
    np.testing.assert_array_equal(by_text, [[True, True, False], [True, True, True]])


@each
def test_it_starts_as_no_function(network):
    """The last layer is nearly zero, and so is what blocks add: gates, or PixArt's text."""
    params, _ = quick_jit(make(network).init)(jax.random.key(0))
    small = {name for name, a in params.items() if "kernel" in name and np.abs(a).max() < 1e-4}
    told = "cross_attention/out" if network is PixArt else "modulation"
    wanted = {name for name in params if "kernel" in name and (told in name or "dense_out" in name)}
    if network is Flux:
        wanted -= {"single/block/dense_out/kernel"}
    if network is PixArt:
        wanted -= {"modulation/kernel"}
    assert small == wanted


@each
def test_a_deep_network_is_no_larger_a_program(network):
    """With 25 blocks, in at most 1.01 times the text of that with 5."""
    x, time, told = batch(network)

    def program(depth):
        depths = {"single_depth": depth} if network is Flux else {}
        model = make(network, depth=depth, **depths)
        apply = lambda p, c: model.apply(p, c, x, time, told)  # noqa: E731
        return len(str(jax.make_jaxpr(apply)(*model.shapes)))

    assert program(25) < 1.01 * program(5)


@each
def test_precision(network, x64):
    """What comes out is float32, or float64 where x is."""
    x, time, told = batch(network)
    for dtype, wide in ((jnp.float32, jnp.float32), (jnp.float64, jnp.float64)):
        model = make(network, dtype=jnp.bfloat16, param_dtype=jnp.bfloat16)
        out = jax.eval_shape(model.apply, *model.shapes, x.astype(dtype), time, told)
        assert out.dtype == wide
        assert out.shape == x.shape


@each
def test_what_it_is_told_must_fit(network):
    """A condition that is missing, unknown or of another shape; channels; patches."""
    x, time, told = batch(network)
    model = make(network)
    call = functools.partial(jax.eval_shape, model.apply, *model.shapes)
    for change, message in (
        ({"text": None}, "cond has no text"),
        ({"label": time}, "this network is not told label"),
        (
            {"text": told["text"][:, :, :2]},
            r"text is \(2, 3, 2\); this network is told \[2, any, 5",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            call(x, time, {**told, **change})
    with pytest.raises(ValueError, match="this network is for images of 2 channels"):
        call(x[..., :1], time, told)
    with pytest.raises(ValueError, match="width 5 is no multiple of the patch"):
        call(x[:, :, :5], time, told)


def test_a_block_that_is_skipped_adds_nothing():
    """As one whose modulation is zero, gates too; here a dual one and the last."""
    x, time, told = batch(MMDiT)
    model = make(MMDiT, depth=3, dual=(0, 1))
    params, constants = filled(model)
    closed = dict(params)
    for name, block in (("stacks/0", 1), ("stacks/1", 0)):
        for stream in ("text", "image"):
            for part in ("kernel", "bias"):
                path = f"{name}/block/{stream}/modulation/{part}"
                closed[path] = params[path].at[block].set(0)

    @quick_jit
    def run(params, closed):
        apply = functools.partial(model.apply, constants=constants, cond=told)
        ours = {"x": x, "noise_label": time}
        return (
            apply(params, skip=(1, 2), **ours),
            apply(closed, **ours),
            apply(params, **ours),
        )

    skipped, shut, whole = run(params, closed)
    np.testing.assert_allclose(skipped, shut, rtol=1e-5, atol=1e-5)
    assert np.abs(skipped - whole).max() > 1e-2
    with pytest.raises(ValueError, match="skip: there is no block 3, of 3"):
        jax.eval_shape(functools.partial(model.apply, skip=(3,)), *model.shapes, x, time, told)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (MMDiT, {"channels": 14}, "channels=14 must be a multiple of 4"),
        (MMDiT, {"heads": 5}, "channels=12 must be a multiple of heads=5"),
        (MMDiT, {"dual": (2,)}, "dual: there is no block 2, for depth=2"),
        (MMDiT, {"positions": 1}, "positions=1: data have 2 patches a side"),
        (Flux, {"axes": (2, 3, 3)}, "must be even numbers"),
        (PixArt, {"channels": 16}, "channels=16 must be a multiple of 3, with sized"),
        (PixArt, {"channels": 18}, "channels=18 must be a multiple of 4"),
    ],
)
def test_options_that_cannot_be(network, options, message):
    """Each with a message that says what would."""
    with pytest.raises(ValueError, match=message):
        make(network, **options)


def test_an_image_that_is_too_large_for_mmdit():
    """Its table of positions ends."""
    _, time, told = batch(MMDiT)
    model, wide = make(MMDiT), jnp.zeros((2, 12, 4, 2))
    with pytest.raises(ValueError, match="at most 10 pixels a side"):
        jax.eval_shape(model.apply, *model.shapes, wide, time, told)
