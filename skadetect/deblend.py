"""Bright sources of an image that touch, measured together; and ellipses that two points describe better.

A network sees a blend of two bright points as one ellipse, and what pixels around a source sum up to holds
its neighbours' light. So once it is known what there is, groups of bright sources are fitted
(`skadetect.joint_fit`), and what comes out takes the place of the sums and moments of their pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from skadetect.beams import FWHM_PER_SIGMA, Ellipses, PixelBeam, deconvolve, ellipse_of, gaussian_exponents
from skadetect.catalog.assemble import chunks
from skadetect.catalog.flags import Flag
from skadetect.catalog.islands import islands
from skadetect.catalog.shapes import measured, signal_to_noise
from skadetect.detections import Detections
from skadetect.image import Image
from skadetect.joint_fit import Fits, fit_groups
from skadetect.nn.model import Model
from skadetect.parameters import encode
from skadetect.pixels import read_padded
from skadetect.residual import ResidualPixels
from skadetect.sky_model import SkyModel

Floats = NDArray[np.float64]

#: Signal to noise of sources that are fitted with their neighbours, and of ellipses that may be two points.
BRIGHT, SPLIT = 8.0, 15.0
#: Probability from which on a bright row that is not probable may be there all the same.
LEAST_DOUBTFUL = 0.2
#: Share of its peak that others leave unexplained; share of a brighter source's peak that sidelobes may have.
UNEXPLAINED, SIDELOBE = 0.3, 0.1
#: Distances in beams within which rows explain one another's light, and doubtful ones may be one thing; how
#: many of them at most.
AROUND, TOUCHING, MOST_DOUBTFUL = 8.0, 2.5, 4
#: What a fit may leave of the pixels: in units of the noise, or of the highest peak.
LEFT_NOISE, LEFT_SHARE = 2.0, 0.03
#: Most sources that are fitted together; larger groups are taken apart where they hang together least.
MOST = 8
#: Levels over the noise at which sources hang together, one after another until groups are small.
LEVELS = (3.0, 10.0, 30.0, 100.0, 300.0)
#: Side of what is read at a time, pixels, and how far it reaches into what lies beside.
_SIDE, _BEYOND = 1024, 64


@dataclass(frozen=True)
class _Seen:
    """Bright rows and what network and pixels say of them.

    Where they are in the table, whether they are known to be there, Gaussians (n, 6) through the beam as
    `joint_fit` takes them, fluxes, and axes and angles (n, 3).
    """

    rows: Detections
    index: NDArray[np.int64]
    known: NDArray[np.bool_]
    gaussians: Floats
    flux: Floats
    axes: Floats

    @classmethod
    def joined(cls, parts: Sequence[_Seen]) -> _Seen:
        """All rows of some parts."""
        rows = Detections.concatenate([part.rows for part in parts])
        names = ("index", "known", "gaussians", "flux", "axes")
        return cls(rows, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, index: NDArray[np.bool_]) -> _Seen:
        """Some of the rows."""
        rows, place, known = self.rows.take(index), self.index[index], self.known[index]
        return _Seen(rows, place, known, self.gaussians[index], self.flux[index], self.axes[index])

    @property
    def noise(self) -> Floats:
        """At the rows, image unit."""
        return self.rows.local_rms.astype(np.float64)

    @property
    def snr(self) -> Floats:
        """Of the peaks."""
        return signal_to_noise(self.rows)

    def sky(self, beam: PixelBeam) -> SkyModel:
        """All of them."""
        bmaj, bmin, theta = self.axes.T
        place = self.gaussians[:, 1:3]
        return SkyModel.of(place, self.flux, (bmaj, bmin, theta), beam=beam, noise=self.noise)


@dataclass(frozen=True)
class _Groups:
    """What is fitted together: rows one group after another, where each group starts (g + 1), and the square
    of the image that its middle lies in (g, 2); those of one square are together.
    """

    row: NDArray[np.int64]
    start: NDArray[np.int64]
    square: NDArray[np.int64]


def deblended(
    rows: Detections,
    view: Image,
    model: Model,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Detections:
    """The same rows, those of bright blends as all of them together explain the pixels, and more of them.

    Parameters
    ----------
    rows : Detections
        Measured in the view, with probabilities if the model knows them.
    view : Image
        Of rank 2.
    model : Model
        Its threshold says which rows are there; bright ones of less confidence are if they explain pixels
        that nothing else does.
    progress : callable, optional
        Called with (windows done, windows in all).

    Returns
    -------
    Detections
        Rows that are not confident, not bright or by themselves are as they were. What a network saw as one
        and is two is flagged, the second one comes last; both have its score and probability.
    """
    if not len(rows):
        return rows
    beam, (seen, skies) = view.pixel_beam, _seen(rows, view, model)
    seen = seen.take(seen.known | _unexplained(seen, beam))
    sky = SkyModel.joined([*skies, seen.take(~seen.known).sky(beam)])
    del skies
    groups = _groups(seen)
    fits = _fits(groups, seen, ResidualPixels(view.pixels, sky), beam, progress)
    some, fits = _judged(seen, fits, groups, model.threshold)
    two = ~np.isnan(fits.second[:, 0])
    one, doubtful = fits.sound & ~two, ~seen.known & ~two
    changed = [
        (one, _measured_anew(some.take(one), fits.sources[one], beam)),
        (doubtful & ~one, some.take(doubtful & ~one)),
        (two, _as_fitted(some.take(two), fits.sources[two], beam, model)),
    ]
    index = np.concatenate([seen.index[mask] for mask, _ in changed])
    second = _as_fitted(some.take(two), fits.second[two], beam, model)
    return rows.changed(index, Detections.concatenate([part for _, part in changed]), second)


def in_doubt(rows: Detections) -> NDArray[np.bool_]:
    """Which rows are bright and so may be there although they are not probable."""
    return np.asarray((rows.prob >= np.float32(LEAST_DOUBTFUL)) & (signal_to_noise(rows) >= BRIGHT))


def _seen(rows: Detections, view: Image, model: Model) -> tuple[_Seen, list[SkyModel]]:
    """Bright rows that are there or in doubt, and all that are there, as they are measured in a view."""
    parts, skies, start, beam = [], [], 0, view.pixel_beam
    for some in chunks(rows):
        index, start = np.arange(start, start + len(some)), start + len(some)
        sure = some.confidence >= np.float32(model.threshold)
        wanted = sure | in_doubt(some)
        shapes, placed, _ = measured(some.take(wanted), view, model)
        flux, axes = shapes.int_flux, np.stack(shapes.convolved, axis=1)
        peak = flux * beam.bmaj * beam.bmin / (axes[:, 0] * axes[:, 1])
        gaussians = np.column_stack([peak, placed.position, gaussian_exponents(*shapes.convolved)])
        seen = _Seen(some.take(wanted), index[wanted], sure[wanted], gaussians, flux, axes)
        skies.append(seen.take(seen.known).sky(beam))
        parts.append(seen.take((seen.snr >= BRIGHT) & (peak > 0) & np.isfinite(gaussians).all(axis=1)))
    return _Seen.joined(parts), skies


def _unexplained(seen: _Seen, beam: PixelBeam) -> NDArray[np.bool_]:
    """Doubtful rows in a place whose light the others do not explain.

    Beside a much brighter source they may be its sidelobes, and many together are pieces of something large;
    at an edge the middle of a source may be what is not seen of it.
    """
    found, doubtful = np.zeros(len(seen.known), bool), np.flatnonzero(~seen.known)
    if not len(doubtful):
        return found
    peak, noise = seen.rows.peak.astype(np.float64), seen.noise
    bright, at_edge = np.flatnonzero(seen.known), (seen.rows.flags & Flag.EDGE.value) > 0
    place, accepted = seen.gaussians[:, 1:3], seen.known.copy()
    around = cKDTree(place[bright]).query_ball_point(place[doubtful], AROUND * beam.fwhm)
    beside = cKDTree(place[doubtful]).query_ball_point(place[doubtful], TOUCHING * beam.fwhm)
    for k in np.argsort(-seen.rows.prob[doubtful], kind="stable"):
        row, near = doubtful[k], doubtful[beside[k]]
        others = np.concatenate([bright[around[k]], near[accepted[near]]]).astype(np.int64)
        if len(near) > MOST_DOUBTFUL or (peak[row] < SIDELOBE * peak[others]).any() or at_edge[row]:
            continue
        left = peak[row] - _light(seen.gaussians[others], seen.rows.position[row])
        accepted[row] = found[row] = left > max(BRIGHT * noise[row], UNEXPLAINED * peak[row])
    return found


def _light(gaussians: Floats, place: Floats) -> float:
    """Of some sources at a place."""
    dy, dx = (place - gaussians[:, 1:3]).T
    power = gaussians[:, 3] * dy * dy + gaussians[:, 4] * dx * dx + gaussians[:, 5] * dy * dx
    return float(np.sum(gaussians[:, 0] * np.exp(power)))


def _groups(seen: _Seen) -> _Groups:
    """Rows that hang together, and those by themselves that are to be looked into."""
    place, peak, noise = seen.gaussians[:, 1:3], seen.gaussians[:, 0], seen.noise
    label, left = np.full(len(peak), -1), np.arange(len(peak))
    for level in LEVELS:
        bmaj, bmin, theta = seen.axes[left].T
        first = islands(place[left], peak[left], (bmaj, bmin, theta), noise[left], level=level)
        size = np.bincount(first, minlength=len(left))[first]
        label[left[size <= MOST]] = left[first[size <= MOST]]
        left = left[size > MOST]
    alone = np.bincount(label[label >= 0], minlength=len(label))[label] == 1
    label[alone & seen.known & (seen.snr < SPLIT)] = -1
    order = np.argsort(label, kind="stable")[np.count_nonzero(label < 0) :]
    start = np.flatnonzero(np.diff(label[order], prepend=-1))
    return _in_squares(order, np.append(start, len(order)), place)


def _in_squares(row: NDArray[np.int64], start: NDArray[np.int64], place: Floats) -> _Groups:
    """Groups by the square of the image, without those that reach too far."""
    if not len(row):
        return _Groups(row, start[:1], np.empty((0, 2), np.int64))
    low, high = (ufunc.reduceat(place[row], start[:-1]) for ufunc in (np.minimum, np.maximum))
    kept = np.flatnonzero((high - low).max(axis=1) < _BEYOND)
    square = (0.5 * (low + high)[kept] // _SIDE).astype(np.int64)
    order = np.lexsort((square[:, 1], square[:, 0]))
    kept, size = kept[order], np.diff(start)[kept[order]]
    ends = np.concatenate([[0], np.cumsum(size)])
    within = np.arange(ends[-1]) - np.repeat(ends[:-1], size)
    return _Groups(row[np.repeat(start[kept], size) + within], ends, square[order])


def _fits(
    groups: _Groups,
    seen: _Seen,
    left: ResidualPixels,
    beam: PixelBeam,
    progress: Callable[[int, int], None] | None,
) -> Fits:
    """All groups, square by square; what is of a group is at its first row."""
    sources = seen.gaussians
    fitted, sound = sources.copy(), np.zeros(len(sources), bool)
    second, rest = np.full(sources.shape, np.nan), np.full(len(sources), np.inf)
    point = gaussian_exponents([beam.bmaj], [beam.bmin], [beam.theta])[0]
    changes = np.flatnonzero(np.diff(groups.square, axis=0).any(axis=1)) + 1
    ends = [*([0] if len(groups.square) else []), *changes, len(groups.square)]
    for done, (begin, end) in enumerate(pairwise(ends), start=1):
        low = groups.square[begin] * _SIDE - _BEYOND
        high = low + _SIDE + 2 * _BEYOND
        pixels = read_padded(left, (0, int(low[0]), int(low[1])), (1, int(high[0]), int(high[1])))[0]
        start = groups.start[begin : end + 1]
        rows = groups.row[start[0] : start[-1]]
        first, shift = groups.row[start[:-1]], np.array([0.0, *low, 0.0, 0.0, 0.0])
        level = seen.rows.background[first].astype(np.float64)
        found = fit_groups(
            pixels, sources[rows] - shift, start - start[0], noise=seen.noise[first], level=level, beam=point
        )
        fitted[rows], sound[rows] = found.sources + shift, found.sound
        second[first], rest[first] = found.second + shift, found.left
        if progress is not None:
            progress(done, len(ends) - 1)
    return Fits(fitted, sound, second, rest)


def _judged(seen: _Seen, fits: Fits, groups: _Groups, threshold: float) -> tuple[Detections, Fits]:
    """Rows and fits; doubtful rows are there if a fit with them explains the pixels, else all is as it was.

    Their probability is that one of those in a group is right.
    """
    prob, sound, second = seen.rows.prob.copy(), fits.sound.copy(), fits.second.copy()
    number = np.repeat(np.arange(len(groups.square)), np.diff(groups.start))
    for g in np.unique(number[~seen.known[groups.row]]):
        group = groups.row[groups.start[g] : groups.start[g + 1]]
        doubtful = group[~seen.known[group]]
        peak, noise = fits.sources[group, 0].max(), seen.noise[group[0]]
        if fits.left[group[0]] < max(LEFT_NOISE * noise, LEFT_SHARE * peak):
            one = 1.0 - float(np.prod(1.0 - prob[doubtful].astype(np.float64)))
            prob[doubtful] = np.float32(max(one, threshold))
        else:
            sound[group], second[group] = False, np.nan
    return seen.rows.with_(prob=prob), fits._replace(sound=sound, second=second)


def _measured_anew(some: Detections, sources: Floats, beam: PixelBeam) -> Detections:
    """Rows with what a fit says of them in the place of sums and moments."""
    flux, (xx, yy, xy) = _flux(sources, beam), _moments(sources)
    return some.with_(
        aperture=flux,
        centre=(sources[:, 1:3] - some.position) / beam.fwhm,
        spread=np.stack([xx, yy, xy], axis=1) / beam.fwhm**2,
    )


def _as_fitted(some: Detections, sources: Floats, beam: PixelBeam, model: Model) -> Detections:
    """Rows that a network saw otherwise, as if it had seen what was fitted."""
    bmaj, bmin, theta = deconvolve(*ellipse_of(*_moments(sources)), beam)
    anchor = np.maximum(sources[:, 0] / some.local_rms, 1.0)
    physical = {"int_flux": _flux(sources, beam) / some.local_rms, "bmaj": bmaj, "bmin": bmin, "theta": theta}
    half = 0.5 * (some.boxes[:, 1] - some.boxes[:, 0])
    half = np.minimum(half, np.sqrt(np.stack(_moments(sources)[1::-1], axis=1)))
    place = sources[:, 1:3]
    rows = some.with_(
        position=place,
        boxes=np.stack([place - half, place + half], axis=1),
        parameters=encode(model.parameters, physical, anchor=anchor, beam_fwhm=beam.fwhm),
        anchor=anchor,
        peak=sources[:, 0],
        flags=some.flags | Flag.SPLIT.value,
    )
    return _measured_anew(rows, sources, beam)


def _moments(sources: Floats) -> Ellipses:
    """Second moments xx, yy, xy in units of squared FWHM."""
    a, b, c = sources[:, 3:].T
    scale = FWHM_PER_SIGMA**2 / (4.0 * a * b - c * c)
    return -2.0 * a * scale, -2.0 * b * scale, c * scale


def _flux(sources: Floats, beam: PixelBeam) -> Floats:
    """In the image's unit times beam."""
    xx, yy, xy = _moments(sources)
    return np.asarray(sources[:, 0] * np.sqrt(xx * yy - xy * xy) / (beam.bmaj * beam.bmin))
