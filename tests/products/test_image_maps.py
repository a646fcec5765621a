"""Maps of an image: what was injected is in the model, and not in the residual."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skadetect.background import estimate_background
from skadetect.catalog.build import build_catalog
from skadetect.catalog.catalog import Catalog
from skadetect.errors import OutputError
from skadetect.evaluate.injection import inject_gaussians
from skadetect.image import Image, open_image
from skadetect.parameters import decode
from skadetect.products import catalog_model, write_maps
from skadetect.products.image_maps import KINDS
from tests.catalog.toy import MODEL, RMS, toy_detections
from tests.fits_files import sky_header

SIDE = 200


@pytest.fixture(scope="module")
def field() -> tuple[Image, Catalog, np.ndarray]:
    """Noise with the sources of a catalogue in it and a blank corner, and the noise alone."""
    header = sky_header(SIDE, SIDE, BMAJ=2.0 / 3600, BMIN=1.4 / 3600, BPA=30.0)
    noise = np.random.default_rng(1).normal(0.0, RMS, (SIDE, SIDE)).astype(np.float32)
    noise[:20, :30] = np.nan
    plain = open_image((noise, header))
    rows = toy_detections(plain.pixel_beam, side=SIDE)
    true = decode(MODEL.parameters, rows.parameters, anchor=rows.anchor, beam_fwhm=plain.pixel_beam.fwhm)
    columns = {"y": rows.position[:, 0], "x": rows.position[:, 1], "int_flux": true["int_flux"] * RMS}
    columns |= {name: true[name] for name in ("bmaj", "bmin", "theta")}
    pixels, _ = inject_gaussians(noise, columns, plain.pixel_beam)
    image = open_image((pixels, header))
    return image, build_catalog(rows, image, MODEL), noise


def read(paths: dict[str, Path], kind: str) -> np.ndarray:
    return np.asarray(fits.getdata(paths[kind]), np.float64)


def test_the_residual_is_the_noise(field: tuple[Image, Catalog, np.ndarray], tmp_path: Path) -> None:
    image, catalog, noise = field
    paths = write_maps(catalog, image, tmp_path)
    assert set(paths) == set(KINDS)
    pixels = image.read((0, 0, 0), image.shape)[0]
    np.testing.assert_allclose(read(paths, "residual"), noise, atol=0.15 * RMS)  # wings below the noise
    np.testing.assert_allclose(read(paths, "model") + read(paths, "residual"), pixels, atol=1e-3 * RMS)
    level, rms = estimate_background(image).at((0, 0, 0), image.shape)
    blank = np.isnan(noise)
    for kind, expected in (("background", level[0]), ("rms", rms[0])):
        found = read(paths, kind)
        assert np.isnan(found[blank]).all()
        np.testing.assert_array_equal(found[~blank], expected[~blank])
    mask = fits.getdata(paths["mask"])
    assert mask.dtype == np.uint8 and not mask[blank].any()
    np.testing.assert_array_equal(mask[~blank] == 1, (read(paths, "model") > rms[0])[~blank])


def test_maps_lie_where_the_image_lies(field: tuple[Image, Catalog, np.ndarray], tmp_path: Path) -> None:
    image, catalog, _ = field
    for kind, path in write_maps(catalog, image, tmp_path).items():
        header = fits.getheader(path)
        assert header["BUNIT"] == ("" if kind == "mask" else "Jy beam-1")
        assert header["BMAJ"] == pytest.approx(2.0 / 3600)
        for x, y in ((0.0, 0.0), (150.0, 20.0)):
            np.testing.assert_allclose(
                WCS(header).pixel_to_world_values(x, y), image.wcs.pixel_to_world_values(x, y)
            )


def test_pieces_do_not_show(
    field: tuple[Image, Catalog, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, catalog, _ = field
    whole = write_maps(catalog, image, tmp_path / "whole")
    monkeypatch.setattr("skadetect.views.SLAB", 7 * SIDE)
    steps: list[tuple[int, int]] = []
    parts = write_maps(catalog, image, tmp_path / "parts", progress=lambda *step: steps.append(step))
    assert steps[-1] == (29, 29)
    for kind, path in whole.items():
        assert path.read_bytes() == parts[kind].read_bytes()


def test_files_of_something_else_are_kept_unless_asked(
    field: tuple[Image, Catalog, np.ndarray], tmp_path: Path
) -> None:
    image, catalog, _ = field
    paths = write_maps(catalog, image, tmp_path)
    before = {kind: path.stat().st_mtime_ns for kind, path in paths.items()}
    assert {
        kind: path.stat().st_mtime_ns for kind, path in write_maps(catalog, image, tmp_path).items()
    } == before
    fewer = Catalog(catalog.table[:3])
    with pytest.raises(OutputError, match=re.escape("is not of this source")):
        write_maps(fewer, image, tmp_path)
    write_maps(fewer, image, tmp_path, overwrite=True)
    assert len(catalog_model(fewer, image)) == 3
    assert paths["model"].stat().st_mtime_ns != before["model"]


def test_a_catalogue_without_rows_leaves_the_image(
    field: tuple[Image, Catalog, np.ndarray], tmp_path: Path
) -> None:
    image, catalog, _ = field
    paths = write_maps(Catalog(catalog.table[:0]), image, tmp_path)
    np.testing.assert_array_equal(read(paths, "residual"), image.read((0, 0, 0), image.shape)[0])
    assert not fits.getdata(paths["mask"]).any()
