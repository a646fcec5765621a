"""What tells real rows from false ones, beside the network's score: the terms of their odds.

A score is learned on patches full of sources, one cell at a time. A field or a cube of natural density has a
hundred thousand cells for each source, and how loud a row is as a whole says more than its score does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit

Floats = NDArray[np.float64]

_FAINTEST, _LOUD, _WIDTH = 0.1, 12.0, 100.0
# Signal to noise of a peak beyond which noise is no longer what it is mistaken for.
_NO_NOISE = 8.0
# Signal to noise and score of bright sources; beams that one more of them is taken to be in.
_BRIGHT, _SURE, _UNSEEN = 7.0, 0.3, 500.0


@dataclass(frozen=True)
class Evidence:
    """What the logarithm of the odds is linear in, beside a constant.

    Attributes
    ----------
    terms : tuple of str
        Their names.
    columns : tuple of str
        What they are made of.
    of : callable
        From a mapping of the columns, n rows each, to an array (n, terms).
    """

    terms: tuple[str, ...]
    columns: tuple[str, ...]
    of: Callable[[Mapping[str, ArrayLike]], Floats]


def cube_evidence(columns: Mapping[str, ArrayLike]) -> Floats:
    """Of rows of a cube.

    The logit of the score; the logarithm of the signal to noise of the whole line up to 12, and what it has
    beyond: above, no noise is mistaken for a galaxy, but pieces of large galaxies are; the logarithms of the
    signal to noise of the highest voxel, at least 1, and of w20 / (100 km/s); how far the box is from the
    sizes that its level measures well, and whether that is one of averaged pixels; how much of the box is
    blank: what is seen there is often a galaxy whose centre lies beyond the edge.

    Parameters
    ----------
    columns : mapping of str to array (n,)
        score; snr; f_max and rms, in one unit; w20, km/s; beyond, octaves (`skadetect.pyramid`); averaged, 1
        for what was found on averaged pixels and else 0; cut, 0 to 1 (`skadetect.detections.Detections`).

    Returns
    -------
    array (n, 8)
    """
    known = {name: np.asarray(columns[name], np.float64) for name in KINDS["cube"].columns}
    peak = np.maximum(known["f_max"] / known["rms"], 1.0)
    snr = np.log(np.maximum(known["snr"], _FAINTEST) / _LOUD)
    return np.stack(
        [
            _logit(known["score"]),
            np.minimum(snr, 0.0),
            np.maximum(snr, 0.0),
            np.log(peak),
            np.log(np.maximum(known["w20"], 1.0) / _WIDTH),
            known["beyond"],
            known["averaged"],
            known["cut"],
        ],
        axis=1,
    )


def image_evidence(columns: Mapping[str, ArrayLike]) -> Floats:
    """Of rows of an image.

    The logit of the score; half the square of the peak's signal to noise up to 8, by which the logarithm of
    the number of noise peaks falls (Rice 1944); the logarithm of the field's density of bright sources; and
    that times the first, for the denser a field is, the more the score says.

    Parameters
    ----------
    columns : mapping of str to array (n,)
        score; snr, of the peak; density, bright sources a beam in the field.

    Returns
    -------
    array (n, 4)
    """
    known = {name: np.asarray(columns[name], np.float64) for name in KINDS["image"].columns}
    score, density = _logit(known["score"]), np.log(known["density"])
    peak = 0.5 * np.clip(known["snr"], 0.0, _NO_NOISE) ** 2
    return np.stack(np.broadcast_arrays(score, peak, density, score * density), axis=1)


def bright_density(snr: ArrayLike, score: ArrayLike, beams: float) -> float:
    """Sources a beam that are bright enough to be real in any field.

    Parameters
    ----------
    snr, score : array (n,)
        Of the rows of a field: peak over noise, and the network's score.
    beams : float
        Solid angle of the field.

    Returns
    -------
    float
        At least one source is taken to be in 500 beams more: of a small field little is known.
    """
    bright = (np.asarray(snr) >= _BRIGHT) & (np.asarray(score) >= _SURE)
    return float((np.count_nonzero(bright) + 1.0) / (beams + _UNSEEN))


KINDS: Mapping[str, Evidence] = MappingProxyType(
    {
        "cube": Evidence(
            ("score", "snr", "loud", "peak", "w20", "beyond", "averaged", "cut"),
            ("score", "snr", "f_max", "rms", "w20", "beyond", "averaged", "cut"),
            cube_evidence,
        ),
        "image": Evidence(
            ("score", "peak", "density", "crowded"), ("score", "snr", "density"), image_evidence
        ),
    }
)


def _logit(score: Floats) -> Floats:
    odds: Floats = logit(np.clip(score, 1e-6, 1.0 - 1e-6))
    return odds
