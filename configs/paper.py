"""Every configuration that was released with the paper, by its name there.

    python main.py --config=configs/paper.py:help                               # lists them
    python main.py --config=configs/paper.py:ve/cifar10_ncsnpp_continuous

Song et al. 2021 (arXiv 2011.13456), Appendices C, G and H, and the code released with it. FID, IS
and bits/dim in `help` are the paper's claims (Tables 2 and 3), for the networks that these
configurations train; they have not been measured here.

A configuration is a sum of the parts below. Where the released files contradict themselves, this is
what they mean: ve/ncsnv2/bedroom is discrete (a misspelt field made it continuous), and all VE
models reduce by half the sum (ve/ffhq_ncsnpp_continuous alone said mean). Of a CelebA photograph
they take the central 140 pixels, as released; FFHQ is a folder of images, --config.data.dir=FOLDER.
"""

import dataclasses
import difflib
from typing import Any

from ml_collections import ConfigDict

from score_sde.cli.flags import HelpRequest
from score_sde.errors import UserError
from score_sde.runs.config import default, set_field

Part = dict[str, Any]  # values by the field's path


@dataclasses.dataclass(frozen=True)
class Published:
    """What the paper reports: FID and Inception score of its best sampler, bits/dim, ODE's FID."""

    fid: float | None = None
    inception: float | None = None
    bits: float | None = None
    ode_fid: float | None = None


def _data(name: str, image_size: int) -> Part:
    return {"data.name": name, "data.image_size": image_size, "space.pixels.flip": True}


_SMALL = {"training.batch_size": 128, "training.steps": 1_300_000}
CIFAR = _data("cifar10", 32) | _SMALL | {"sampling.predictor_corrector.snr": 0.16}
CELEBA = (
    _data("celeb_a", 64) | {"data.crop": 140} | _SMALL | {"sampling.predictor_corrector.snr": 0.17}
)
_LSUN = {
    "training.batch_size": 64,
    "training.steps": 2_400_000,
    "model.dropout": 0.0,
    "sampling.predictor_corrector.snr": 0.075,
}
BEDROOM = _data("lsun/bedroom", 256) | _LSUN
CHURCH = _data("lsun/church_outdoor", 256) | _LSUN
CELEBAHQ_256 = _data("celeb_a_hq/256", 256) | _LSUN
FFHQ_256 = _data("folder", 256) | _LSUN
_LARGE = _LSUN | {
    "training.batch_size": 8,
    "training.ema_decays": (0.9999,),
    "sampling.predictor_corrector.snr": 0.15,
}
CELEBAHQ = _data("celeb_a_hq/1024", 1024) | _LARGE
FFHQ = _data("folder", 1024) | _LARGE

# The networks; those of 128 channels have sizes 32, 16, 8, 4 unless they say otherwise.
DDPM = {
    "model.resblock": "ddpm",
    "model.num_res_blocks": 2,
    "model.skip_rescale": False,
    "model.group_size": 1,
}
DDPM_256 = DDPM | {"model.channel_mult": (1, 1, 2, 2, 4, 4), "optim.learning_rate": 2e-5}
DDPMPP = {"model.resblock": "biggan", "model.num_res_blocks": 4}
NCSNPP = DDPMPP | {"model.fir": True, "model.progressive_input": "residual"}
_PYRAMIDS = {
    "model.fir": True,
    "model.progressive_input": "input_skip",
    "model.progressive_output": "output_skip",
}
NCSNPP_256 = _PYRAMIDS | {"model.channel_mult": (1, 1, 2, 2, 2, 2, 2), "model.num_res_blocks": 2}
NCSNPP_1024 = _PYRAMIDS | {
    "model.channels": 16,
    "model.channel_mult": (1, 2, 4, 8, 16, 32, 32, 32),
    "model.num_res_blocks": 1,
}
DEEP = {"model.num_res_blocks": 8, "training.steps": 950_000}


def _refine_net(name: str, learning_rate: float) -> Part:
    return {
        "model.name": name,
        "optim.learning_rate": learning_rate,
        "optim.warmup": 0,
        "optim.clip": 0.0,
    }


NCSN = _refine_net("ncsn", 1e-3) | {"model.parametrization": "score"}
NCSNV2 = _refine_net("ncsnv2", 1e-4) | {"model.parametrization": "scaled_score"}
NCSNV2_128 = NCSNV2 | {
    "model.channel_mult": (1, 2, 2, 4, 4),
    "model.dilations": (1, 1, 1, 2, 4),
}
NO_EMA = {"training.ema_decays": (0.0,)}


def _sampling(predictor: str, corrector: str = "none", steps: int = 1000, **more: Any) -> Part:
    fields = {"predictor": predictor, "corrector": corrector, **more}
    own = {f"sampling.predictor_corrector.{name}": value for name, value in fields.items()}
    return {"sampling.sampler": "predictor_corrector", "sampling.steps": steps, **own}


def _ve(sigma_max: float, steps: int = 1000) -> Part:
    """The VE SDE, for networks that are told sigma and divide by it."""
    return {
        "sde.name": "ve",
        "sde.sigma_min": 0.01,
        "sde.sigma_max": sigma_max,
        "space.pixels.centered": False,
        "model.parametrization": "score",
        "model.noise_label": "sigma",
        "model.embedding": "fourier",
        "model.fourier_scale": 16.0,
        "model.scale_by_sigma": True,
        "objective.t_min": 1e-5,
        "objective.denoising.reduction": "half_sum",
        "training.ema_decays": (0.999,),
    } | _sampling("reverse_diffusion", "langevin", steps)


def _smld(sigma_max: float, scales: int) -> Part:
    """SMLD's noise levels, for networks that are told a level's index."""
    return {
        "sde.name": "smld",
        "sde.sigma_min": 0.01,
        "sde.sigma_max": sigma_max,
        "sde.scales": scales,
        "space.pixels.centered": False,
        "model.parametrization": "scaled_score",
        "model.noise_label": "level",
        "objective.denoising.times": "discrete",
        "objective.denoising.reduction": "half_sum",
        "training.ema_decays": (0.999,),
    }


def _smld_pc(sigma_max: float) -> Part:
    """SMLD with predictor-corrector sampling."""
    return _smld(sigma_max, 1000) | _sampling("reverse_diffusion", "langevin")


def _smld_ald(sigma_max: float, scales: int, snr: float, corrector_steps: int) -> Part:
    """SMLD with annealed Langevin dynamics: snr = sqrt(step size / 2) / sigma_min."""
    sampling = _sampling("none", "ald", scales, snr=snr, corrector_steps=corrector_steps)
    return _smld(sigma_max, scales) | sampling


def _vp(name: str) -> Part:
    return {
        "sde.name": name,
        "sde.beta_min": 0.1,
        "sde.beta_max": 20.0,
        "space.pixels.centered": True,
        "model.parametrization": "level_eps" if name == "ddpm" else "eps",
        "model.noise_label": "time",
        "objective.denoising.reduction": "mean",
        "training.ema_decays": (0.9999,),
    }


VP = _vp("vp") | {"objective.t_min": 1e-5} | _sampling("euler_maruyama")
SUBVP = _vp("subvp") | {"objective.t_min": 1e-5} | _sampling("euler_maruyama")
CHAIN = (
    _vp("ddpm")
    | {"sde.scales": 1000, "objective.denoising.times": "discrete"}
    | _sampling("ancestral")
)

_VE_CIFAR = _ve(50.0)
_SMLD_CIFAR = _smld_pc(50.0)
_ALD_ORIGINAL = _smld_ald(1.0, 10, 0.316, 100)
_ALD_CIFAR = _smld_ald(50.0, 232, 0.176, 5)
_ALD_CELEBA = _smld_ald(90.0, 500, 0.128, 5)
_ALD_BEDROOM = _smld_ald(190.0, 1086, 0.095, 3)
_LSUN_NCSNV2 = {
    "data.image_size": 128,
    "training.batch_size": 128,
    "training.ema_decays": (0.9999,),
}


def _without(part: Part, *names: str) -> Part:
    return {name: value for name, value in part.items() if name not in names}


# Later parts win. The published numbers are FID and IS (Table 3), bits/dim and ODE FID (Table 2).
TABLE: dict[str, tuple[tuple[Part, ...], Published]] = {
    "subvp/cifar10_ddpm_continuous": ((CIFAR, SUBVP, DDPM), Published(bits=3.05, ode_fid=3.56)),
    "subvp/cifar10_ddpmpp_continuous": (
        (CIFAR, SUBVP, DDPMPP),
        Published(2.61, 9.56, 3.02, 3.16),
    ),
    "subvp/cifar10_ddpmpp_deep_continuous": (
        (CIFAR, SUBVP, DDPMPP, DEEP),
        Published(2.41, 9.57, 2.99, 2.92),
    ),
    "subvp/cifar10_ncsnpp_continuous": ((CIFAR, SUBVP, NCSNPP), Published()),
    "subvp/cifar10_ncsnpp_deep_continuous": ((CIFAR, SUBVP, NCSNPP, DEEP), Published()),
    "ve/bedroom_ncsnpp_continuous": ((_ve(378.0, 2000), BEDROOM, NCSNPP_256), Published()),
    "ve/church_ncsnpp_continuous": ((_ve(380.0, 2000), CHURCH, NCSNPP_256), Published()),
    "ve/celebahq_256_ncsnpp_continuous": (
        (_ve(348.0, 2000), CELEBAHQ_256, NCSNPP_256),
        Published(),
    ),
    "ve/celebahq_ncsnpp_continuous": (
        (_ve(1348.0, 2000), CELEBAHQ, NCSNPP_1024),
        Published(),
    ),
    "ve/ffhq_256_ncsnpp_continuous": (
        (_ve(348.0, 2000), FFHQ_256, NCSNPP_256),
        Published(),
    ),
    "ve/ffhq_ncsnpp_continuous": ((_ve(1348.0, 2000), FFHQ, NCSNPP_1024), Published()),
    "ve/celeba_ncsnpp": ((CELEBA, _smld_pc(90.0), NCSNPP), Published()),
    "ve/cifar10_ddpm": ((CIFAR, _SMLD_CIFAR, DDPM), Published(3.60)),
    "ve/cifar10_ncsnpp": ((CIFAR, _SMLD_CIFAR, NCSNPP), Published(2.45, 9.73)),
    "ve/cifar10_ncsnpp_continuous": ((CIFAR, _VE_CIFAR, NCSNPP), Published(2.38, 9.83)),
    "ve/cifar10_ncsnpp_deep_continuous": (
        (CIFAR, _VE_CIFAR, NCSNPP, DEEP),
        Published(2.20, 9.89),
    ),
    # The numbers are those of the techniques of Song and Ermon 2020 that a configuration has.
    "ve/ncsn/cifar10": ((CIFAR, _ALD_ORIGINAL, NCSN, NO_EMA), Published()),
    "ve/ncsn/cifar10_5": ((CIFAR, _ALD_ORIGINAL, NCSN), Published()),
    "ve/ncsn/cifar10_124": ((CIFAR, _ALD_CIFAR, NCSN, NO_EMA), Published()),
    "ve/ncsn/cifar10_1245": ((CIFAR, _ALD_CIFAR, NCSN), Published()),
    "ve/ncsn/celeba": ((CELEBA, _ALD_ORIGINAL, NCSN, NO_EMA), Published()),
    "ve/ncsn/celeba_5": ((CELEBA, _ALD_ORIGINAL, NCSN), Published()),
    "ve/ncsn/celeba_124": ((CELEBA, _ALD_CELEBA, NCSN, NO_EMA), Published()),
    "ve/ncsn/celeba_1245": ((CELEBA, _ALD_CELEBA, NCSN), Published()),
    "ve/ncsnv2/cifar10": ((CIFAR, _ALD_CIFAR, NCSNV2), Published()),
    "ve/ncsnv2/celeba": ((CELEBA, _ALD_CELEBA, NCSNV2), Published()),
    "ve/ncsnv2/bedroom": (
        (_without(BEDROOM, "model.dropout"), _ALD_BEDROOM, NCSNV2_128, _LSUN_NCSNV2),
        Published(),
    ),
    "vp/cifar10_ddpmpp": ((CIFAR, CHAIN, DDPMPP), Published(2.78, 9.64)),
    "vp/cifar10_ddpmpp_continuous": ((CIFAR, VP, DDPMPP), Published(2.55, 9.58, 3.16, 3.93)),
    "vp/cifar10_ddpmpp_deep_continuous": (
        (CIFAR, VP, DDPMPP, DEEP),
        Published(2.41, 9.68, 3.13, 3.08),
    ),
    "vp/cifar10_ncsnpp": ((CIFAR, CHAIN, NCSNPP, _sampling("reverse_diffusion")), Published()),
    "vp/cifar10_ncsnpp_continuous": ((CIFAR, VP, NCSNPP), Published()),
    "vp/cifar10_ncsnpp_deep_continuous": ((CIFAR, VP, NCSNPP, DEEP), Published()),
    "vp/ddpm/cifar10": ((CIFAR, CHAIN, DDPM), Published(3.24)),
    "vp/ddpm/cifar10_continuous": ((CIFAR, VP, DDPM), Published(bits=3.21, ode_fid=3.69)),
    "vp/ddpm/cifar10_unconditional": (
        (CIFAR, CHAIN, DDPM, {"model.conditional": False}),
        Published(),
    ),
    "vp/ddpm/bedroom": ((CHAIN, BEDROOM, DDPM_256), Published()),
    "vp/ddpm/church": ((CHAIN, CHURCH, DDPM_256), Published()),
    "vp/ddpm/celebahq": ((CHAIN, CELEBAHQ_256, DDPM_256), Published()),
}

NAMES = tuple(sorted(TABLE))


def get_config(name: str = "") -> ConfigDict:
    """A configuration of the paper.

    Args:
        name: one of NAMES.

    Raises:
        HelpRequest: the name is "help".
        UserError: there is no such configuration.
    """
    if name == "help":
        raise HelpRequest(listing())
    if name not in TABLE:
        hint = "--config=configs/paper.py:help lists them"
        if near := difflib.get_close_matches(name, NAMES, n=1, cutoff=0.0 if name else 1.0):
            hint = f"did you mean {near[0]}? {hint}"
        raise UserError(f"no configuration {name!r} in the paper: {hint}")
    parts, _ = TABLE[name]
    fields = {field: value for part in parts for field, value in part.items()}
    config = default(fields.get("model.name", "unet"))
    config.training.keep_every = 50_000
    for field, value in fields.items():
        set_field(config, field, value)
    return config


def listing() -> str:
    """The names, with what the paper reports, as text."""
    width = max(map(len, NAMES))
    lines = [
        "Configurations of Song et al. 2021 (arXiv 2011.13456): --config=configs/paper.py:NAME",
        "",
        f"  {'NAME':{width}}     FID     IS  bits/dim  FID (ODE)",
    ]
    for name in NAMES:
        published = TABLE[name][1]
        cells = zip(dataclasses.astuple(published), (7, 6, 9, 10), strict=True)
        row = " ".join(f"{'' if v is None else f'{v:.2f}':>{size}}" for v, size in cells)
        lines.append(f"  {name:{width}} {row}".rstrip())
    lines += [
        "",
        "Numbers are the paper's claims for CIFAR-10: FID and IS of Table 3 (vp/ddpm/cifar10 and",
        "ve/cifar10_ddpm: of Table 1, with their own samplers), bits/dim and FID with the",
        "probability-flow ODE of Table 2. Empty: these tables have none for it.",
    ]
    return "\n".join(lines)
