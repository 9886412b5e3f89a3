"""configs/paper.py: the released configurations, whole and in small, and its help."""

import json

import jax
import numpy as np
import pytest
from made_info import image_info

from configs import cifar_subvp, cifar_ve, cifar_vp, paper
from score_sde.cli import flags, main
from score_sde.models.functional import functional
from score_sde.runs import build
from score_sde.runs import config as configs

pytestmark = pytest.mark.slow

DDPM, DDPMPP, NCSNPP, NCSNPP_256 = 35_218_947, 61_804_419, 62_693_251, 65_574_421
# The Fourier features of a VE network are twice as many as the positional ones: 128 more inputs of
# a dense layer with 512 outputs.
FOURIER = 128 * 512
DEEP = 107_586_947 - FOURIER  # published for VE
# Ho et al.'s 113,673,219 have two attention blocks of 512 channels more, one after each block of a
# level of the decoder: four 1x1 convolutions and a norm each.
DDPM_256 = 113_673_219 - 2 * (4 * (512 + 1) * 512 + 2 * 512)
# The convolutions of NCSN and NCSNv2 are the same; NCSN has three numbers for each of the 14,464
# channels that it norms and each level, NCSNv2 for the 3,456 outside of the joining blocks.
CONVOLUTIONS = 29_683_715
NCSN_SCALES = {"": 10, "_5": 10, "_124": None, "_1245": None}
REFINE = ("half_sum", "level")
# Without time: no embedding, and no layer from it to the 4992 channels of the residual blocks.
UNCONDITIONAL = DDPM - (128 + 1) * 512 - (512 + 1) * 512 - (512 + 1) * 4992
PARAMETERS = {
    "vp/ddpm/cifar10": DDPM,
    "vp/ddpm/cifar10_continuous": DDPM,
    "vp/ddpm/cifar10_unconditional": UNCONDITIONAL,
    "subvp/cifar10_ddpm_continuous": DDPM,
    "ve/cifar10_ddpm": DDPM,
    **{f"vp/cifar10_ddpmpp{end}": DDPMPP for end in ("", "_continuous")},
    "subvp/cifar10_ddpmpp_continuous": DDPMPP,
    **{f"vp/cifar10_ncsnpp{end}": NCSNPP for end in ("", "_continuous")},
    "subvp/cifar10_ncsnpp_continuous": NCSNPP,
    **{f"ve/{data}_ncsnpp": NCSNPP for data in ("cifar10", "celeba")},
    "ve/cifar10_ncsnpp_continuous": NCSNPP + FOURIER,
    **{f"{sde}/cifar10_ncsnpp_deep_continuous": DEEP for sde in ("vp", "subvp")},
    "ve/cifar10_ncsnpp_deep_continuous": DEEP + FOURIER,
    # Without the input's residual path DDPM++ is NCSN++ with as many layers more or less.
    **{f"{sde}/cifar10_ddpmpp_deep_continuous": DEEP - NCSNPP + DDPMPP for sde in ("vp", "subvp")},
    **{
        f"ve/{data}_ncsnpp_continuous": NCSNPP_256
        for data in ("bedroom", "church", "celebahq_256", "ffhq_256")
    },
    **{f"vp/ddpm/{data}": DDPM_256 for data in ("bedroom", "church", "celebahq")},
    # Not published: as they are built here.
    **{f"ve/{data}_ncsnpp_continuous": 105_785_880 for data in ("celebahq", "ffhq")},
    **{f"ve/ncsnv2/{data}": CONVOLUTIONS + 3 * 3456 for data in ("cifar10", "celeba")},
    "ve/ncsnv2/bedroom": 83_445_379,
    **{
        f"ve/ncsn/{data}{end}": CONVOLUTIONS + 3 * 14_464 * (scales or full)
        for data, full in (("cifar10", 232), ("celeba", 500))
        for end, scales in NCSN_SCALES.items()
    },
}
each_name = pytest.mark.parametrize("name", paper.NAMES)
TRACED = {}


def info(config, size):
    return image_info(config.data.name, "train", 1000, (size, size, 3), 10, 256)


def arguments_of(config):
    """What determines the network of a configuration."""
    model = configs.to_json(config)["model"]
    for field in ("parametrization", "noise_label"):  # outside the network
        del model[field]
    scales = config.sde.scales if config.model.name == "ncsn" else None
    return json.dumps([model, config.data.image_size, config.space.pixels.centered, scales])


def test_every_released_configuration_is_there():
    """The names, as the issue and the released folders have them."""
    endings = ("", "_5", "_124", "_1245")
    assert set(paper.NAMES) == {
        *(f"ve/ncsn/{data}{end}" for data in ("cifar10", "celeba") for end in endings),
        *(f"ve/ncsnv2/{data}" for data in ("cifar10", "celeba", "bedroom")),
        *(f"vp/ddpm/{data}" for data in ("bedroom", "church", "celebahq", "cifar10")),
        "vp/ddpm/cifar10_continuous",
        "vp/ddpm/cifar10_unconditional",
        *(
            f"subvp/cifar10_{net}_continuous"
            for net in ("ddpm", "ddpmpp", "ddpmpp_deep", "ncsnpp", "ncsnpp_deep")
        ),
        *(
            f"vp/cifar10_{net}{kind}"
            for net in ("ddpmpp", "ncsnpp")
            for kind in ("", "_continuous", "_deep_continuous")
        ),
        *(
            f"ve/{data}_ncsnpp_continuous"
            for data in ("bedroom", "church", "celebahq_256", "celebahq", "ffhq_256", "ffhq")
        ),
        *(f"ve/cifar10_{net}" for net in ("ddpm", "ncsnpp")),
        *(f"ve/cifar10_ncsnpp{kind}_continuous" for kind in ("", "_deep")),
        "ve/celeba_ncsnpp",
    }


@pytest.fixture
def traced(monkeypatch):
    """Networks by their arguments: the 39 configurations share some, which are traced once."""
    found, here = TRACED, {}

    def shared(make):
        if here["arguments"] not in found:
            found[here["arguments"]] = functional(make)
        return found[here["arguments"]]

    monkeypatch.setattr(build, "functional", shared)

    def built(config):
        here["arguments"] = arguments_of(config)
        return build.experiment(config, info(config, config.data.image_size))

    return built


@each_name
def test_it_builds_at_full_size(name, traced):
    """Abstractly: no array is made. The number of parameters is the published one."""
    assert traced(paper.get_config(name)).parameters == PARAMETERS[name]


@pytest.mark.parametrize(
    "name",
    [
        "vp/ddpm/cifar10",
        "vp/ddpm/celebahq",
        "vp/cifar10_ddpmpp_deep_continuous",
        "ve/cifar10_ncsnpp_continuous",
        "ve/church_ncsnpp_continuous",
        "ve/ffhq_ncsnpp_continuous",
        "ve/ncsn/celeba",
        "ve/ncsnv2/bedroom",
    ],
)
def test_its_loss_at_full_size(name, traced):
    """Abstractly, one configuration of each network: every layer meets images of its size."""
    config = paper.get_config(name)
    size = config.data.image_size
    experiment = traced(config)
    batch = {
        "image": jax.ShapeDtypeStruct((2, size, size, 3), np.uint8),
        "label": jax.ShapeDtypeStruct((2,), np.int32),
    }
    step = jax.ShapeDtypeStruct((), np.int32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    arrays = (*experiment.network.shapes, experiment.fixed)
    shape = jax.eval_shape(experiment.loss, key, *arrays, batch, step)
    assert (shape.shape, shape.dtype) == ((2,), np.float32)


# What the released configurations differ in: sigma_max, sampling steps, snr; EMA, batch, steps in
# thousands; learning rate, warm-up, clip; dropout, reduction, noise label.
VE = (0.999, 128, 1300, 2e-4, 5000, 1.0, 0.1, "half_sum")
VE_256 = (0.999, 64, 2400, 2e-4, 5000, 1.0, 0.0, "half_sum")
VP = (0.9999, 128, 1300, 2e-4, 5000, 1.0, 0.1, "mean", "time")
FACTS = {
    "ve/cifar10_ncsnpp_continuous": (50.0, 1000, 0.16, *VE, "sigma"),
    "ve/cifar10_ncsnpp_deep_continuous": (50.0, 1000, 0.16, 0.999, 128, 950, *VE[3:], "sigma"),
    "ve/cifar10_ncsnpp": (50.0, 1000, 0.16, *VE, "level"),
    "ve/cifar10_ddpm": (50.0, 1000, 0.16, *VE, "level"),
    "ve/celeba_ncsnpp": (90.0, 1000, 0.17, *VE, "level"),
    "ve/bedroom_ncsnpp_continuous": (378.0, 2000, 0.075, *VE_256, "sigma"),
    "ve/church_ncsnpp_continuous": (380.0, 2000, 0.075, *VE_256, "sigma"),
    "ve/celebahq_256_ncsnpp_continuous": (348.0, 2000, 0.075, *VE_256, "sigma"),
    "ve/ffhq_256_ncsnpp_continuous": (348.0, 2000, 0.075, *VE_256, "sigma"),
    "ve/celebahq_ncsnpp_continuous": (1348.0, 2000, 0.15, 0.9999, 8, *VE_256[2:], "sigma"),
    "ve/ffhq_ncsnpp_continuous": (1348.0, 2000, 0.15, 0.9999, 8, *VE_256[2:], "sigma"),
    "vp/cifar10_ddpmpp_continuous": (None, 1000, 0.16, *VP),
    "vp/cifar10_ddpmpp_deep_continuous": (None, 1000, 0.16, 0.9999, 128, 950, *VP[3:]),
    "subvp/cifar10_ncsnpp_deep_continuous": (None, 1000, 0.16, 0.9999, 128, 950, *VP[3:]),
    "vp/ddpm/cifar10": (None, 1000, 0.16, *VP),
    **{
        f"vp/ddpm/{data}": (None, 1000, 0.075, 0.9999, 64, 2400, 2e-5, 5000, 1.0, 0.0, *VP[-2:])
        for data in ("bedroom", "church", "celebahq")
    },
    "ve/ncsn/cifar10_1245": (50.0, 232, 0.176, 0.999, 128, 1300, 1e-3, 0, 0.0, None, *REFINE),
    "ve/ncsnv2/cifar10": (50.0, 232, 0.176, 0.999, 128, 1300, 1e-4, 0, 0.0, None, *REFINE),
    "ve/ncsnv2/celeba": (90.0, 500, 0.128, 0.999, 128, 1300, 1e-4, 0, 0.0, None, *REFINE),
}


@pytest.mark.parametrize("name", FACTS)
def test_facts(name):
    c = paper.get_config(name)
    own = c.sampling.predictor_corrector
    found = (c.sde.sigma_max, c.sampling.steps, own.snr, *c.training.ema_decays)
    found += (c.training.batch_size, c.training.steps // 1000, c.optim.learning_rate)
    found += (c.optim.warmup, c.optim.clip, c.model.get("dropout"), c.objective.denoising.reduction)
    assert (*found, c.model.noise_label) == FACTS[name]
    assert c.data.crop == (140 if "celeba" in name.split("/")[-1].split("_") else None)


# How the released configurations sample: process, its levels and sigma_max; predictor, corrector
# and its steps, snr; EMA; whether data are in [-1, 1].
CONTINUOUS = ("euler_maruyama", "none", None, 0.16, 0.9999, True)
CHAIN = ("ddpm", 1000, None, "ancestral", "none", None)
LANGEVIN = ("reverse_diffusion", "langevin", None)
SAMPLED = {
    **{
        f"{sde}/{net}continuous": (sde, None, None, *CONTINUOUS)
        for sde in ("vp", "subvp")
        for net in ("cifar10_ddpmpp_", "cifar10_ncsnpp_", "cifar10_ddpmpp_deep_")
    },
    **{
        f"{sde}/cifar10_ncsnpp_deep_continuous": (sde, None, None, *CONTINUOUS)
        for sde in ("vp", "subvp")
    },
    "subvp/cifar10_ddpm_continuous": ("subvp", None, None, *CONTINUOUS),
    "vp/ddpm/cifar10_continuous": ("vp", None, None, *CONTINUOUS),
    **{
        f"vp/{name}": (*CHAIN, 0.16, 0.9999, True)
        for name in ("cifar10_ddpmpp", "ddpm/cifar10", "ddpm/cifar10_unconditional")
    },
    "vp/cifar10_ncsnpp": (*CHAIN[:3], "reverse_diffusion", "none", None, 0.16, 0.9999, True),
    **{
        f"vp/ddpm/{data}": (*CHAIN, 0.075, 0.9999, True)
        for data in ("bedroom", "church", "celebahq")
    },
    **{
        f"ve/cifar10_ncsnpp{deep}_continuous": ("ve", None, 50.0, *LANGEVIN, 0.16, 0.999, False)
        for deep in ("", "_deep")
    },
    **{
        f"ve/{data}_ncsnpp_continuous": ("ve", None, sigma_max, *LANGEVIN, snr, ema, False)
        for data, sigma_max, snr, ema in (
            ("bedroom", 378.0, 0.075, 0.999),
            ("church", 380.0, 0.075, 0.999),
            ("celebahq_256", 348.0, 0.075, 0.999),
            ("ffhq_256", 348.0, 0.075, 0.999),
            ("celebahq", 1348.0, 0.15, 0.9999),
            ("ffhq", 1348.0, 0.15, 0.9999),
        )
    },
    **{
        f"ve/cifar10_{net}": ("smld", 1000, 50.0, *LANGEVIN, 0.16, 0.999, False)
        for net in ("ddpm", "ncsnpp")
    },
    "ve/celeba_ncsnpp": ("smld", 1000, 90.0, *LANGEVIN, 0.17, 0.999, False),
    **{
        f"ve/{name}": ("smld", levels, sigma_max, "none", "ald", steps, snr, ema, False)
        for name, levels, sigma_max, steps, snr, ema in (
            ("ncsn/cifar10", 10, 1.0, 100, 0.316, 0.0),
            ("ncsn/cifar10_5", 10, 1.0, 100, 0.316, 0.999),
            ("ncsn/cifar10_124", 232, 50.0, 5, 0.176, 0.0),
            ("ncsn/cifar10_1245", 232, 50.0, 5, 0.176, 0.999),
            ("ncsn/celeba", 10, 1.0, 100, 0.316, 0.0),
            ("ncsn/celeba_5", 10, 1.0, 100, 0.316, 0.999),
            ("ncsn/celeba_124", 500, 90.0, 5, 0.128, 0.0),
            ("ncsn/celeba_1245", 500, 90.0, 5, 0.128, 0.999),
            ("ncsnv2/cifar10", 232, 50.0, 5, 0.176, 0.999),
            ("ncsnv2/celeba", 500, 90.0, 5, 0.128, 0.999),
            ("ncsnv2/bedroom", 1086, 190.0, 3, 0.095, 0.9999),
        )
    },
}


@each_name
def test_how_it_samples(name):
    c = paper.get_config(name)
    own = c.sampling.predictor_corrector
    found = (c.sde.name, c.sde.scales, c.sde.sigma_max, own.predictor, own.corrector)
    steps = own.corrector_steps if own.corrector == "ald" else None
    found += (steps, own.snr, *c.training.ema_decays, c.space.pixels.centered)
    assert found == SAMPLED[name]
    assert c.objective.denoising.times == ("discrete" if c.sde.scales else "uniform")
    if own.predictor == "none":  # one visit of each level
        assert c.sampling.steps == c.sde.scales


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        (cifar_vp, "vp/cifar10_ddpmpp_continuous"),
        (cifar_subvp, "subvp/cifar10_ddpmpp_continuous"),
        (cifar_ve, "ve/cifar10_ncsnpp_continuous"),
    ],
)
def test_the_recipes_of_cifar_are_the_papers(recipe, name):
    ours, theirs = (configs.to_json(c) for c in (recipe.get_config(), paper.get_config(name)))
    theirs["data"]["image_size"] = 0  # the images have this size already
    assert ours == theirs


def reduced(name):
    """The configuration with two small levels; its process, network family and loss as they are."""
    config = paper.get_config(name)
    config.model.channels = 4
    config.model.channel_mult = (1, 2)
    if "dilations" in config.model:
        config.model.dilations = (1, 1)
    else:
        config.model.num_res_blocks = 1
        config.model.attn_resolutions = (4,)
    config.data.name, config.data.image_size = "small", 8
    config.training.batch_size, config.training.steps = 4, 1
    config.training.keep_every = 0
    if config.sde.scales:
        config.sde.scales = 25
    if "dropout" in config.model:
        config.model.dropout = 0.1
    return config


@pytest.fixture(scope="module")
def compiled(quick_compile):
    """Compiled networks by their arguments: the 39 configurations share some ten of them."""
    return {}


@each_name
def test_it_takes_a_gradient_step_in_small(name, compiled, monkeypatch):
    """A short step along the gradient lowers the loss of its own batch, times and noise."""
    config = reduced(name)
    arguments = arguments_of(config)

    def shared(make):
        if arguments not in compiled:
            network = functional(make)
            compiled[arguments] = network._replace(apply=jax.jit(network.apply))
        return compiled[arguments]

    monkeypatch.setattr(build, "functional", shared)
    experiment = build.experiment(config, info(config, 8))
    rng = np.random.default_rng(0)
    params, constants = (
        {path: (0.1 * rng.standard_normal(a.shape)).astype(a.dtype) for path, a in arrays.items()}
        for arrays in experiment.network.shapes
    )
    images = rng.integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    batch = {"image": images, "label": np.zeros(4, np.int32)}

    def mean_loss(params):
        return experiment.loss(
            jax.random.key(0), params, constants, experiment.fixed, batch, 0
        ).mean()

    both = jax.value_and_grad(mean_loss)  # used for the second loss too: it is compiled already
    loss, gradient = jax.device_get(both(params))
    assert np.isfinite(loss)
    assert all(np.isfinite(g).all() for g in gradient.values())
    # A short step: to first order it takes off a thousandth of the loss of this batch and noise.
    size = 1e-3 * loss / sum((g.astype(np.float64) ** 2).sum() for g in gradient.values())
    moved = {k: (params[k] - size * gradient[k]).astype(np.float32) for k in params}
    assert both(moved)[0] < (1 - 2e-4) * loss


def test_help_lists_every_name_with_its_numbers(capsys):
    assert main(["main.py", "--config=configs/paper.py:help"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in paper.NAMES)
    (line,) = (x for x in printed.splitlines() if "subvp/cifar10_ddpmpp_deep_continuous" in x)
    assert line.split()[1:] == ["2.41", "9.57", "2.99", "2.92"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (":vp/cifar10_ddpmp", "did you mean vp/cifar10_ddpmpp? --config=configs/paper.py:help"),
        ("", "no configuration '' in the paper: --config=configs/paper.py:help lists them"),
    ],
)
def test_an_unknown_name_is_one_line(name, message, capsys):
    assert main(["main.py", f"--config=configs/paper.py{name}"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: no configuration")
    assert message in printed
    assert printed.count("\n") == 1


def test_each_has_a_folder_of_its_own():
    folders = {
        str(flags.parse(["main.py", f"--config=configs/paper.py:{name}"]).workdir)
        for name in paper.NAMES
    }
    assert len(folders) == len(paper.NAMES)
    assert "runs/paper_ve_cifar10_ncsnpp_continuous" in folders
    digits = flags.parse(["main.py", "--config=configs/digits_vp.py"]).workdir
    assert str(digits) == "runs/digits_vp"
