"""What is known of a data set of images that is not there."""

from score_sde import fields
from score_sde.data import Info


def image_info(name, split, size, shape, classes=0, levels=256, names=()):
    """Images, with labels if there are classes."""
    label = (fields.label(classes, names),) if classes else ()
    return Info(name, split, size, (fields.image(shape, levels), *label))
