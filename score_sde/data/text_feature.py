"""Texts in sets of tensorflow-datasets that are read as fields.

A field has a shape, so it must be known how long its texts can be. That stands in the documentation
of the feature, which TFDS keeps beside the examples. Other texts, such as the names of files that
many sets have, are no fields.
"""

from __future__ import annotations

import re

import tensorflow_datasets as tfds

_LENGTH = re.compile(r"at most ([1-9]\d{0,5}) bytes")


def text_feature(about: str, most: int) -> tfds.features.Text:
    """A feature of texts that `most_bytes` knows.

    Args:
      about: what the texts are.
      most: bytes of UTF-8 that each may have, below a million.
    """
    limit = f"at most {most} bytes"
    return tfds.features.Text(doc=tfds.features.Documentation(desc=about, value_range=limit))


def most_bytes(feature: tfds.features.FeatureConnector) -> int:
    """How long the texts of a feature can be; 0 for one that is no text or does not say."""
    if not isinstance(feature, tfds.features.Text):
        return 0
    found = _LENGTH.fullmatch(feature.doc.value_range or "")
    return int(found[1]) if found else 0
