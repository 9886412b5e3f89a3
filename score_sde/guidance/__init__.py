"""What is asked of a model: functions from denoiser to denoiser, and the tasks made of them."""

from score_sde.guidance.classifiers import classifier
from score_sde.guidance.free import classifier_free
from score_sde.guidance.observation import Colorization, Inpainting, Observation

__all__ = ["Colorization", "Inpainting", "Observation", "classifier", "classifier_free"]
