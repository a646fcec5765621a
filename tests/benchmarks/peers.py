"""The peers of the quality benchmark: PyBDSF and sep, run on an image and exported to SDC1 rows.

A raw table has one row a source: ra, dec (deg), flux (Jy, apparent), bmaj, bmin (arcsec FWHM,
deconvolved), pa (deg, north through east). Raw tables are kept on disk, because finding the sources is
slow and exporting them is not.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

#: thresh_pix and thresh_isl of PyBDSF, in its favour.
PYBDSF_THRESHOLDS = ((5.0, 3.0), (4.0, 3.0), (3.5, 2.5))
#: Detection thresholds (sigma) and smallest areas (pixels) of sep.
SEP_THRESHOLDS = (5.0, 4.0, 3.5, 3.0)
SEP_AREAS = (3, 5)
#: Deconvolved axes are floored at each of these, arcsec.
MINIMUM_SIZES = (0.0, 0.1, 0.2, 0.3, 0.4)
#: Isophotal moments are about 19 per cent small; the wider ones are offered as well.
SEP_WIDTHS = (1.0, 1.23)


def read_plane(path: Path) -> tuple[np.ndarray, fits.Header]:
    """The image plane (y, x) in native float32, and its header."""
    data, header = fits.getdata(path, header=True)
    return np.ascontiguousarray(np.squeeze(data), dtype=np.float32), header


def run_pybdsf(python: str, image: Path, folder: Path, *, timeout: float) -> dict[str, pd.DataFrame]:
    """Raw tables of PyBDSF by name, one for each threshold and for its Gaussians and its sources."""
    tables = {}
    script = Path(__file__).with_name("run_pybdsf.py")
    for pix, isl in PYBDSF_THRESHOLDS:
        stem = folder / f"pybdsf_{pix:g}_{isl:g}"
        paths = {kind: Path(f"{stem}_{kind}.csv") for kind in ("gaul", "srl")}
        if not all(path.exists() for path in paths.values()):
            command = ["nice", "-n", "19", python, str(script), str(image), str(pix), str(isl), str(stem)]
            subprocess.run(command, check=True, timeout=timeout, capture_output=True)
        for kind, path in paths.items():
            tables[f"pybdsf {pix:g}/{isl:g} {kind}"] = pd.read_csv(path)
    return tables


def run_sep(image: Path, folder: Path) -> dict[str, pd.DataFrame]:
    """Raw tables of sep by name, one for each threshold, area, kind of flux and width of the moments."""
    tables = {}
    for threshold in SEP_THRESHOLDS:
        for area in SEP_AREAS:
            path = folder / f"sep_{threshold:g}_{area}.csv"
            if not path.exists():
                _extract(image, threshold, area).to_csv(path, index=False)
            found = pd.read_csv(path)
            for flux in ("iso", "auto"):
                for width in SEP_WIDTHS:
                    axes = {
                        f"b{axis}": _deconvolved(found[f"fwhm_{axis}"] * width, found["beam"])
                        for axis in ("maj", "min")
                    }
                    name = f"sep {threshold:g} area {area} {flux} x{width:g}"
                    tables[name] = found.assign(flux=found[f"flux_{flux}"], **axes)
    return tables


def to_sdc1(table: pd.DataFrame, primary_beam: Path, minimum_size: float) -> pd.DataFrame:
    """SDC1 rows of a raw table, with the same constants and conventions for everyone."""
    beam = primary_beam_at(primary_beam, table["ra"].to_numpy(), table["dec"].to_numpy())
    flux = table["flux"].to_numpy() / beam
    pa = -table["pa"].to_numpy() - 90.0
    rows = pd.DataFrame(
        {
            "id": np.arange(len(table)),
            "ra_core": table["ra"],
            "dec_core": table["dec"],
            "ra_cent": table["ra"],
            "dec_cent": table["dec"],
            "flux": flux,
            "core_frac": 0.0375,
            "b_maj": np.maximum(table["bmaj"], minimum_size),
            "b_min": np.maximum(table["bmin"], minimum_size),
            "pa": 90.0 - (90.0 - pa) % 180.0,
            "size": 2,
            "class": 3,
        }
    )
    return rows[np.isfinite(flux) & (flux > 0.0)].reset_index(drop=True)


def primary_beam_at(path: Path, ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """Primary beam attenuation at sky positions (deg), interpolated in its coarse image."""
    plane, header = read_plane(path)
    x, y = WCS(header).celestial.wcs_world2pix(ra, dec, 0)
    return map_coordinates(np.nan_to_num(plane.astype(np.float64)), [y, x], order=1, mode="nearest")


def _extract(image: Path, threshold: float, area: int) -> pd.DataFrame:
    import sep

    plane, header = read_plane(image)
    blank = ~np.isfinite(plane)
    plane = np.where(blank, 0.0, plane).astype(np.float32)
    background = sep.Background(plane, mask=blank)
    sep.set_extract_pixstack(10_000_000)
    sep.set_sub_object_limit(65_536)
    found = sep.extract(
        plane - background, threshold, err=background.rms(), minarea=area, mask=blank, deblend_cont=1e-3
    )
    return _sep_table(found, plane - background.back(), header)


def _sep_table(found: np.ndarray, plane: np.ndarray, header: fits.Header) -> pd.DataFrame:
    import sep

    scale = abs(header["CDELT1"]) * 3600.0
    beam = np.sqrt(header["BMAJ"] * header["BMIN"]) * 3600.0
    beam_area = np.pi / (4.0 * np.log(2.0)) * (beam / scale) ** 2
    x, y, a, b = (found[name] for name in "xyab")
    theta = np.clip(found["theta"], -np.pi / 2, np.pi / 2)
    kron, _ = sep.kron_radius(plane, x, y, a, b, theta, 6.0)
    auto, _, _ = sep.sum_ellipse(
        plane, x, y, a, b, theta, np.clip(2.5 * np.nan_to_num(kron), 1.0, 30.0), subpix=5
    )
    ra, dec = WCS(header).celestial.wcs_pix2world(x, y, 0)
    fwhm = np.sqrt(8.0 * np.log(2.0)) * scale
    return pd.DataFrame(
        {
            "ra": ra,
            "dec": dec,
            "flux_iso": found["flux"] / beam_area,
            "flux_auto": auto / beam_area,
            "fwhm_maj": a * fwhm,
            "fwhm_min": b * fwhm,
            "beam": beam,
            "pa": np.degrees(theta) - 90.0,  # east is to the left of these images
            "peak": found["peak"],
        }
    )


def _deconvolved(fwhm: pd.Series, beam: pd.Series) -> pd.Series:
    return np.sqrt(np.maximum(fwhm**2 - beam**2, 0.0))
