"""The official networks of ../shared/golden, and the overrides that make our configs of theirs."""

import json

NAMES = (
    "ddpmpp_vp",
    "ddpmpp_subvp",
    "ncsnpp_vp",
    "ncsnpp_ve",
    "ncsnpp_ve_output_skip",
    "ddpm_vp_discrete",
)
_SDES = {"vpsde": "vp", "subvpsde": "subvp", "vesde": "ve"}


def read_config(shared, name):
    """An official configuration."""
    return json.loads((shared / "golden" / f"{name}.json").read_text())


def arguments(official):
    """Flags that turn a recipe for CIFAR-10 into an official configuration."""
    return [f"--config.{path}={_text(value)}" for path, value in _fields(official).items()]


def recipe(official):
    """The recipe that these flags are for."""
    return f"configs/cifar_{_SDES[official['training']['sde']]}.py"


def _fields(official):
    model, data, training = official["model"], official["data"], official["training"]
    discrete = training["sde"] == "vpsde" and not training["continuous"]
    sde = "discrete_vp" if discrete else _SDES[training["sde"]]
    levels = ("sigma_min", "sigma_max") if sde == "ve" else ("beta_min", "beta_max")
    fields = {
        "data.image_size": data["image_size"],
        "data.centered": data["centered"],
        "sde.name": sde,
        **{f"sde.{name}": float(model[name]) for name in levels},
        "model.channels": model["nf"],
        "model.channel_mult": tuple(model["ch_mult"]),
        "model.num_res_blocks": model["num_res_blocks"],
        "model.attn_resolutions": tuple(model["attn_resolutions"]),
        "model.dropout": model["dropout"],
        "model.scale_by_sigma": model["scale_by_sigma"],
        "training.ema_decays": (model["ema_rate"],),
    }
    if model["name"] == "ddpm":  # positional whatever its config says; 32 groups always
        return fields | {
            "model.resblock": "ddpm",
            "model.skip_rescale": False,
            "model.group_size": 1,
        }
    return fields | {
        "model.resblock": model["resblock_type"],
        "model.fir": model["fir"],
        "model.fir_kernel": tuple(model["fir_kernel"]),
        "model.skip_rescale": model["skip_rescale"],
        "model.progressive_input": model["progressive_input"],
        "model.progressive_output": model["progressive"],
        "model.progressive_combine": model["progressive_combine"],
        "model.embedding": model["embedding_type"],
        "model.fourier_scale": float(model["fourier_scale"]),
    }


def _text(value):
    """A value as the command line takes it: without spaces, and a tuple of one with its comma."""
    return value if isinstance(value, str) else repr(value).replace(" ", "")
