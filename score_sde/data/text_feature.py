"""Texts in sets of tensorflow-datasets that are read as fields.

A field has a shape, so it must be known how long its texts can be. That stands in the documentation
of the feature, which TFDS keeps beside the examples. Other texts, such as the names of files that
many sets have, are no fields. So does which words there are, of a set that says so.
"""

from __future__ import annotations

import re

import tensorflow_datasets as tfds

from score_sde.fields import Field, text

_RANGE = re.compile(r"at most ([1-9]\d{0,5}) bytes(?: of the words (\S+(?: \S+)*))?")


def text_feature(about: str, most: int, vocabulary: tuple[str, ...] = ()) -> tfds.features.Text:
    """A feature of texts that `text_field` knows.

    Args:
      about: what the texts are.
      most: bytes of UTF-8 that each may have, below a million.
      vocabulary: see Field.
    """
    limit = f"at most {most} bytes"
    limit += f" of the words {' '.join(vocabulary)}" if vocabulary else ""
    return tfds.features.Text(doc=tfds.features.Documentation(desc=about, value_range=limit))


def text_field(feature: tfds.features.FeatureConnector, name: str) -> Field | None:
    """The field of a feature of texts; None for one that is no text or does not say how long."""
    if not isinstance(feature, tfds.features.Text):
        return None
    found = _RANGE.fullmatch(feature.doc.value_range or "")
    return text(int(found[1]), name, tuple((found[2] or "").split())) if found else None
