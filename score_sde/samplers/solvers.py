"""The table of the fixed-step solvers, which are samplers themselves and predictors."""

from __future__ import annotations

from score_sde.samplers.ddim import DDIM
from score_sde.samplers.deis import DEIS
from score_sde.samplers.dpm2 import DPM2
from score_sde.samplers.dpmpp_2m import DPMpp2M
from score_sde.samplers.dpmpp_2m_sde import DPMpp2MSDE
from score_sde.samplers.dpmpp_2s import DPMpp2S
from score_sde.samplers.dpmpp_3m import DPMpp3M
from score_sde.samplers.dpmpp_3m_sde import DPMpp3MSDE
from score_sde.samplers.dpmpp_sde import DPMppSDE
from score_sde.samplers.edm import EDMStochastic
from score_sde.samplers.euler import Euler
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.heun import Heun
from score_sde.samplers.ipndm import IPNDM
from score_sde.samplers.lms import LMS
from score_sde.samplers.midpoint import Midpoint
from score_sde.samplers.plms import PLMS
from score_sde.samplers.restart import Restart
from score_sde.samplers.sa_solver import SASolver
from score_sde.samplers.unipc import UniPC

SOLVERS: dict[str, type[FixedStep]] = {
    "euler": Euler,
    "heun": Heun,
    "midpoint": Midpoint,
    "dpm2": DPM2,
    "ddim": DDIM,
    "dpmpp_2m": DPMpp2M,
    "dpmpp_3m": DPMpp3M,
    "dpmpp_2s": DPMpp2S,
    "dpmpp_2m_sde": DPMpp2MSDE,
    "dpmpp_3m_sde": DPMpp3MSDE,
    "dpmpp_sde": DPMppSDE,
    "deis": DEIS,
    "ipndm": IPNDM,
    "lms": LMS,
    "plms": PLMS,
    "unipc": UniPC,
    "edm": EDMStochastic,
    "restart": Restart,
    "sa_solver": SASolver,
}
