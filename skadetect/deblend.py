"""Bright sources of an image that touch, measured together; and ellipses that two points describe better.

A network sees a blend of two bright points as one ellipse, and what pixels around a source sum up to holds
its neighbours' light. So once it is known what there is, groups of bright sources are fitted
(`skadetect.joint_fit`), and what comes out takes the place of the sums and moments of their pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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
    """Rows and what network and pixels say of them: as Gaussians (n, 6) through the beam (`joint_fit`), their
    fluxes, axes and angles (n, 3), and whether they are known to be there.
    """

    rows: Detections
    known: NDArray[np.bool_]
    gaussians: Floats
    flux: Floats
    axes: Floats

    @classmethod
    def of(cls, rows: Detections, known: NDArray[np.bool_], view: Image, model: Model) -> _Seen:
        """Rows as they are measured in a view."""
        parts = [np.empty((0, 6))]
        for some in chunks(rows):
            shapes, placed, _ = measured(some, view, model)
            parts.append(np.column_stack([placed.position, shapes.int_flux, *shapes.convolved]))
        table, beam = np.concatenate(parts), view.pixel_beam
        flux, axes = table[:, 2], table[:, 3:]
        peak = flux * beam.bmaj * beam.bmin / (axes[:, 0] * axes[:, 1])
        gaussians = np.column_stack([peak, table[:, :2], gaussian_exponents(*axes.T)])
        return cls(rows, known, gaussians, flux, axes)

    def take(self, index: NDArray[np.bool_]) -> _Seen:
        """Some of the rows."""
        rows, known = self.rows.take(index), self.known[index]
        return _Seen(rows, known, self.gaussians[index], self.flux[index], self.axes[index])

    @property
    def noise(self) -> Floats:
        """At the rows, image unit."""
        return self.rows.local_rms.astype(np.float64)

    def sky(self, beam: PixelBeam) -> SkyModel:
        """All of them."""
        bmaj, bmin, theta = self.axes.T
        place = self.gaussians[:, 1:3]
        return SkyModel.of(place, self.flux, (bmaj, bmin, theta), beam=beam, noise=self.noise)


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
        and is two is flagged; both have its score and probability.
    """
    beam, bright = view.pixel_beam, signal_to_noise(rows) >= BRIGHT
    sure = rows.confidence >= np.float32(model.threshold)
    index = np.flatnonzero(sure | (bright & (rows.prob >= np.float32(LEAST_DOUBTFUL))))
    seen = _Seen.of(rows.take(index), sure[index], view, model)
    there = seen.known | _unexplained(seen, beam)
    index, seen = index[there], seen.take(there)
    groups = _groups(seen)
    fits = _fits(groups, seen, ResidualPixels(view.pixels, seen.sky(beam)), beam, progress)
    some, fits = _judged(seen, fits, groups, model.threshold)
    two = ~np.isnan(fits.second[:, 0])
    one, others = fits.sound & ~two, np.ones(len(rows), bool)
    others[index] = False
    parts = [
        rows.take(others),
        some.take(~one & ~two),
        _measured_anew(some.take(one), fits.sources[one], beam),
        *(_as_fitted(some.take(two), half[two], beam, model) for half in (fits.sources, fits.second)),
    ]
    return Detections.concatenate(parts)


def _unexplained(seen: _Seen, beam: PixelBeam) -> NDArray[np.bool_]:
    """Doubtful rows in a place whose light the others do not explain.

    Beside a much brighter source they may be its sidelobes, and many together are pieces of something large.
    """
    found, doubtful = np.zeros(len(seen.known), bool), np.flatnonzero(~seen.known)
    if not len(doubtful):
        return found
    peak, noise = seen.rows.peak.astype(np.float64), seen.noise
    bright = np.flatnonzero(seen.known & (peak >= BRIGHT * noise))
    place, accepted = seen.gaussians[:, 1:3], seen.known.copy()
    around = cKDTree(place[bright]).query_ball_point(place[doubtful], AROUND * beam.fwhm)
    beside = cKDTree(place[doubtful]).query_ball_point(place[doubtful], TOUCHING * beam.fwhm)
    for k in np.argsort(-seen.rows.prob[doubtful], kind="stable"):
        row, near = doubtful[k], doubtful[beside[k]]
        others = np.concatenate([bright[around[k]], near[accepted[near]]]).astype(np.int64)
        if len(near) > MOST_DOUBTFUL or (peak[row] < SIDELOBE * peak[others]).any():
            continue
        left = peak[row] - _light(seen.gaussians[others], seen.rows.position[row])
        accepted[row] = found[row] = left > max(BRIGHT * noise[row], UNEXPLAINED * peak[row])
    return found


def _light(gaussians: Floats, place: Floats) -> float:
    """Of some sources at a place."""
    dy, dx = (place - gaussians[:, 1:3]).T
    power = gaussians[:, 3] * dy * dy + gaussians[:, 4] * dx * dx + gaussians[:, 5] * dy * dx
    return float(np.sum(gaussians[:, 0] * np.exp(power)))


def _groups(seen: _Seen) -> list[NDArray[np.int64]]:
    """Bright rows that hang together, and those by themselves that are to be looked into."""
    snr, place, peak = signal_to_noise(seen.rows), seen.gaussians[:, 1:3], seen.gaussians[:, 0]
    good = (snr >= BRIGHT) & (peak > 0) & np.isfinite(seen.gaussians).all(axis=1)
    left = np.flatnonzero(good)
    groups: list[NDArray[np.int64]] = []
    for level in LEVELS:
        bmaj, bmin, theta = seen.axes[left].T
        first = islands(place[left], peak[left], (bmaj, bmin, theta), seen.noise[left], level=level)
        order = np.argsort(first, kind="stable")
        each = np.split(left[order], np.flatnonzero(np.diff(first[order])) + 1) if len(left) else []
        groups += [group for group in each if len(group) <= MOST]
        large = [group for group in each if len(group) > MOST]
        left = np.concatenate(large) if large else left[:0]
    alone = (snr >= SPLIT) | ~seen.known
    return [group for group in groups if len(group) > 1 or alone[group[0]]]


def _fits(
    groups: list[NDArray[np.int64]],
    seen: _Seen,
    left: ResidualPixels,
    beam: PixelBeam,
    progress: Callable[[int, int], None] | None,
) -> Fits:
    """All groups, window by window; what is of a group is at its first row."""
    sources = seen.gaussians
    fitted, sound = sources.copy(), np.zeros(len(sources), bool)
    second, rest = np.full(sources.shape, np.nan), np.full(len(sources), np.inf)
    windows = _windows(groups, sources)
    point = gaussian_exponents([beam.bmaj], [beam.bmin], [beam.theta])[0]
    for done, ((y, x), inside) in enumerate(windows.items(), start=1):
        low = np.array([y, x]) * _SIDE - _BEYOND
        high = low + _SIDE + 2 * _BEYOND
        pixels = read_padded(left, (0, int(low[0]), int(low[1])), (1, int(high[0]), int(high[1])))[0]
        rows = np.concatenate(inside)
        start = np.concatenate([[0], np.cumsum([len(group) for group in inside])])
        first, shift = rows[start[:-1]], np.array([0.0, *low, 0.0, 0.0, 0.0])
        level = seen.rows.background[first].astype(np.float64)
        found = fit_groups(
            pixels, sources[rows] - shift, start, noise=seen.noise[first], level=level, beam=point
        )
        fitted[rows], sound[rows] = found.sources + shift, found.sound
        second[first], rest[first] = found.second + shift, found.left
        if progress is not None:
            progress(done, len(windows))
    return Fits(fitted, sound, second, rest)


def _windows(
    groups: list[NDArray[np.int64]], sources: Floats
) -> dict[tuple[int, int], list[NDArray[np.int64]]]:
    """Groups by the square of the image that their middle lies in, without those that reach too far."""
    windows: dict[tuple[int, int], list[NDArray[np.int64]]] = {}
    for group in groups:
        place = sources[group, 1:3]
        if np.ptp(place, axis=0).max() < _BEYOND:
            y, x = (place.mean(axis=0) // _SIDE).astype(int)
            windows.setdefault((int(y), int(x)), []).append(group)
    return dict(sorted(windows.items()))


def _judged(
    seen: _Seen, fits: Fits, groups: list[NDArray[np.int64]], threshold: float
) -> tuple[Detections, Fits]:
    """Rows and fits; doubtful rows are there if a fit with them explains the pixels, else all is as it was.

    Their probability is that one of those in a group is right.
    """
    prob, sound, second = seen.rows.prob.copy(), fits.sound.copy(), fits.second.copy()
    for group in groups:
        doubtful = group[~seen.known[group]]
        if not len(doubtful):
            continue
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
