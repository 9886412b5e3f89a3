"""One metric a file: its options, what it needs, and its mathematics."""

from score_sde.evaluation.metric import Metric, SampleMetric
from score_sde.evaluation.metrics.accuracy import Accuracy
from score_sde.evaluation.metrics.backbones import Backbones
from score_sde.evaluation.metrics.bits_per_dim import BitsPerDim
from score_sde.evaluation.metrics.clips import Clips
from score_sde.evaluation.metrics.continuous_bound import ContinuousBound
from score_sde.evaluation.metrics.density_map import DensityMap
from score_sde.evaluation.metrics.fid import FID
from score_sde.evaluation.metrics.inception_score import InceptionScore
from score_sde.evaluation.metrics.kid import KID
from score_sde.evaluation.metrics.log_likelihood import LogLikelihood
from score_sde.evaluation.metrics.loss_by_time import LossByTime
from score_sde.evaluation.metrics.molecules import Molecules
from score_sde.evaluation.metrics.notes import Notes
from score_sde.evaluation.metrics.point_sets import PointSets
from score_sde.evaluation.metrics.precision_recall import PrecisionRecall
from score_sde.evaluation.metrics.reconstruction import Reconstruction
from score_sde.evaluation.metrics.silhouettes import Silhouettes
from score_sde.evaluation.metrics.token_bound import TokenBound
from score_sde.evaluation.metrics.variational_bound import VariationalBound

METRICS: dict[str, type[Metric] | type[SampleMetric]] = {
    "bits_per_dim": BitsPerDim,
    "log_likelihood": LogLikelihood,
    "variational_bound": VariationalBound,
    "continuous_bound": ContinuousBound,
    "token_bound": TokenBound,
    "loss_by_time": LossByTime,
    "density_map": DensityMap,
    "accuracy": Accuracy,
    "reconstruction": Reconstruction,
    "point_sets": PointSets,
    "fid": FID,
    "kid": KID,
    "inception_score": InceptionScore,
    "precision_recall": PrecisionRecall,
    "notes": Notes,
    "molecules": Molecules,
    "backbones": Backbones,
    "clips": Clips,
    "silhouettes": Silhouettes,
}
