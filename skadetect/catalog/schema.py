"""The columns and keywords of a catalogue: one table each, from which every format is written."""

from __future__ import annotations

from typing import NamedTuple

from astropy import units as u

from skadetect.catalog.flags import flag_summary

PEAK_UNIT, FLUX_UNIT, LINE_UNIT = "image unit", "image unit times beam", "image unit times beam and Hz"


class ColumnSpec(NamedTuple):
    """One column: name, unit (Astropy's spelling or one of the three above), UCD, NumPy type and meaning."""

    name: str
    unit: str
    ucd: str
    dtype: str
    description: str


COLUMNS: tuple[ColumnSpec, ...] = tuple(
    ColumnSpec(*row)
    for row in (
        ("source_id", "", "meta.id;meta.main", "i8", "number of the row, from 1, by falling peak"),
        ("name", "", "meta.id", "U", "IAU name: position truncated, not rounded"),
        ("island_id", "", "meta.id.parent", "i8", "source_id of the brightest source of the same island"),
        ("ra", "deg", "pos.eq.ra;meta.main", "f8", "right ascension"),
        ("dec", "deg", "pos.eq.dec;meta.main", "f8", "declination"),
        ("e_ra", "arcsec", "stat.error;pos.eq.ra", "f4", "error of the right ascension, on the sky"),
        ("e_dec", "arcsec", "stat.error;pos.eq.dec", "f4", "error of the declination"),
        ("x", "pix", "pos.cartesian.x", "f8", "position along the first FITS axis, 0-based"),
        ("y", "pix", "pos.cartesian.y", "f8", "position along the second FITS axis, 0-based"),
        ("peak_flux", PEAK_UNIT, "phot.flux.density;stat.max", "f8", "peak above the background"),
        ("e_peak_flux", PEAK_UNIT, "stat.error;phot.flux.density", "f4", "error of peak_flux"),
        (
            "int_flux",
            FLUX_UNIT,
            "phot.flux.density",
            "f8",
            "flux, by the network and by aper_flux",
        ),
        ("e_int_flux", FLUX_UNIT, "stat.error;phot.flux.density", "f4", "error of int_flux"),
        ("aper_flux", FLUX_UNIT, "phot.flux.density", "f8", "flux by its pixels alone, see int_flux"),
        ("e_aper_flux", FLUX_UNIT, "stat.error;phot.flux.density", "f4", "error of aper_flux by the noise"),
        ("bmaj", "arcsec", "phys.angSize.smajAxis", "f4", "major FWHM as seen through the beam"),
        ("bmin", "arcsec", "phys.angSize.sminAxis", "f4", "minor FWHM as seen through the beam"),
        ("pa", "deg", "pos.posAng", "f4", "position angle of bmaj, north through east"),
        ("e_bmaj", "arcsec", "stat.error;phys.angSize.smajAxis", "f4", "error of bmaj"),
        ("e_bmin", "arcsec", "stat.error;phys.angSize.sminAxis", "f4", "error of bmin"),
        ("e_pa", "deg", "stat.error;pos.posAng", "f4", "error of pa"),
        ("bmaj_deconv", "arcsec", "phys.angSize.smajAxis", "f4", "major FWHM, beam removed"),
        ("bmin_deconv", "arcsec", "phys.angSize.sminAxis", "f4", "minor FWHM, beam removed"),
        ("pa_deconv", "deg", "pos.posAng", "f4", "position angle of bmaj_deconv, north through east"),
        (
            "e_pa_deconv",
            "deg",
            "stat.error;pos.posAng",
            "f4",
            "error of pa_deconv, by the network; NaN unknown",
        ),
        ("local_rms", PEAK_UNIT, "stat.stdev;phot.flux.density", "f8", "noise at the source"),
        ("local_background", PEAK_UNIT, "instr.background", "f8", "background at the source"),
        ("snr", "", "stat.snr", "f4", "peak over noise, where scale > 1 of the smoothed image"),
        ("scale", "", "instr.scale", "i4", "beam that it was found with, over the image's: 1, 2, 4 ..."),
        ("score", "", "stat.likelihood", "f4", "the network's confidence that this is a source, 0 to 1"),
        ("prob", "", "stat.probability", "f4", "probability that it is real, by simulations; NaN unknown"),
        ("prior", "", "meta.code", "i4", "which of the network's priors made the box, from 0"),
        ("flags", "", "meta.code.qual", "i4", flag_summary()),
        ("x_min", "pix", "pos.cartesian.x;stat.min", "f4", "low x of the detection box, 0-based"),
        ("x_max", "pix", "pos.cartesian.x;stat.max", "f4", "high x of the detection box, 0-based"),
        ("y_min", "pix", "pos.cartesian.y;stat.min", "f4", "low y of the detection box, 0-based"),
        ("y_max", "pix", "pos.cartesian.y;stat.max", "f4", "high y of the detection box, 0-based"),
    )
)


class KeywordSpec(NamedTuple):
    """One entry of the table's meta; the name is also the FITS keyword, so it has at most eight letters."""

    name: str
    description: str


KEYWORDS: tuple[KeywordSpec, ...] = tuple(
    KeywordSpec(*row)
    for row in (
        ("creator", "program and version"),
        ("date", "when the catalogue was made, UTC"),
        ("image", "name of the image"),
        ("bunit", "unit of the image as measured"),
        ("freq", "frequency [Hz]"),
        ("bmaj", "beam, major FWHM [deg]"),
        ("bmin", "beam, minor FWHM [deg]"),
        ("bpa", "beam, position angle [deg]"),
        ("radesys", "frame of ra and dec"),
        ("specsys", "frame of frequencies, cubes only"),
        ("restfreq", "rest frequency of the line [Hz], cubes only"),
        ("chanstep", "frequency a channel on [Hz], cubes only"),
        ("pixscale", "side of a pixel [arcsec], cubes only"),
        ("model", "name of the model"),
        ("modelsha", "start of the SHA-256 of its weights"),
        ("thresh", "least score, or probability if rows have one"),
        ("repairs", "what was mended in the header"),
        ("options", "options of the run, JSON"),
        ("versions", "libraries"),
    )
)


def column_unit(spec: ColumnSpec, image_unit: u.UnitBase) -> u.UnitBase | None:
    """Unit of a column in a catalogue of an image in `image_unit`; None where the column has no unit.

    Jy/beam gives Jy for integrated fluxes and Jy Hz for those of lines, K gives K beam.
    """
    if spec.unit == PEAK_UNIT:
        return image_unit
    if spec.unit == FLUX_UNIT:
        return image_unit * u.beam
    if spec.unit == LINE_UNIT:
        return image_unit * u.beam * u.Hz
    return u.Unit(spec.unit) if spec.unit else None
