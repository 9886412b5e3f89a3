"""The official networks of ../shared/golden: the paper's recipe of each, and its size."""

import json

RECIPES = {
    "ddpmpp_vp": "vp/cifar10_ddpmpp_continuous",
    "ddpmpp_subvp": "subvp/cifar10_ddpmpp_continuous",
    "ncsnpp_vp": "vp/cifar10_ncsnpp_continuous",
    "ncsnpp_ve": "ve/cifar10_ncsnpp_continuous",
    "ncsnpp_ve_output_skip": "ve/ffhq_256_ncsnpp_continuous",
    "ddpm_vp_discrete": "vp/ddpm/cifar10",
}
NAMES = tuple(RECIPES)


def read_config(shared, name):
    """An official configuration."""
    return json.loads((shared / "golden" / f"{name}.json").read_text())


def arguments(shared, name):
    """The flags of the recipe in the size of an official configuration."""
    fields = _fields(read_config(shared, name))
    sizes = [f"--config.{path}={_text(value)}" for path, value in fields.items()]
    return [f"--config=configs/paper.py:{RECIPES[name]}", *sizes]


def _fields(official):
    """Whatever is another in the golden networks; everything else is the recipe's."""
    model, data = official["model"], official["data"]
    fields = {
        "data.name": "cifar10",
        "data.image_size": data["image_size"],
        "model.channels": model["nf"],
        "model.channel_mult": tuple(model["ch_mult"]),
        "model.num_res_blocks": model["num_res_blocks"],
        "model.attn_resolutions": tuple(model["attn_resolutions"]),
        "training.ema_decays": (model["ema_rate"],),
    }
    if official["training"]["sde"] == "vesde":
        fields["sde.sigma_max"] = float(model["sigma_max"])
    return fields


def _text(value):
    """A value as the command line takes it: without spaces, and a tuple of one with its comma."""
    return value if isinstance(value, str) else repr(value).replace(" ", "")
