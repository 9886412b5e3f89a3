"""What a GPU or a TPU is given of a step of training: its program is lowered for them here.

Before XLA's own passes, so what is asserted is what no pass has to mend.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.scaling import cases
from score_sde.training.optimizer import optimizer
from score_sde.training.options import OptimOptions
from score_sde.training.state import TrainState, init_state
from score_sde.training.step import make_train_step

PLATFORMS = "cuda", "tpu"
HALF = {"model.dtype": "bfloat16"}
# A U-Net with FIR filters and a pyramid, and a transformer.
SMALL = {
    "cifar_ve": {"model.channels": 32, "model.num_res_blocks": 1, "model.channel_mult": (1, 2)},
    "imagenet256_dit": {"model.channels": 64, "model.depth": 2, "model.heads": 4},
}


@pytest.fixture(scope="module", params=SMALL)
def programs(request):
    """The name of a recipe, its programs by platform, and the arrays of its state."""
    experiment = cases.experiment_of(request.param, SMALL[request.param] | HALF)
    network, options = experiment.network, experiment.training
    optimise = optimizer(experiment.optim, options.steps)
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(lambda k: init_state(k, network, optimise, options.averages), key)
    step = jax.jit(
        make_train_step(experiment.loss, optimise, project=network.project), donate_argnums=0
    )
    traced = step.trace(state, cases.batch_of(experiment, (1, 4)), experiment.fixed, key)
    texts = {name: traced.lower(lowering_platforms=(name,)).as_text() for name in PLATFORMS}
    return request.param, texts, jax.tree.leaves(state)


def each(texts, pattern):
    return [found for text in texts.values() for found in re.findall(pattern, text)]


def sizes(shape):
    return [int(size) for size in shape.split("x") if size]


def test_the_host_is_not_asked(programs):
    """Nothing but arithmetic: no callback, no transfer, no call of a library of the host."""
    _, texts, _ = programs
    assert not each(texts, r"custom_call|infeed|outfeed|stablehlo\.(?:send|recv)")


def test_every_array_of_the_state_becomes_one_of_the_next(programs):
    _, texts, state = programs
    for text in texts.values():
        assert text.count("tf.aliasing_output") == len(state)


def test_images_stay_as_they_lie(programs):
    """Between convolutions nothing is transposed but kernels, and axes of one of them."""
    name, texts, _ = programs
    shapes = [
        sizes(shape) for shape in each(texts, r"stablehlo\.transpose.*\(tensor<([\dx]+)x\w+>")
    ]
    moved = [[size for size in shape if size > 1] for shape in shapes]
    if name == "cifar_ve":
        layouts = each(texts, r"stablehlo\.convolution.*dim_numbers = (\[.*?\]x\[.*?\])")
        # A kernel's gradient convolves images over the batch: its features are the batch.
        assert {layout.split("x")[0] for layout in layouts} == {"[b, 0, 1, f]", "[f, 0, 1, b]"}
        # One head of attention has [batch, tokens, features], and a dense kernel two axes.
        assert all(len(shape) <= 3 or shape == [4, 32, 32, 3] for shape in moved)
    else:  # tokens are made of patches, and go to their heads
        assert sum(len(shape) >= 4 for shape in moved) <= 20


def test_products_are_in_half_precision(programs):
    """But for the embedding of the noise level, of which there is one row an example."""
    _, texts, _ = programs
    products = each(texts, r"stablehlo\.(?:dot_general|convolution).* : \((.*)\) ->")
    assert len(products) > 60
    for operands in products:
        shapes = re.findall(r"tensor<([\dx]+)x(\w+)>", operands)
        assert {dtype for _, dtype in shapes} == {"bf16"} or all(
            len(sizes(shape)) == 2 for shape, _ in shapes
        ), operands


def test_sums_exponentials_and_the_state_are_in_float32(programs):
    """Sums over more than one number: norms, gradients of biases, losses."""
    _, texts, state = programs
    of_axes = r"stablehlo\.add across dimensions = \[(.+?)\]"
    sums = each(texts, of_axes + r" : \(tensor<((?:\d+x)+)(\w+)>")
    assert len(sums) > 40
    for axes, shape, dtype in sums:
        over = [sizes(shape)[int(axis)] for axis in axes.split(",")]
        assert dtype != "bf16" or np.prod(over) == 1, (axes, shape)
    logits = each(texts, r"stablehlo\.exponential .*tensor<(?:\d+x)*256x256x(\w+)>")
    assert set(logits) == {"f32"}
    assert {str(array.dtype) for array in state} <= {"float32", "int32"}


def test_filters_are_slices_and_no_convolutions(programs):
    """A filter and its derivative are one pass over an image: XLA fuses slices and sums."""
    name, texts, _ = programs
    groups = each(texts, r"feature_group_count = (\d+)")
    assert set(groups) <= {"1"}
    if name == "cifar_ve":
        assert not each(texts, r"stablehlo\.(?:gather|scatter)\b")


def test_after_the_gradient_every_array_is_gone_through_once():
    """But for the norm that clips it: what follows is arithmetic of number by number, which fuses.

    Adam, two averages and the bookkeeping of the step.
    """
    shapes = {"a": (64, 96), "b": (96,)}
    params = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    optimise = optimizer(OptimOptions(clip=1.0), 100)
    state = jax.eval_shape(
        lambda params: TrainState(
            jnp.int32(0), params, {}, optimise.init(params), dict.fromkeys(("0.9", "0.99"), params)
        ),
        params,
    )

    def loss(key, params, constants, space, batch, step):  # whose gradient is what it is given
        return sum((params[name] * batch[name][0]).sum() for name in shapes)[None]

    batch = {
        name: jax.ShapeDtypeStruct((1, 1, *shape), jnp.float32) for name, shape in shapes.items()
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    traced = jax.jit(make_train_step(loss, optimise)).trace(state, batch, (), key)
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    of_arrays = re.findall(r"stablehlo\.(\w+)\b.*tensor<(?:64x96|96)xf32>\S*$", text, re.MULTILINE)
    elementwise = {"add", "subtract", "multiply", "divide", "sqrt", "select", "power", "negate"}
    assert {*of_arrays} <= elementwise | {"broadcast_in_dim", "reshape", "constant", "convert"}
    norms = re.findall(r"stablehlo\.reduce\(.*\(tensor<(?:64x96|96)xf32>", text)
    # The loss; then what clips, and what metrics.csv has, which are equal, so that XLA makes one.
    assert len(norms) == 3 * len(shapes)
