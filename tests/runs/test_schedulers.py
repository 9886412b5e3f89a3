"""Schedulers of released pipelines: the times at which the network is asked, as it was there."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import noise_labels, processes, samplers
from score_sde.runs import config as configs
from score_sde.runs import sampling, schedulers

KARRAS = {"use_karras_sigmas": True}
ZERO_SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
# By the golden sampling: the class that draws, and what is changed in the pipeline's own file.
CASES = {
    ("sd15", "e2e_pndm"): ("PNDMScheduler", {}),
    ("sd15", "e2e_ddim"): ("DDIMScheduler", {}),
    ("sd15", "e2e_euler"): ("EulerDiscreteScheduler", {}),
    ("sd15", "e2e_dpmpp2m"): ("DPMSolverMultistepScheduler", {}),
    ("sd15", "e2e_dpmpp2m_karras"): ("DPMSolverMultistepScheduler", KARRAS),
    ("sd15", "e2e_unipc"): ("UniPCMultistepScheduler", {}),
    ("sd15", "e2e_ddim_trailing"): ("DDIMScheduler", {"timestep_spacing": "trailing"}),
    ("sd2", "e2e_ddim"): ("DDIMScheduler", {}),
    ("sd2", "e2e_euler"): ("EulerDiscreteScheduler", {}),
    ("sd2", "e2e_pndm"): ("PNDMScheduler", {}),
    ("sd2", "e2e_ddim_zsnr"): ("DDIMScheduler", ZERO_SNR),
    ("sdxl", "e2e_euler"): ("EulerDiscreteScheduler", {}),
    ("sdxl", "e2e_euler_trailing_2x"): ("EulerDiscreteScheduler", {"timestep_spacing": "trailing"}),
    ("sdxl", "e2e_dpmpp2m_karras"): ("DPMSolverMultistepScheduler", KARRAS),
    ("sd35", "e2e"): ("FlowMatchEulerDiscreteScheduler", {}),
    ("dit", "e2e"): ("DDIMScheduler", {}),
    ("pixart", "e2e"): ("DPMSolverMultistepScheduler", {}),
}


def read(shared, pipeline, case):
    folder = shared / "golden" / "latent"
    values = json.loads(
        (folder / "pipelines" / pipeline / "scheduler" / schedulers.FILE).read_text()
    )
    name, changes = CASES[pipeline, case]
    timesteps = np.load(folder / "golden" / f"{pipeline}.npz")[f"{case}/timesteps"]
    return {**values, schedulers.CLASS: name, **changes}, timesteps


@pytest.mark.parametrize(("pipeline", "case"), CASES)
def test_a_network_is_asked_at_the_times_of_the_pipeline(shared, pipeline, case):
    """In the network's own units; of Karras' times they told it the nearest whole one."""
    values, expected = read(shared, pipeline, case)
    config = configs.default()
    for path, value in schedulers.fields(values).items():
        configs.set_field(config, path, value)
    more = config.sampling.sampler == "plms"  # evaluates its second time twice
    config.sampling.steps = len(expected) - more
    sde = processes.read(config.sde)
    sampler = sampling.sampler(config.sampling)
    table = sampler.table(sde)
    unit = 1000 if config.sde.name == "rectified_flow" else 999
    asked = unit * table.t
    asked = np.round(asked) if schedulers.tells_whole_times(values, sampler) else asked
    np.testing.assert_allclose(asked, expected, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_class_name": "KarrasVeScheduler"}, "is called edm here"),
        ({"_class_name": "MyScheduler"}, "MyScheduler of a scheduler is not known"),
        ({"beta_schedule": "sigmoid"}, "beta_schedule=sigmoid of a scheduler is none of linear"),
        ({"prediction_type": "flow"}, "prediction_type=flow of a scheduler is none of epsilon"),
        ({"trained_betas": [0.1]}, "trained_betas"),
        ({"timestep_spacing": 3}, "timestep_spacing=3"),
    ],
)
def test_what_is_not_here_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        schedulers.fields({"_class_name": "DDIMScheduler", **changes})


@pytest.mark.parametrize(("predicts", "weighs"), [("epsilon", None), ("v_prediction", "v")])
def test_plms_weighs_what_the_network_predicts(predicts, weighs):
    """If that is v; whether it is the scheduler of the file or another sampler."""
    file = {schedulers.CLASS: "PNDMScheduler", "prediction_type": predicts}
    for found in (schedulers.fields(file), schedulers.of_sampler(file, "pndm")):
        assert found.get("sampling.plms.prediction") == weighs


def test_whole_times_are_told_of_multistep_methods_alone():
    """Those that are nearest."""
    times = jnp.float32(np.array([786, 427.49, 58.89, 1e-3]))
    told = noise_labels.told_whole(lambda x, label: label)(None, times)
    np.testing.assert_array_equal(told, [786, 427, 59, 0])
    chain, flow = ({schedulers.CLASS: name} for name in ("PNDMScheduler", schedulers._FLOWS[0]))
    for name, grid, config, tells in (
        ("unipc", "karras", chain, True),
        ("dpmpp_2m", "linspace_open", chain, False),
        ("euler", "karras", chain, False),
        ("dpmpp_2m", "karras", flow, False),
    ):
        sampler = samplers.get(name, steps=5, grid=grid)
        assert schedulers.tells_whole_times(config, sampler) == tells
