"""From the sources of a patch to what the loss compares with: selection, boxes and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skadetect.errors import ConfigError
from skadetect.nn.anchor import anchor_map
from skadetect.nn.backends.base import Axes
from skadetect.nn.backends.pieces import batch
from skadetect.nn.loss import Targets
from skadetect.parameters import ParameterSpec, encode
from skadetect.train.augment import Patch
from skadetect.train.sources import Sources, bounding_boxes


@dataclass(frozen=True)
class SelectionOptions:
    """Which sources a network is asked to find, by `Sources.peak_snr`.

    Attributes
    ----------
    min_snr : float
        Fainter sources are no targets.
    soft_snr, soft_weight : float
        Targets fainter than `soft_snr` count `soft_weight` in the objectness.
    ignore_snr : float
        Sources from here to `min_snr` are difficult: neither found nor missed; `min_snr` or more for none.
    max_size : float
        Sources whose convolved box is wider than this many pixels are difficult: no patch shows them whole.
    """

    min_snr: float = 2.5
    soft_snr: float = 3.5
    soft_weight: float = 0.5
    ignore_snr: float = 2.5
    max_size: float = 100.0

    def __post_init__(self) -> None:
        if not self.min_snr > 0 or not self.ignore_snr > 0 or not 0 <= self.soft_weight <= 1:
            raise ConfigError(f"selection is {self}, expected positive limits and a weight of 0 to 1")

    @property
    def lowest(self) -> float:
        """The faintest source that matters."""
        return min(self.min_snr, self.ignore_snr)


@dataclass(frozen=True)
class PatchTargets:
    """The targets of one patch, brightest first: as `Targets`, without `start`."""

    boxes: np.ndarray
    parameters: np.ndarray
    weight: np.ndarray
    difficult: np.ndarray


def patch_targets(
    patch: Patch,
    specs: Sequence[ParameterSpec],
    *,
    stride: Axes,
    options: SelectionOptions,
    anchors: np.ndarray | None = None,
) -> PatchTargets:
    """Select the sources of a patch and encode them.

    Parameters
    ----------
    patch : Patch
        Augmented pixels and sources.
    specs : sequence of ParameterSpec
        What to regress.
    stride : tuple of int
        Pixels of an output cell along (z, y, x).
    options : SelectionOptions
        Which sources are targets.
    anchors : numpy.ndarray, (z, y, x) cells, optional
        `anchor_map` of the patch's pixels, if it is at hand.

    Returns
    -------
    PatchTargets
        Boxes in edge coordinates.
    """
    sources = _selected(patch, options)
    boxes = bounding_boxes(sources, patch.beam) + 0.5
    large = (boxes[:, 1, -2:] - boxes[:, 0, -2:]).max(axis=1, initial=0.0) > options.max_size
    anchors = anchor_map(batch([patch.piece])[0], stride) if anchors is None else anchors
    anchor = _at(anchors, sources.position, stride)
    return PatchTargets(
        boxes=boxes,
        parameters=encode(specs, sources.columns, anchor=anchor, beam_fwhm=patch.beam.fwhm),
        weight=np.where(sources.peak_snr < options.soft_snr, options.soft_weight, 1.0),
        difficult=(sources.peak_snr < options.min_snr) | large,
    )


def batch_targets(parts: Sequence[PatchTargets]) -> Targets:
    """Join the targets of the patches of a batch."""
    counts = [len(part.weight) for part in parts]
    return Targets(
        boxes=np.concatenate([part.boxes for part in parts]),
        parameters=np.concatenate([part.parameters for part in parts]),
        class_index=np.zeros(sum(counts), np.int64),
        weight=np.concatenate([part.weight for part in parts]),
        difficult=np.concatenate([part.difficult for part in parts]),
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )


def _selected(patch: Patch, options: SelectionOptions) -> Sources:
    """Sources in the patch that matter, brightest first: of two in one cell the brighter wins."""
    position, shape = patch.sources.position, np.array(patch.snr.shape[-patch.sources.position.shape[1] :])
    inside = ((position >= -0.5) & (position < shape - 0.5)).all(axis=1)
    kept = np.flatnonzero(inside & (patch.sources.peak_snr >= options.lowest))
    order = np.argsort(-patch.sources.peak_snr[kept], kind="stable")
    return patch.sources.take(kept[order])


def _at(anchors: np.ndarray, position: np.ndarray, stride: Axes) -> np.ndarray:
    """Anchor of the cell of each position."""
    steps = np.array(stride[-position.shape[1] :])
    cell = np.floor((position + 0.5) / steps).astype(int)
    if position.shape[1] == 2:
        cell = np.column_stack([np.zeros(len(cell), int), cell])
    return np.asarray(anchors[tuple(cell.T)], np.float64)
