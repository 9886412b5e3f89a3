"""What an objective cannot train or a sampler cannot draw is said when it is built."""

import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled
from made_info import image_info

from score_sde import fields
from score_sde.data import Info
from score_sde.errors import UserError
from score_sde.runs import build, train
from score_sde.runs import config as configs

INFO = image_info("digits", "train", 9, (8, 8, 1), 10, 17)
FLOW = {
    "sde.name": "rectified_flow",
    "model.parametrization": "velocity",
    "sampling.sampler": "euler",
    "sampling.grid": "uniform",
}
JUMP = FLOW | {"sampling.sampler": "jump", "objective.name": "mean_flow", "sde.t_max": 1.0}
ICT = {
    "sde.name": "edm",
    "model.parametrization": "edm",
    "objective.name": "ict",
    "sampling.sampler": "jump",
}
LEARNED = {
    "sde.name": "ddpm",
    "objective.denoising.times": "discrete",
    "objective.denoising.learned_variance": True,
}
AUGMENTED = {"space.pixels.augmentations": ("xflip", "yflip")}
COUPLED = FLOW | {
    "objective.name": "flow_matching",
    "objective.flow_matching.coupling": "optimal_transport",
}


def built(changes, network="unet"):
    """An experiment of digits with a tiny network."""
    config = configs.default(network)
    small = {"channels": 4, "channel_mult": (1,), "num_res_blocks": 1, "attn_resolutions": ()}
    fields = {f"model.{name}": v for name, v in small.items()} | dict(changes)
    for path, value in fields.items():
        configs.set_field(config, path, value)
    return build.experiment(config, INFO)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (JUMP | {"objective.mean_flow.guidance": 2.0}, "compare with the model that is told noth"),
        (
            JUMP | {"objective.mean_flow.mix": 0.5, "conditions.fields": ("label",)},
            "give config.conditions.fields, and their dropout",
        ),
        (ICT | {"model.parametrization": "x0"}, "parametrization=x0 does not go with config.obj"),
        (ICT | FLOW | {"sampling.sampler": "jump", "sde.t_max": 1.0}, "level of ict is infinite"),
        (
            FLOW | {"sde.t_max": 1.0, "objective.denoising.times": "importance"},
            "weight of times=importance is infinite where no signal is left",
        ),
        (COUPLED | AUGMENTED, "within classes, and augment is no class"),
        (LEARNED | {"space.pixels.centered": False}, r"learned_variance is of data in \[-1, 1\]"),
        (
            {"sde.name": "ddpm", "sampling.sampler": "improved_ddpm"},
            "sampler=improved_ddpm uses a variance that the model has learnt",
        ),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(changes, message):
    with pytest.raises(UserError, match=message):
        built(changes.items())


@pytest.mark.parametrize(
    "changes",
    [
        JUMP
        | {
            "objective.mean_flow.guidance": 2.0,
            "conditions.fields": ("label",),
            "conditions.label.dropout": 0.1,
        },
        COUPLED | {"conditions.fields": ("label",)},
        LEARNED | {"sampling.sampler": "improved_ddpm"},
    ],
)
def test_what_can_work_is_not(changes):
    assert built(changes.items()).parameters > 0


def of_tokens(**changes):
    """An experiment of words that are told a label, with a tiny network that is told the time."""
    info = Info("words", "train", 9, (fields.tokens(5, 4), fields.label(2)))
    config = configs.default("token_transformer")
    config.model.update(channels=4, depth=1, heads=1, timed=True)
    config.sde.name = config.objective.name = "masked"
    config.space.name, config.sampling.sampler = "tokens", "unmasking"
    config.conditions.fields = ("label",)
    for path, value in changes.items():
        configs.set_field(config, path, value)
    return build.experiment(config, info)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.noise_label": "log_sigma"}, "noise_label=log_sigma means nothing where no signal"),
        ({"model.noise_label": "ratio"}, "noise_label=ratio means nothing where no signal is left"),
        ({"model.noise_label": "level"}, "noise_label=level needs a discrete sequence"),
        ({"guidance.scale": 2.0, "guidance.rescale": 0.5}, "this model draws tokens: use .*cale=0"),
        ({"guidance.name": "adaptive_projected", "guidance.scale": 2.0}, "this model draws tokens"),
    ],
)
def test_what_tokens_are_not(changes, message):
    """They have no x0 and no eps, and at the end of their process nothing is left."""
    with pytest.raises(UserError, match=message):
        of_tokens(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"guidance.scale": 2.0},
        {"guidance.scale": 1.0, "guidance.rescale": 0.5},
        {"model.noise_label": "total_noise"},
    ],
)
def test_what_tokens_are(changes):
    assert of_tokens(**changes).parameters > 0


def test_an_objective_with_arrays_of_its_own_leaves_a_network_its_unit_size():
    """A learned noise schedule beside EDM2's network, which forces its weights in each step."""
    changes = {"objective.name": "variational"}
    network = built(changes.items(), "edm2").network
    params = {path: 3 * jnp.ones_like(array) for path, array in filled(network)[0].items()}
    projected = network.project(params)
    assert projected.keys() == params.keys()
    name = next(path for path in params if path.endswith("conv_in/kernel"))
    np.testing.assert_allclose(jnp.sqrt(jnp.mean(projected[name] ** 2)), 1, rtol=1e-3)
    beside = [path for path in params if path.startswith("objective/")]
    assert beside
    assert all((projected[path] == 3).all() for path in beside)


def test_the_uncertainty_of_edm2_is_that_of_its_network():
    """No second one stands beside it; it is told of the noise as the network is."""
    changes = {"sde.name": "edm", "objective.denoising.uncertainty": True}
    changes["model.noise_label"] = "log_sigma"
    found = built(changes.items(), "edm2")
    assert not any(path.startswith("objective/") for path in found.network.shapes[0])
    params, constants = filled(found.network)
    told = jnp.log(jnp.array([0.5, 2.0])) / 4
    expected = found.network.apply(params, constants, told, method="log_variance")
    u = found.own(params, constants, found.sde, jnp.array([0.5, 2.0]))
    np.testing.assert_allclose(u, expected, rtol=1e-6)
    assert u.shape == (2,)


def test_networks_that_encoders_tell_are_not_trained_without():
    """At the first step nothing would tell them of a text."""
    config = configs.default("cross_unet")
    small = {"widths": (8,), "transformer_depth": (1,), "heads": (1,), "groups": 1}
    for name, value in small.items():
        configs.set_field(config, f"model.{name}", value)
    experiment = build.experiment(config, INFO)
    with pytest.raises(UserError, match=r"config.text.field is empty: .* told text, .*init_from"):
        train.check(experiment, build.mesh(config))
