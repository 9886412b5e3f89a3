"""configs/paper.py: the released configurations, whole and in small, and its help."""

import json

import jax
import numpy as np
import pytest

from configs import paper
from score_sde import build, flags
from score_sde import config as configs
from score_sde.cli import main
from score_sde.data import Info
from score_sde.models.functional import functional

DDPM, DDPMPP, NCSNPP, NCSNPP_256 = 35_218_947, 61_804_419, 62_693_251, 65_574_421
# The Fourier features of a VE network are twice as many as the positional ones: 128 more inputs of
# a dense layer with 512 outputs.
FOURIER = 128 * 512
DEEP = 107_586_947 - FOURIER  # published for VE
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
}
each_name = pytest.mark.parametrize("name", paper.NAMES)


def info(config, size):
    return Info(config.data.name, "train", 1000, (size, size, 3), 10, 256)


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


@each_name
def test_it_builds_at_full_size(name):
    """Abstractly: no array is made. The number of parameters is the published one."""
    config = paper.get_config(name)
    experiment = build.experiment(config, info(config, config.data.image_size))
    assert experiment.parameters == PARAMETERS.get(name, experiment.parameters)
    assert experiment.sampler.steps == (config.sde.scales or experiment.sampler.steps)


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
    if "num_scales" in config.model:
        config.model.num_scales = 25
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
    model = configs.to_json(config)["model"]
    for field in ("parametrization", "noise_label"):  # outside the network
        del model[field]
    arguments = json.dumps([model, config.data.centered])

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
        for arrays in experiment.model.shapes
    )
    images = rng.integers(0, 256, (4, 8, 8, 3)).astype(np.uint8)
    batch = {"image": images, "label": np.zeros(4, np.int32)}

    def mean_loss(params):
        return experiment.loss(jax.random.key(0), params, constants, batch, True).mean()

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
