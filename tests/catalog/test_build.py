"""A catalogue says of made-up sources what they were made of, on the sky and in the right units."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u

from skadetect.beams import PixelBeam, convolve
from skadetect.catalog.build import build_catalog
from skadetect.catalog.flags import Flag
from skadetect.catalog.schema import COLUMNS
from skadetect.detections import Detections
from skadetect.parameters import CONTINUUM, ParameterSpec
from tests.catalog.toy import MODEL, RMS, one_source, toy_catalog, toy_detections, toy_image

PIXEL = 1.8  # arcsec, of the toy image


def test_every_column_has_its_type_unit_ucd_and_description():
    catalog = toy_catalog()
    assert catalog.colnames == [spec.name for spec in COLUMNS]
    for spec in COLUMNS:
        info = catalog[spec.name].info
        assert info.description == spec.description and info.meta["ucd"] == spec.ucd
        kind = catalog[spec.name].dtype
        assert kind == np.dtype(spec.dtype) or (spec.dtype == "U" and kind.kind == "U")
    assert catalog["peak_flux"].unit == u.Jy / u.beam and catalog["int_flux"].unit == u.Jy
    assert catalog["bmaj"].unit == u.arcsec and catalog["x"].unit == u.pix


def test_fluxes_and_sizes_come_back_in_sky_units():
    image = toy_image()
    catalog = one_source(image, int_flux=50.0, bmaj=4.0, bmin=2.0, theta=0.3)
    assert catalog["int_flux"][0].to_value(u.Jy) == pytest.approx(50.0 * RMS, rel=1e-5)
    assert catalog["bmaj_deconv"][0].to_value(u.arcsec) == pytest.approx(4.0 * PIXEL, rel=1e-4)
    assert catalog["bmin_deconv"][0].to_value(u.arcsec) == pytest.approx(2.0 * PIXEL, rel=1e-4)
    assert catalog["bmaj"][0].to_value(u.arcsec) == pytest.approx(5.0 * PIXEL, rel=1e-4)  # 3, 4, 5
    assert catalog["bmin"][0].to_value(u.arcsec) == pytest.approx(np.hypot(3, 2) * PIXEL, rel=1e-4)
    assert catalog["snr"][0] == pytest.approx(catalog["peak_flux"][0].value / RMS, rel=1e-5)
    assert catalog["local_background"][0].value == pytest.approx(0.1 * RMS)


def test_a_gaussian_has_its_flux_in_its_peak_and_axes():
    catalog = toy_catalog()
    beams = (catalog["bmaj"] * catalog["bmin"]).to_value(u.arcsec**2) / (3 * PIXEL) ** 2
    np.testing.assert_allclose(catalog["int_flux"].value, catalog["peak_flux"].value * beams, rtol=1e-4)


@pytest.mark.parametrize(
    ("theta", "pa"), [(np.pi / 2, 0.0), (0.0, 90.0), (np.pi / 4, 135.0), (3 * np.pi / 4, 45.0)]
)
def test_position_angles_run_from_north_through_east(theta, pa):
    # east is to the left on the toy image: an axis from the lower right to the upper left is at 45 degrees
    catalog = one_source(toy_image(), bmaj=6.0, bmin=1.0, theta=theta)
    for name in ("pa", "pa_deconv"):
        turn = catalog[name][0].to_value(u.deg) - pa
        assert abs((turn + 90) % 180 - 90) < 0.1, name


def test_an_axis_lies_along_the_two_points_it_joins_on_the_sky():
    image = toy_image(CRVAL2=-75.0)
    catalog = one_source(image, bmaj=9.0, bmin=1.0, theta=0.9)
    x, y, step = catalog["x"][0].value, catalog["y"][0].value, np.array([np.cos(0.9), np.sin(0.9)])
    ends = [image.wcs.pixel_to_world(x + s * step[0], y + s * step[1]) for s in (-2.0, 2.0)]
    expected = ends[0].position_angle(ends[1]).deg
    turn = catalog["pa_deconv"][0].value - expected
    assert abs((turn + 90) % 180 - 90) < 0.05


def test_positions_are_those_of_the_wcs_with_pixel_centres_at_integers():
    image = toy_image()
    catalog = toy_catalog()
    sky = image.wcs.pixel_to_world(catalog["x"].value, catalog["y"].value)
    np.testing.assert_allclose(catalog["ra"].value, sky.ra.deg, atol=1e-9)
    np.testing.assert_allclose(catalog["dec"].value, sky.dec.deg, atol=1e-9)
    assert all(name.startswith(("SKAD J1000", "SKAD J0959")) for name in catalog["name"])


def test_rows_are_in_order_of_peak_and_do_not_depend_on_the_order_of_detections():
    image = toy_image()
    rows = toy_detections(image.pixel_beam)
    rows = Detections.concatenate([rows, rows.with_(position=rows.position + 0.25)])  # equal peaks
    there = build_catalog(rows, image, MODEL)
    back = build_catalog(rows.take(slice(None, None, -1)), image, MODEL)
    assert (np.diff(there["peak_flux"].value) <= 0).all()
    for name in there.colnames:
        np.testing.assert_array_equal(there[name], back[name], err_msg=name)
    np.testing.assert_array_equal(there["source_id"], np.arange(1, len(there) + 1))
    # each is one island with its copy, known by the brighter one
    assert (there["island_id"] <= there["source_id"]).all()
    place = np.round(there["x"].value - 0.125).astype(int), np.round(there["y"].value - 0.125).astype(int)
    for x, y in zip(*place, strict=True):
        assert len(set(there["island_id"][(place[0] == x) & (place[1] == y)])) == 1


def test_no_detections_make_a_catalogue_with_all_columns_and_units():
    image = toy_image()
    catalog = build_catalog(Detections.empty(2, 5), image, MODEL)
    assert len(catalog) == 0 and catalog.colnames == toy_catalog().colnames
    assert catalog["int_flux"].unit == u.Jy


def test_axes_that_a_network_swapped_are_put_in_order():
    catalog = one_source(toy_image(), bmaj=2.0, bmin=3.0)
    assert catalog["bmaj_deconv"][0] > catalog["bmin_deconv"][0]


def test_flags_of_the_detections_are_kept_and_overlaps_and_missing_peaks_are_marked():
    image = toy_image()
    rows = toy_detections(image.pixel_beam, n=4)
    boxes = rows.boxes.copy()
    boxes[1] = boxes[0] + 1.0
    peak = rows.peak.copy()
    peak[3] = -1.0
    edge = np.array([0, 0, Flag.EDGE, 0])
    flags = build_catalog(rows.with_(boxes=boxes, peak=peak, flags=edge), image, MODEL)["flags"]
    assert sorted(int(f) & Flag.BLENDED for f in flags) == [0, 0, Flag.BLENDED, Flag.BLENDED]
    assert sum(bool(f & Flag.EDGE) for f in flags) == 1
    assert flags[-1] & Flag.NO_PEAK and not (np.array(flags[:-1]) & Flag.NO_PEAK).any()


def test_kelvin_stays_kelvin():
    image = toy_image(BUNIT="K")
    catalog = build_catalog(toy_detections(image.pixel_beam), image, MODEL)
    assert catalog["peak_flux"].unit == u.K and catalog["int_flux"].unit == u.K * u.beam


def test_a_model_that_measures_nothing_still_gives_point_sources():
    image = toy_image()
    rows = toy_detections(image.pixel_beam).with_(parameters=np.empty((12, 0), np.float32))
    model = SimpleNamespace(**{**vars(MODEL), "parameters": ()})
    catalog = build_catalog(rows, image, model)
    np.testing.assert_array_equal(catalog["int_flux"].value, catalog["peak_flux"].value)
    np.testing.assert_allclose(catalog["bmaj"].value, 3 * PIXEL, rtol=1e-5)


def test_parameters_of_any_order_are_found_by_their_columns():
    image = toy_image()
    rows = toy_detections(image.pixel_beam)
    model = SimpleNamespace(**{**vars(MODEL), "parameters": CONTINUUM[::-1]})
    turned = build_catalog(rows.with_(parameters=rows.parameters[:, ::-1]), image, model)
    np.testing.assert_array_equal(turned["bmaj"], build_catalog(rows, image, MODEL)["bmaj"])
    assert all(isinstance(spec, ParameterSpec) for spec in model.parameters)


def test_convolved_sizes_are_never_below_the_beam():
    beam = PixelBeam(4.0, 2.5, 0.7)
    bmaj, bmin, _ = convolve(np.linspace(0, 9, 10), np.zeros(10), np.linspace(0, 3, 10), beam)
    assert (bmin >= beam.bmin - 1e-9).all() and (bmaj >= beam.bmaj - 1e-9).all()


def test_provenance_names_image_model_and_versions():
    meta = toy_catalog().meta
    assert (
        meta["creator"].startswith("skadetect ")
        and meta["model"] == "toy"
        and meta["modelsha"] == MODEL.digest
    )
    assert meta["thresh"] == 0.4 and meta["bmaj"] == pytest.approx(3 * PIXEL / 3600)
    assert all(f"{library} " in meta["versions"] for library in ("numpy", "astropy", "numba"))
    image = toy_image()
    assert build_catalog(Detections.empty(2, 5), image, MODEL, meta={"thresh": 0.9}).meta["thresh"] == 0.9
