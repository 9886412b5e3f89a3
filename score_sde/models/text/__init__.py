"""Encoders of texts: from ids of tokens to a vector for each, and one for the text."""

from score_sde.models.text.clip import CLIPText
from score_sde.models.text.encoded import Encoded
from score_sde.models.text.t5 import T5Encoder

__all__ = ["CLIPText", "Encoded", "T5Encoder"]
