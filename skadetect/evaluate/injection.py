"""Put known Gaussian sources into an image, to see what a detector makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from skadetect.beams import FWHM_PER_SIGMA, second_moments
from skadetect.errors import InputError

Floats = NDArray[np.float64]

#: What a source is: centre (0-based pixels), integrated flux (image unit times beam), intrinsic FWHM axes
#: (pixels) and angle of the major axis (radians from +x towards +y).
SOURCE_COLUMNS = ("x", "y", "int_flux", "bmaj", "bmin", "theta")

_TO_SIGMA = 1.0 / FWHM_PER_SIGMA
_REACH = 5.0  # sigma out to which a source is drawn


class BeamShape(Protocol):
    """Anything with the FWHM axes (pixels) and the angle (radians from +x towards +y) of a beam."""

    @property
    def bmaj(self) -> float: ...  # noqa: D102
    @property
    def bmin(self) -> float: ...  # noqa: D102
    @property
    def theta(self) -> float: ...  # noqa: D102


def inject_gaussians(
    image: NDArray[np.floating], sources: pd.DataFrame | Mapping[str, ArrayLike], beam: BeamShape
) -> tuple[NDArray[np.floating], pd.DataFrame]:
    """Add Gaussian sources, convolved with the beam, to a copy of an image.

    Parameters
    ----------
    image : array (y, x)
        Brightness per beam; NaN pixels stay NaN.
    sources : DataFrame or mapping
        The columns of `SOURCE_COLUMNS`, each of shape (n,); axes and angle may be left out for point sources.
    beam : PixelBeam
        Beam of the image in pixels.

    Returns
    -------
    image : array (y, x)
        Of the input's type.
    truth : DataFrame
        The sources with their `peak_flux` (image unit) and convolved `conv_bmaj`, `conv_bmin` (pixels).

    Raises
    ------
    InputError
        The image is not two-dimensional, or a column is missing.
    """
    if image.ndim != 2:
        raise InputError(f"image has {image.ndim} axes, expected 2 (y, x)")
    truth = _complete(sources)
    covariance = _covariance(truth["bmaj"], truth["bmin"], truth["theta"])
    own = _covariance(np.array([beam.bmaj]), np.array([beam.bmin]), np.array([beam.theta]))
    total = covariance + own
    peak = truth["int_flux"].to_numpy(np.float64) * np.sqrt(np.linalg.det(own) / np.linalg.det(total))
    output = image.copy()
    for x, y, height, spread in zip(truth["x"], truth["y"], peak, total, strict=True):
        _add(output, x, y, height, spread)
    axes = np.sqrt(np.linalg.eigvalsh(total)) / _TO_SIGMA
    return output, truth.assign(peak_flux=peak, conv_bmaj=axes[:, 1], conv_bmin=axes[:, 0])


def random_point_sources(
    shape: tuple[int, int], int_flux: ArrayLike, *, margin: float = 10.0, seed: int = 0
) -> pd.DataFrame:
    """Point sources of given fluxes at uniform random places.

    Parameters
    ----------
    shape : (int, int)
        Image shape (y, x) in pixels.
    int_flux : array (n,)
        Integrated fluxes, image unit times beam.
    margin : float
        Pixels kept free along the borders.
    seed : int
        Of the places.

    Returns
    -------
    DataFrame
        With the columns of `SOURCE_COLUMNS`.
    """
    rng = np.random.default_rng(seed)
    flux = np.atleast_1d(np.asarray(int_flux, dtype=np.float64))
    y, x = (rng.uniform(margin, extent - 1 - margin, len(flux)) for extent in shape)
    return _complete({"x": x, "y": y, "int_flux": flux})


def _complete(sources: pd.DataFrame | Mapping[str, ArrayLike]) -> pd.DataFrame:
    table = sources if isinstance(sources, pd.DataFrame) else pd.DataFrame(dict(sources))
    missing = [name for name in ("x", "y", "int_flux") if name not in table.columns]
    if missing:
        raise InputError(
            f"sources lack the columns {', '.join(missing)}; expected {' '.join(SOURCE_COLUMNS)}"
        )
    return table.assign(**{name: 0.0 for name in SOURCE_COLUMNS if name not in table.columns})


def _covariance(bmaj: ArrayLike, bmin: ArrayLike, theta: ArrayLike) -> Floats:
    """Second moments [[xx, xy], [xy, yy]] in square pixels of Gaussians, shape (n, 2, 2)."""
    xx, yy, xy = (_TO_SIGMA**2 * each for each in second_moments(bmaj, bmin, theta))
    return np.moveaxis(np.array([[xx, xy], [xy, yy]]), -1, 0)


def _add(image: NDArray[np.floating], x: float, y: float, peak: float, covariance: Floats) -> None:
    """Add one Gaussian within five sigma of its centre, clipped to the image."""
    reach = _REACH * np.sqrt([covariance[1, 1], covariance[0, 0]])
    low = np.maximum(np.floor(np.array([y, x]) - reach), 0).astype(int)
    high = np.minimum(np.ceil(np.array([y, x]) + reach) + 1, image.shape).astype(int)
    if (high <= low).any():
        return
    dy, dx = np.arange(low[0], high[0])[:, None] - y, np.arange(low[1], high[1])[None, :] - x
    (xx, xy), (_, yy) = np.linalg.inv(covariance)
    chi2 = xx * dx**2 + 2.0 * xy * dx * dy + yy * dy**2
    image[low[0] : high[0], low[1] : high[1]] += (peak * np.exp(-0.5 * chi2)).astype(image.dtype)
