"""From detections in views of a cube to one catalogue: decode, bring to the sky and to Jy Hz, join."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.astrometry import direction_to_pa, iau_name, pixel_to_sky, theta_to_pa
from skadetect.beams import Ellipses, convolve
from skadetect.catalog.assemble import Columns, Floats, calibrate, chunks, gather, projected, to_table
from skadetect.catalog.catalog import Catalog
from skadetect.catalog.cube_flags import UNRESOLVED_BEAMS, CubeFlag
from skadetect.catalog.cube_schema import CUBE_COLUMNS
from skadetect.catalog.cube_uncertainty import CubeErrors, cube_errors, cube_floor_scale
from skadetect.catalog.flags import blended
from skadetect.catalog.flux_mean import FluxMean
from skadetect.catalog.flux_scale import FluxScale
from skadetect.catalog.probability import Reliability
from skadetect.catalog.provenance import CatalogOptions, ModelInfo, provenance
from skadetect.detections import Detections
from skadetect.image import Image
from skadetect.parameters import angle_spread, decode
from skadetect.pyramid import longer_sides, octaves_beyond
from skadetect.spectral import LIGHT_KMS, SpectralAxis

_PARAMETERS = ("line_flux", "hi_size", "w20", "w50", "direction", "incl")


@dataclass(frozen=True)
class _Galaxies:
    """Decoded sources of one view: lengths in its pixels, widths in its channels, angles in radians.

    `beams` are sizes in beams.
    """

    values: dict[str, Floats]
    beams: Floats
    spread: Floats
    ellipse: Ellipses
    freq: Floats
    channel: Floats
    rest_freq: float
    errors: CubeErrors

    @property
    def channel_kms(self) -> Floats:
        """Width of a channel at the source, rest-frame velocity."""
        return LIGHT_KMS * self.channel / self.freq


def build_cube_catalog(
    parts: Sequence[tuple[Detections, Image]],
    model: ModelInfo,
    options: CatalogOptions | None = None,
    *,
    meta: Mapping[str, Any] | None = None,
) -> Catalog:
    """Catalogue of the galaxies found in a cube.

    Parameters
    ----------
    parts : sequence of (Detections, Image)
        Positions (z, y, x) and boxes in voxels of a view of the cube, measured: peak and local_rms in its
        unit, flags with the bits of edges and blank voxels; and the view, which says where its voxels lie in
        the file. At least one part, with rows or without; the same galaxy is in one part only.
    model : ModelInfo
        What made the detections; its parameters decode theirs, those it lacks are NaN.
    options : CatalogOptions, optional
        How rows are named.
    meta : mapping of str to value, optional
        More provenance; overrides the entries of the same name.

    Returns
    -------
    Catalog
        Largest line flux first, equal ones by position; pixels and channels are those of the file.
    """
    options = options or CatalogOptions()
    n = sum(len(rows) for rows, _ in parts)
    finest = min((view for _, view in parts), key=lambda view: view.factor * view.factor_z)
    columns = _all_columns(parts, model, prefix=options.prefix)
    arrays = gather(CUBE_COLUMNS, columns, n, prefix=options.prefix)
    order = np.lexsort((arrays["x"], arrays["y"], arrays["z"], -np.nan_to_num(arrays["f_sum"])))
    for name in arrays:
        arrays[name] = arrays[name][order]
    arrays["id"][:] = np.arange(1, n + 1)
    arrays["flag"][blended(_boxes(arrays))] |= CubeFlag.OVERLAP.value
    about = provenance(finest, model, options) | dict(meta or {})
    return Catalog(to_table(arrays, CUBE_COLUMNS, finest.unit, meta=about))


def cube_probabilities(rows: Detections, view: Image, model: ModelInfo, *, level: int = 0) -> Floats | None:
    """Probability that each detection in a view of a cube is a galaxy.

    Parameters
    ----------
    rows, view, model
        As for `build_cube_catalog`.
    level : int
        How often the resolution of the view was halved; see `skadetect.pyramid`.

    Returns
    -------
    array (n,) or None
        None if the model is not calibrated.
    """
    reliability = Reliability.of(model.metadata)
    if reliability is None:
        return None
    parts = [
        reliability.probability(_line_columns(c, _decoded(c, view, model)) | _level_columns(c, level))
        for c in chunks(rows)
    ]
    return np.concatenate([np.empty(0), *parts])


def _all_columns(
    parts: Sequence[tuple[Detections, Image]], model: ModelInfo, *, prefix: str
) -> Iterator[Columns]:
    """Columns of some rows at a time, not numbered yet."""
    for rows, view in parts:
        for part in chunks(rows):
            columns = _columns(part, view, model, prefix=prefix)
            yield columns | {"prob": part.prob}


def _level_columns(rows: Detections, level: int) -> Columns:
    """What the level of its resolution says of a row's probability."""
    return {
        "beyond": octaves_beyond(longer_sides(rows.boxes), level),
        "averaged": np.full(len(rows), float(level > 0)),
        "beside": np.zeros(len(rows)),  # known when the levels are merged
    }


def _columns(rows: Detections, view: Image, model: ModelInfo, *, prefix: str) -> Columns:
    galaxies = _decoded(rows, view, model)
    columns = _place_columns(rows, view, prefix) | _line_columns(rows, galaxies)
    columns |= _flux_columns(columns["f_sum"], rows, galaxies, FluxMean.of(model.metadata))
    columns |= _shape_columns(rows, galaxies, view)
    columns |= _error_columns(columns, galaxies, view)
    before = np.hypot(columns["err_ra"], columns["err_dec"])
    calibration = dict(model.metadata.get("error_calibration", {}))
    if "err_w20" in calibration:  # true catalogues have no w50 to judge it by
        calibration.setdefault("err_w50", calibration["err_w20"])
    calibrate(columns, calibration, lambda name: cube_floor_scale(name, columns))
    wider = np.hypot(columns["err_ra"], columns["err_dec"]) / before
    columns |= {"err_x": columns["err_x"] * wider, "err_y": columns["err_y"] * wider}
    columns["err_z"] = columns["err_freq"] / galaxies.channel * view.factor_z
    columns["flag"] = _flags(rows, galaxies, view)
    return columns


def _decoded(rows: Detections, view: Image, model: ModelInfo) -> _Galaxies:
    beam, axis = view.pixel_beam, _axis(view)
    known = decode(model.parameters, rows.parameters, anchor=rows.anchor, beam_fwhm=beam.fwhm)
    values = {name: known.get(name, np.full(len(rows), np.nan)) for name in _PARAMETERS}
    beams = values["hi_size"] / beam.fwhm
    values["line_flux"] = values["line_flux"] * FluxScale.of(model.metadata).factor(beams)
    values["incl"] = np.clip(values["incl"], 0.0, math.pi / 2)
    size, incl, direction = (np.nan_to_num(values[name]) for name in ("hi_size", "incl", "direction"))
    ellipse = convolve(size, size * np.cos(incl), direction, beam)
    z = rows.position[:, 0]
    return _Galaxies(
        values=values,
        beams=beams,
        spread=angle_spread(model.parameters, rows.parameters),
        ellipse=ellipse,
        freq=np.asarray(axis.frequency(z), np.float64),
        channel=np.asarray(axis.width(z), np.float64),
        rest_freq=axis.rest_freq,
        errors=cube_errors(values, ellipse, beam=beam),
    )


def _axis(view: Image) -> SpectralAxis:
    if view.spectral is None:
        raise ValueError(f"{view.name} has no spectral axis; the catalogue of a cube needs one")
    return view.spectral


def _place_columns(rows: Detections, view: Image, prefix: str) -> Columns:
    """Positions on the sky and in the file; the edges of a box are positions like any other."""
    ra, dec = pixel_to_sky(view.wcs, rows.position[:, 2], rows.position[:, 1])
    columns: Columns = {"ra": ra, "dec": dec, "name": iau_name(prefix, ra, dec)}
    columns |= dict(zip("zyx", view.to_original(rows.position).T))
    for corner, end in zip(view.to_original(rows.boxes).transpose(1, 2, 0), ("min", "max")):
        columns |= {f"{axis}_{end}": values for axis, values in zip("zyx", corner)}
    return columns


def _line_columns(rows: Detections, galaxies: _Galaxies) -> Columns:
    """Fluxes, frequency, velocities and widths."""
    values, freq, rest = galaxies.values, galaxies.freq, galaxies.rest_freq
    return {
        "id": np.zeros(len(rows), np.int64),
        "freq": freq,
        "v_rad": LIGHT_KMS * (1.0 - freq / rest),
        "v_opt": LIGHT_KMS * (rest / freq - 1.0),
        "f_max": rows.peak,
        "f_sum": values["line_flux"] * rows.local_rms * galaxies.channel,
        "w20": values["w20"] * galaxies.channel_kms,
        "w50": values["w50"] * galaxies.channel_kms,
        "rms": rows.local_rms,
        "snr": galaxies.errors.snr,
        "score": rows.score,
        "prior": rows.prior,
        "cut": rows.cut,
    }


def _flux_columns(network: Floats, rows: Detections, galaxies: _Galaxies, mean: FluxMean) -> Columns:
    """The flux by the voxels, and that by both; `network` is in the unit of the catalogue."""
    scaled = galaxies.channel * mean.factor(galaxies.beams, galaxies.errors.snr)
    aperture, error = rows.aperture * scaled, rows.aperture_error * scaled
    return {
        "f_sum": mean.flux(network, aperture, error),
        "f_aper": aperture,
        "err_f_aper": error,
    }


def _shape_columns(rows: Detections, galaxies: _Galaxies, view: Image) -> Columns:
    """Size and angles. The side at lower z recedes if frequency ascends with z, else the other one."""
    y, x = rows.position[:, 1], rows.position[:, 2]
    turn = 0.0 if _axis(view).ascending else math.pi
    major, minor, theta = galaxies.ellipse
    return {
        "hi_size": galaxies.values["hi_size"] * view.pixel_scale,
        "incl": np.degrees(galaxies.values["incl"]),
        "kin_pa": direction_to_pa(view.wcs, x, y, galaxies.values["direction"] + turn),
        "ell_maj": major * view.pixel_scale,
        "ell_min": minor * view.pixel_scale,
        "ell_pa": theta_to_pa(view.wcs, x, y, theta),
        "factor": np.full(len(rows), view.factor),
    }


def _error_columns(columns: Columns, galaxies: _Galaxies, view: Image) -> Columns:
    """Errors before calibration; those of pixels are of the file's."""
    errors, scale = galaxies.errors, view.pixel_scale
    err_x, err_y = projected(errors.major, errors.minor, galaxies.ellipse[2])
    north, east = projected(errors.major, errors.minor, np.radians(columns["ell_pa"]))
    flux_unit = columns["rms"] * galaxies.channel
    return {
        "err_x": err_x * view.factor,
        "err_y": err_y * view.factor,
        "err_ra": east * scale,
        "err_dec": north * scale,
        "err_freq": errors.z * galaxies.channel,
        "err_f_sum": errors.line_flux * flux_unit,
        "err_w20": errors.w20 * galaxies.channel_kms,
        "err_w50": errors.w50 * galaxies.channel_kms,
        "err_hi_size": errors.hi_size * scale,
        "err_incl": np.degrees(errors.incl),
        "err_kin_pa": np.degrees(galaxies.spread),
    }


def _flags(rows: Detections, galaxies: _Galaxies, view: Image) -> NDArray[np.int32]:
    """What the detections bring and what a view tells; boxes that overlap may be in other parts."""
    flags = rows.flags.copy()
    small = galaxies.values["hi_size"] < UNRESOLVED_BEAMS * view.pixel_beam.fwhm
    averaged, guessed = max(view.factor, view.factor_z) > 1.0, _beam_is_estimated(view)
    marks = {
        CubeFlag.UNRESOLVED: small,
        CubeFlag.BEAM_ESTIMATED: np.full(len(rows), guessed),
        CubeFlag.AVERAGED: np.full(len(rows), averaged),
        CubeFlag.NO_PEAK: ~(rows.peak > 0),
    }
    for bit, mark in marks.items():
        flags[mark] |= bit.value
    return flags


def _beam_is_estimated(view: Image) -> bool:
    """Whether a repair of the header says so."""
    return any("beam" in repair and "estimated" in repair for repair in view.repairs)


def _boxes(arrays: Columns) -> Floats:
    """Boxes (n, 2, 3) in voxels of the file."""
    ends = [np.stack([arrays[f"{axis}_{end}"] for axis in "zyx"], axis=1) for end in ("min", "max")]
    return np.stack(ends, axis=1).astype(np.float64)
