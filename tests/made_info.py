"""What is known of a data set of images that is not there."""

import dataclasses

from score_sde import fields
from score_sde.data import Info


def image_info(name, split, size, shape, classes=0, levels=256, names=()):
    """Images, with labels if there are classes."""
    label = (fields.label(classes, names),) if classes else ()
    return Info(name, split, size, (fields.image(shape, levels), *label))


def described(source):
    """What is known of a source, but for the fingerprint of its examples."""
    assert len(bytes.fromhex(source.info.fingerprint)) == 32
    return dataclasses.replace(source.info, fingerprint="")
