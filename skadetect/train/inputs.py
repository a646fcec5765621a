"""From patches to what a network sees, where the back end has it; and which fields that keeps for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skadetect.nn.backends.base import Backend
from skadetect.normalize import Normalization
from skadetect.train.augment import Patch
from skadetect.train.fields import Field


def network_input(patches: Sequence[Patch], normalization: Normalization, backend: Backend) -> Any:
    """Features of a batch of patches, finished or not.

    Returns
    -------
    array of the back end, shape (batch, z, y, x, features)
    """
    constants = np.stack([normalization.constants(patch.beam) for patch in patches])
    s = backend.batch([patch.piece for patch in patches])
    return backend.features(s, normalization.rows, constants)


def hold_fields(fields: Sequence[Field], weights: np.ndarray, backend: Backend) -> int:
    """Have a back end keep the fields that patches are cut from; how many of them it has room for.

    Parameters
    ----------
    fields : sequence of Field
        Those of which a pixel is drawn most often come first.
    weights : numpy.ndarray, (n,)
        Probability of each.
    backend : Backend
        Where the network runs.
    """
    often = np.asarray(weights) / [one.snr.size for one in fields]
    return backend.hold([fields[index].snr for index in np.argsort(-often, kind="stable")])
