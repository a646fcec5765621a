"""From patches to what a network sees, where the back end has it; and which fields that keeps for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from skadetect.nn.anchor import anchor_maps
from skadetect.nn.backends.base import Axes, Backend
from skadetect.nn.slabs import in_host_memory
from skadetect.normalize import Normalization
from skadetect.train.augment import Patch
from skadetect.train.bank import Bank
from skadetect.train.fields import Field
from skadetect.train.sampling import PatchSampler, SamplingOptions

logger = logging.getLogger(__name__)


def network_input(
    patches: Sequence[Patch], normalization: Normalization, backend: Backend, *, stride: Axes
) -> tuple[Any, np.ndarray]:
    """What a network sees of a batch of patches, finished or not.

    Parameters
    ----------
    patches : sequence of Patch
        Of one shape.
    normalization : Normalization
        From signal to noise to features.
    backend : Backend
        Where the network runs.
    stride : tuple of int
        Pixels of an output cell along (z, y, x).

    Returns
    -------
    array of the back end, shape (batch, z, y, x, features)
    numpy.ndarray, (batch, z, y, x) cells, float32
        Anchors.
    """
    constants = np.stack([normalization.constants(patch.beam) for patch in patches])
    s = backend.batch([patch.piece for patch in patches])
    features = backend.features(s, normalization.rows, constants)
    return features, anchor_maps(s, stride, backend)


def sampler_for(
    backend: Backend,
    fields: Sequence[Field | Bank],
    weights: np.ndarray,
    *,
    options: SamplingOptions,
    seed: int,
) -> PatchSampler:
    """What draws patches for a network on a back end, which makes their pixels if it has arrays of its own.

    Parameters
    ----------
    backend : Backend
        Where the network runs; it comes to hold what fits of the fields and banks.
    fields, weights, options, seed
        As for `PatchSampler`.
    """
    later = not in_host_memory(backend)
    if later:
        count = hold_fields(fields, weights, backend)
        logger.info("%d of %d fields and banks are kept on the device", count, len(fields))
    return PatchSampler(fields, weights, options, seed=seed, later=later)


def hold_fields(fields: Sequence[Field | Bank], weights: np.ndarray, backend: Backend) -> int:
    """Have a back end keep the fields and banks that patches are made of; how many of them it has room for.

    Parameters
    ----------
    fields : sequence of Field or Bank
        Those of which a pixel is drawn most often come first.
    weights : numpy.ndarray, (n,)
        Probability of each.
    backend : Backend
        Where the network runs.
    """
    pixels = [one.pixels if isinstance(one, Bank) else one.snr for one in fields]
    often = np.asarray(weights) / [each.size for each in pixels]
    return backend.hold([pixels[index] for index in np.argsort(-often, kind="stable")])
