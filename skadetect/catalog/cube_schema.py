"""The columns of a cube's catalogue, by SoFiA-2's names where it has the quantity."""

from __future__ import annotations

from skadetect.catalog.cube_flags import CUBE_FLAGS
from skadetect.catalog.flags import flag_summary
from skadetect.catalog.schema import LINE_UNIT, PEAK_UNIT, ColumnSpec

CUBE_COLUMNS: tuple[ColumnSpec, ...] = tuple(
    ColumnSpec(*row)
    for row in (
        ("id", "", "meta.id;meta.main", "i8", "number of the row, from 1, by falling f_sum"),
        ("name", "", "meta.id", "U", "IAU name: position truncated, not rounded"),
        ("ra", "deg", "pos.eq.ra;meta.main", "f8", "right ascension"),
        ("dec", "deg", "pos.eq.dec;meta.main", "f8", "declination"),
        ("err_ra", "arcsec", "stat.error;pos.eq.ra", "f4", "error of the right ascension, on the sky"),
        ("err_dec", "arcsec", "stat.error;pos.eq.dec", "f4", "error of the declination"),
        ("freq", "Hz", "em.freq;meta.main", "f8", "frequency of the middle of the line"),
        ("err_freq", "Hz", "stat.error;em.freq", "f4", "error of freq"),
        ("v_rad", "km/s", "spect.dopplerVeloc.radio", "f8", "radio velocity, c (1 - freq/restfreq)"),
        ("v_opt", "km/s", "spect.dopplerVeloc.opt", "f8", "optical velocity, c (restfreq/freq - 1)"),
        ("x", "pix", "pos.cartesian.x", "f8", "position along the first FITS axis, 0-based"),
        ("y", "pix", "pos.cartesian.y", "f8", "position along the second FITS axis, 0-based"),
        ("z", "pix", "pos.cartesian.z", "f8", "channel of freq, 0-based"),
        ("err_x", "pix", "stat.error;pos.cartesian.x", "f4", "error of x"),
        ("err_y", "pix", "stat.error;pos.cartesian.y", "f4", "error of y"),
        ("err_z", "pix", "stat.error;pos.cartesian.z", "f4", "error of z"),
        ("x_min", "pix", "pos.cartesian.x;stat.min", "f4", "low x of the detection box, 0-based"),
        ("x_max", "pix", "pos.cartesian.x;stat.max", "f4", "high x of the detection box, 0-based"),
        ("y_min", "pix", "pos.cartesian.y;stat.min", "f4", "low y of the detection box, 0-based"),
        ("y_max", "pix", "pos.cartesian.y;stat.max", "f4", "high y of the detection box, 0-based"),
        ("z_min", "pix", "pos.cartesian.z;stat.min", "f4", "low channel of the detection box, 0-based"),
        ("z_max", "pix", "pos.cartesian.z;stat.max", "f4", "high channel of the detection box, 0-based"),
        ("f_max", PEAK_UNIT, "phot.flux.density;stat.max", "f8", "highest voxel, on the pixels of factor"),
        ("f_sum", LINE_UNIT, "phot.flux;spect.line", "f8", "line flux, by the network and by f_aper"),
        ("err_f_sum", LINE_UNIT, "stat.error;phot.flux", "f4", "error of f_sum"),
        ("f_aper", LINE_UNIT, "phot.flux;spect.line", "f8", "line flux by its voxels alone, see f_sum"),
        ("err_f_aper", LINE_UNIT, "stat.error;phot.flux", "f4", "error of f_aper by the noise"),
        ("w20", "km/s", "spect.line.width", "f4", "width of the line at 20 % of its peak, c dnu/freq"),
        ("err_w20", "km/s", "stat.error;spect.line.width", "f4", "error of w20"),
        ("w50", "km/s", "spect.line.width", "f4", "width of the line at 50 % of its peak, c dnu/freq"),
        ("err_w50", "km/s", "stat.error;spect.line.width", "f4", "error of w50"),
        ("hi_size", "arcsec", "phys.angSize.smajAxis", "f4", "major diameter at 1 Msun/pc^2, beam removed"),
        ("err_hi_size", "arcsec", "stat.error;phys.angSize.smajAxis", "f4", "error of hi_size"),
        ("incl", "deg", "src.orbital.inclination", "f4", "inclination, 0 face-on, 90 edge-on"),
        ("err_incl", "deg", "stat.error;src.orbital.inclination", "f4", "error of incl"),
        ("kin_pa", "deg", "pos.posAng", "f4", "direction of the receding side, north through east, 0 to 360"),
        ("err_kin_pa", "deg", "stat.error;pos.posAng", "f4", "error of kin_pa, by the network"),
        ("ell_maj", "arcsec", "phys.angSize.smajAxis", "f4", "major axis of the disc seen through the beam"),
        ("ell_min", "arcsec", "phys.angSize.sminAxis", "f4", "minor axis of the disc seen through the beam"),
        ("ell_pa", "deg", "pos.posAng", "f4", "position angle of ell_maj, north through east, 0 to 180"),
        ("rms", PEAK_UNIT, "stat.stdev;phot.flux.density", "f8", "noise, on the pixels of factor"),
        ("snr", "", "stat.snr", "f4", "signal to noise of the whole line"),
        ("score", "", "stat.likelihood", "f4", "the network's confidence that this is a source, 0 to 1"),
        ("prob", "", "stat.probability", "f4", "probability that it is real, by simulated cubes"),
        ("cut", "", "stat.value", "f4", "share of its box that is blank, 0 to 1"),
        ("prior", "", "meta.code", "i4", "which of the network's priors made the box, from 0"),
        ("flag", "", "meta.code.qual", "i4", flag_summary(CUBE_FLAGS)),
        ("factor", "", "instr.scale", "f4", "side of the pixels it was found on, in pixels of the file"),
    )
)  # fmt: skip
