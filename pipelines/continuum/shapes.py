"""From which signal to noise on places and shapes are the pixels' rather than the network's."""

import numpy as np
import pandas as pd

from skadetect.beams import Ellipses, ellipse_of, second_moments
from skadetect.catalog.moment_mean import MomentMean, Seen, fit_place, fit_shapes

#: What is needed of a row beside its residuals, by its column.
MEASURED = {
    **{f"seen_{name}": name for name in ("bmaj", "bmin", "pa")},
    **{f"own_{name}": f"{name}_deconv" for name in ("bmaj", "bmin", "pa")},
    "angle_error": "e_pa_deconv",
}


def fit_moments(both: pd.DataFrame) -> MomentMean:
    """The calibration by sources that were measured twice.

    Their columns are those of `MEASURED`, snr, residuals (ra, dec, arcsec), and the beam's and the true axes
    as seen through it (beam_*, true_*; arcsec, degrees), by the network alone, and again with the ending
    _pixels by the moments alone.
    """
    places = both[["ra", "dec"]], both[["ra_pixels", "dec_pixels"]]
    place = fit_place(*places, both["seen_bmaj"], both["snr"])
    return MomentMean(place, *fit_shapes(*_shapes(both)))


def _shapes(both: pd.DataFrame) -> tuple[Seen, Ellipses]:
    """What network and pixels say of shapes, and what is true, in arcsec and radians."""
    beam = _ellipse(both, "beam_{}")
    pixels, true = (_intrinsic(_ellipse(both, name), beam) for name in ("seen_{}_pixels", "true_{}"))
    seen = Seen(
        snr=both["snr"].to_numpy(),
        own=_ellipse(both, "own_{}"),
        angle_error=np.radians(both["angle_error"].to_numpy(np.float64)),
        moments=pixels,
        area=(both["seen_bmaj"] * both["seen_bmin"]).to_numpy(np.float64),
        beam=beam[0] * beam[1],
        known=np.ones(len(both), bool),
    )
    return seen, ellipse_of(*true)


def _ellipse(pairs: pd.DataFrame, name: str) -> Ellipses:
    """Axes and angle (radians) in some columns."""
    bmaj, bmin, pa = (pairs[name.format(each)].to_numpy(np.float64) for each in ("bmaj", "bmin", "pa"))
    return bmaj, bmin, np.radians(pa)


def _intrinsic(seen: Ellipses, beam: Ellipses) -> Ellipses:
    """Second moments without the beam's."""
    xx, yy, xy = (a - b for a, b in zip(second_moments(*seen), second_moments(*beam), strict=True))
    return xx, yy, xy
