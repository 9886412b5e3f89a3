"""Which digits images show, by a classifier that no sample was shown."""

import numpy as np


def classified(images: np.ndarray, train: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The classes of images, [n], by a classifier that is fitted to training images.

    Args:
        images: in [0, 1], [n, d].
        train: likewise, [m, d].
        labels: their classes, [m].
    """
    from sklearn.svm import SVC

    return SVC(C=10).fit(train, labels).predict(images)
