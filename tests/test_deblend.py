"""Blends of bright sources, from pixels to rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

import skadetect
from skadetect.beams import PixelBeam
from skadetect.catalog.flags import Flag
from skadetect.evaluate.injection import inject_gaussians
from tests.fits_files import PIXEL, sky_header

RMS, FWHM = 1e-5, 4.0
BEAM = PixelBeam(FWHM, FWHM, 0.0)


def noise(side: int, seed: int = 1) -> np.ndarray:
    made = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), FWHM / 2.3548, mode="wrap")
    return (RMS * made / made.std()).astype(np.float32)


def header(side: int) -> fits.Header:
    return sky_header(side, side, BMAJ=FWHM * PIXEL, BMIN=FWHM * PIXEL)


def pairs(side: int) -> pd.DataFrame:
    """Pairs of points, 1.1 to 2.5 beams apart, of 40 to 200 times the noise and up to three times fainter."""
    rng, rows = np.random.default_rng(3), []
    for number, (y, x) in enumerate(np.ndindex(side // 64, side // 64)):
        snr, apart, angle = 10 ** rng.uniform(1.6, 2.3), FWHM * rng.uniform(1.1, 2.5), rng.uniform(0, 6.28)
        place = np.array([32.0 + 64 * y, 32.0 + 64 * x]) + rng.uniform(-0.5, 0.5, 2)
        for share, step in ((1.0, 0.0), (rng.uniform(0.33, 1.0), apart)):
            at = place + step * np.array([np.sin(angle), np.cos(angle)])
            rows.append((number, at[0], at[1], snr * share * RMS))
    return pd.DataFrame(rows, columns=["pair", "y", "x", "int_flux"])


@pytest.fixture(scope="module")
def blends() -> tuple[pd.DataFrame, skadetect.Catalog]:
    true = pairs(512)
    image, _ = inject_gaussians(noise(512), true, BEAM)
    return true, skadetect.detect((image, header(512)), levels=0)


def test_both_of_a_bright_pair_are_found_and_measured(blends) -> None:
    true, catalog = blends
    rows = catalog.to_pandas()
    distance, row = cKDTree(rows[["y", "x"]]).query(true[["y", "x"]].to_numpy())
    back = cKDTree(true[["y", "x"]]).query(rows[["y", "x"]].to_numpy()[row])[1]
    found = (distance < 0.3 * FWHM) & (back == np.arange(len(true)))
    assert found.mean() > 0.95
    assert len(rows) <= len(true) + 4  # noise has faint peaks in so crowded a field
    ratio = rows["int_flux"].to_numpy()[row[found]] / true["int_flux"].to_numpy()[found]
    assert abs(np.median(ratio) - 1.0) < 0.04 and np.quantile(np.abs(ratio - 1.0), 0.68) < 0.07
    assert np.quantile(distance[found], 0.68) < 0.03 * FWHM
    assert (rows["prob"] >= 0.6).all()


def test_those_that_were_one_row_are_flagged_and_share_an_island(blends) -> None:
    _, catalog = blends
    rows = catalog.to_pandas()
    split = rows[(rows["flags"] & Flag.SPLIT.value) > 0]
    assert len(split) >= 4
    sizes = split.groupby("island_id").size()
    assert (sizes == 2).mean() > 0.9
    for _, two in split.groupby("island_id"):
        assert two["score"].nunique() == 1 or len(two) > 2


def test_sources_by_themselves_are_as_they_were() -> None:
    rng, side = np.random.default_rng(5), 512
    place = np.stack(np.meshgrid(np.arange(32.0, side, 64), np.arange(32.0, side, 64)), -1).reshape(-1, 2)
    n = len(place)
    true = {"y": place[:, 0], "x": place[:, 1], "int_flux": RMS * 10 ** rng.uniform(1.0, 3.0, n)}
    bmaj = rng.uniform(0.0, 8.0, n)
    true |= {"bmaj": bmaj, "bmin": bmaj * rng.uniform(0.3, 1.0, n), "theta": rng.uniform(-1.5, 1.5, n)}
    image, _ = inject_gaussians(noise(side), true, BEAM)
    after = skadetect.detect((image, header(side)), levels=0)
    before = skadetect.detect((image, header(side)), levels=0, blends=False)
    same = np.isin(after.table["x"].value, before.table["x"].value)
    assert n * 0.9 < same.sum() == len(before)
    for name in ("x", "int_flux", "bmaj", "prob"):
        np.testing.assert_array_equal(np.asarray(after.table[name])[same], np.asarray(before.table[name]))
    # more of them are bright ones that the network was in doubt of
    new = np.stack([after.table["y"].value, after.table["x"].value], axis=1)[~same]
    assert len(new) and cKDTree(place).query(new)[0].max() < 0.5 * FWHM


def test_rings_around_a_bright_source_are_no_sources() -> None:
    side = 512
    y, x = np.mgrid[:side, :side]
    r = np.hypot(y - 250, x - 250)
    shape = np.exp(-(r**2) / (2 * 1.7**2)) + 0.005 * np.cos(r / 6) * np.exp(-r / 80)
    image = (noise(side) + 3000 * RMS * shape).astype("f4")
    rows = skadetect.detect((image, header(side))).to_pandas()
    assert len(rows[rows["snr"] > 5]) == 1


def test_windows_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    true = pairs(256)
    image, _ = inject_gaussians(noise(256), true, BEAM)
    one = skadetect.detect((image, header(256)), levels=0)
    monkeypatch.setattr("skadetect.deblend._SIDE", 48)
    many = skadetect.detect((image, header(256)), levels=0)
    assert len(one) == len(many)
    for name in ("x", "y", "int_flux"):
        np.testing.assert_allclose(one.table[name].value, many.table[name].value, rtol=1e-5)
