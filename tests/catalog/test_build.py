"""A catalogue says of made-up sources what they were made of, on the sky and in the right units."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u

from skadetect.beams import PixelBeam, convolve, second_moments
from skadetect.catalog.build import build_catalog
from skadetect.catalog.evidence import image_probabilities
from skadetect.catalog.flags import Flag
from skadetect.catalog.image_probability import ImageReliability
from skadetect.catalog.schema import COLUMNS
from skadetect.catalog.uncertainty import floor_scale
from skadetect.detections import Detections
from skadetect.parameters import CONTINUUM, ParameterSpec
from tests.catalog.toy import MODEL, RMS, toy_catalog, toy_detections, toy_image

PIXEL = 1.8  # arcsec, of the toy image


def _one(image, **columns):
    """Catalogue of one source with the given intrinsic columns."""
    arrays = {name: np.array([float(value)]) for name, value in columns.items()}
    return build_catalog(toy_detections(image.pixel_beam, n=1, **arrays), image, MODEL)


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
    catalog = _one(image, int_flux=50.0, bmaj=4.0, bmin=2.0, theta=0.3)
    assert catalog["int_flux"][0].to_value(u.Jy) == pytest.approx(50.0 * RMS, rel=1e-5)
    assert catalog["bmaj_deconv"][0].to_value(u.arcsec) == pytest.approx(4.0 * PIXEL, rel=1e-4)
    assert catalog["bmin_deconv"][0].to_value(u.arcsec) == pytest.approx(2.0 * PIXEL, rel=1e-4)
    assert catalog["bmaj"][0].to_value(u.arcsec) == pytest.approx(5.0 * PIXEL, rel=1e-4)  # 3, 4, 5
    assert catalog["bmin"][0].to_value(u.arcsec) == pytest.approx(np.hypot(3, 2) * PIXEL, rel=1e-4)
    assert catalog["snr"][0] == pytest.approx(catalog["peak_flux"][0].value / RMS, rel=1e-5)
    assert catalog["local_background"][0].value == pytest.approx(0.1 * RMS)


def test_fluxes_are_those_of_network_and_pixels_together():
    image = toy_image()
    rows = toy_detections(image.pixel_beam)
    plain = build_catalog(rows, image, MODEL)
    assert np.isnan(plain["aper_flux"].value).all() and np.isnan(plain["e_aper_flux"].value).all()
    network = plain["int_flux"].value[np.argsort(-plain["x"].value)]
    sums = network * np.where(np.arange(len(rows)) == 3, 5.0, 1.1)
    rows = rows.with_(aperture=sums, aperture_error=0.01 * sums)
    metadata = {"flux_mean": {"network": 0.1, "aperture": 0.05, "scale": {"constant": 0.02}}}
    both = build_catalog(rows, image, SimpleNamespace(**{**vars(MODEL), "metadata": metadata}))
    order = np.argsort(-both["x"].value)
    np.testing.assert_allclose(both["aper_flux"].value[order], np.exp(0.02) * sums, rtol=1e-6)
    ratio = both["int_flux"].value[order] / network
    assert ratio[3] == pytest.approx(1.0, rel=1e-6)  # the sum is of something else
    assert ((np.delete(ratio, 3) > 1.08) & (np.delete(ratio, 3) < 1.1 * np.exp(0.02))).all()
    relative = [each["e_int_flux"] / each["int_flux"] for each in (plain, both)]
    np.testing.assert_allclose(relative[1], relative[0], rtol=1e-5)


def test_places_and_shapes_are_those_of_network_and_pixels_together():
    image, n = toy_image(), 3
    beam = image.pixel_beam
    rows = toy_detections(beam, n=n).with_(peak=RMS * np.array([3000.0, 300.0, 2.0]))
    plain = build_catalog(rows, image, MODEL)
    sizes = [plain[name].to_value(u.arcsec) / PIXEL for name in ("bmaj", "bmin")]
    theta = np.radians(plain["pa"].to_value(u.deg)) + np.pi / 2
    spread = np.stack(second_moments(1.1 * sizes[0], 1.1 * sizes[1], theta + 0.1), axis=1) / beam.fwhm**2
    centre = np.tile([0.2, -0.1], (n, 1)) / beam.fwhm
    rows = rows.with_(centre=centre, spread=spread)
    assert_columns_equal(build_catalog(rows, image, MODEL), plain)
    known = {"metadata": {"moment_mean": {"place": 10.0, "axes": 10.0, "angle": 1.0}}}
    both = build_catalog(rows, image, SimpleNamespace(**{**vars(MODEL), **known}))
    moved = [(both[name] - plain[name]).to_value(u.pix) for name in ("y", "x")]
    share = np.array([1.0, 900.0 / 901.0, 4.0 / 104.0])
    np.testing.assert_allclose(moved, [0.2 * share, -0.1 * share], rtol=1e-3)
    grown = (both["bmaj"] / plain["bmaj"]).value
    assert grown[0] == pytest.approx(1.1, abs=0.01) and grown[0] > grown[1] > grown[2] > 0.99
    turn = (both["pa_deconv"] - plain["pa_deconv"]).to_value(u.deg)
    assert turn[0] == pytest.approx(np.degrees(0.1), abs=0.5) and abs(turn[2]) < 1.0
    # what lies elsewhere, or is not known, is of no use
    unknown = rows.with_(centre=np.nan * centre, spread=np.nan * spread)
    for other in (rows.with_(centre=centre + 1.0), unknown):
        left = build_catalog(other, image, SimpleNamespace(**{**vars(MODEL), **known}))
        for name in ("x", "y", "bmaj", "bmin", "pa_deconv"):
            np.testing.assert_allclose(left[name].value, plain[name].value, rtol=1e-6, err_msg=name)


def assert_columns_equal(one, two):
    for name in one.colnames:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_a_gaussian_has_its_flux_in_its_peak_and_axes():
    catalog = toy_catalog()
    beams = (catalog["bmaj"] * catalog["bmin"]).to_value(u.arcsec**2) / (3 * PIXEL) ** 2
    np.testing.assert_allclose(catalog["int_flux"].value, catalog["peak_flux"].value * beams, rtol=1e-4)


@pytest.mark.parametrize(
    ("theta", "pa"), [(np.pi / 2, 0.0), (0.0, 90.0), (np.pi / 4, 135.0), (3 * np.pi / 4, 45.0)]
)
def test_position_angles_run_from_north_through_east(theta, pa):
    # east is to the left on the toy image: an axis from the lower right to the upper left is at 45 degrees
    catalog = _one(toy_image(), bmaj=6.0, bmin=1.0, theta=theta)
    for name in ("pa", "pa_deconv"):
        turn = catalog[name][0].to_value(u.deg) - pa
        assert abs((turn + 90) % 180 - 90) < 0.1, name


def test_an_axis_lies_along_the_two_points_it_joins_on_the_sky():
    image = toy_image(CRVAL2=-75.0)
    catalog = _one(image, bmaj=9.0, bmin=1.0, theta=0.9)
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


def test_no_detections_make_a_catalogue_with_all_columns_and_units():
    image = toy_image()
    catalog = build_catalog(Detections.empty(2, 5), image, MODEL)
    assert len(catalog) == 0 and catalog.colnames == toy_catalog().colnames
    assert catalog["int_flux"].unit == u.Jy


def test_axes_that_a_network_swapped_are_put_in_order():
    catalog = _one(toy_image(), bmaj=2.0, bmin=3.0)
    assert catalog["bmaj_deconv"][0] > catalog["bmin_deconv"][0]


def test_errors_along_an_elongated_source_are_larger_than_across():
    north = _one(toy_image(), bmaj=20.0, bmin=0.2, theta=np.pi / 2)
    assert north["e_dec"][0] > 2 * north["e_ra"][0]
    east = _one(toy_image(), bmaj=20.0, bmin=0.2, theta=0.0)
    assert east["e_ra"][0].value == pytest.approx(north["e_dec"][0].value, rel=1e-3)


def test_error_calibration_of_a_model_widens_errors():
    image = toy_image()
    rows = toy_detections(image.pixel_beam)
    calibration = dict.fromkeys(("e_ra", "e_pa", "e_bmin"), (1.0, 0.5)) | {"e_int_flux": (2.0, 0.1)}
    model = SimpleNamespace(**{**vars(MODEL), "metadata": {"error_calibration": calibration}})
    plain, wide = build_catalog(rows, image, MODEL), build_catalog(rows, image, model)
    expected = np.hypot(2 * plain["e_int_flux"].value, 0.1 * plain["int_flux"].value)
    np.testing.assert_allclose(wide["e_int_flux"].value, expected, rtol=1e-5)
    np.testing.assert_allclose(
        wide["e_ra"].value, np.hypot(plain["e_ra"].value, 0.5 * plain["bmaj"].value), rtol=1e-5
    )
    np.testing.assert_allclose(wide["e_pa"].value, np.hypot(plain["e_pa"].value, np.degrees(0.5)), rtol=1e-5)
    columns = {name: plain[name].value for name in ("bmaj", "bmin", "snr")}
    floor = floor_scale("e_bmin", columns, beam=image.pixel_beam.scaled(image.pixel_scale))
    size = np.hypot(plain["e_bmin"].value, 0.5 * floor)
    np.testing.assert_allclose(wide["e_bmin"].value, size, rtol=1e-5)
    np.testing.assert_array_equal(wide["e_dec"], plain["e_dec"])


def test_flags_tell_resolved_and_unresolved_apart():
    large = _one(toy_image(), int_flux=500.0, bmaj=6.0, bmin=5.0)["flags"][0]
    point = _one(toy_image(), int_flux=500.0, bmaj=0.01, bmin=0.01)["flags"][0]
    assert large & Flag.RESOLVED and not large & Flag.SIZE_LIMIT
    assert point & Flag.SIZE_LIMIT and not point & Flag.RESOLVED
    # however bright, pixels do not tell a solid angle to better than a hundredth
    for size, resolved in ((0.35, False), (0.7, True)):
        bright = _one(toy_image(), int_flux=1e6, bmaj=size, bmin=size)["flags"][0]
        assert bool(bright & Flag.RESOLVED) == resolved


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


def test_the_same_row_is_less_probable_in_an_emptier_field():
    odds = ImageReliability(0.1, {"score": -1.0, "constant": -2.0}, {"peak": -0.2, "density": -0.7})
    known = SimpleNamespace(**vars(MODEL) | {"metadata": {"reliability": odds.to_dict()}})
    image = toy_image()
    faint = toy_detections(image.pixel_beam, n=3).with_(peak=np.full(3, 5 * RMS), local_rms=np.full(3, RMS))
    bright = Detections.concatenate([faint, faint.with_(peak=np.full(3, 50 * RMS))])
    assert image_probabilities(faint, image, MODEL, covered=1.0) is None
    alone = image_probabilities(faint, image, known, covered=1.0)
    crowded = image_probabilities(bright, image, known, covered=1.0)
    assert (alone < crowded[:3]).all() and (crowded[:3] < crowded[3:]).all()
    # blank pixels are no part of the field
    assert (image_probabilities(bright, image, known, covered=0.1) > crowded)[:3].all()
    assert np.isnan(build_catalog(faint, image, known)["prob"]).all()
    table = build_catalog(faint.with_(prob=alone), image, known)
    np.testing.assert_allclose(np.sort(table["prob"]), np.sort(alone), rtol=1e-6)


def test_a_bright_row_is_more_probable_where_its_pixels_sum_up_to_its_flux_and_nothing_is_beside_it():
    odds = ImageReliability(0.1, {"score": -1.0, "agree": -2.0, "alone": -1.0}, {"constant": -9.0})
    known = SimpleNamespace(**vars(MODEL) | {"metadata": {"reliability": odds.to_dict()}})
    image = toy_image()
    rows = toy_detections(image.pixel_beam, n=2).with_(peak=np.full(2, 50 * RMS), local_rms=np.full(2, RMS))
    rows = rows.with_(position=np.array([[5.0, 5.0], [40.0, 40.0]]), score=np.full(2, 0.5, np.float32))
    flux = np.asarray(build_catalog(rows, image, known)["int_flux"])
    probable = partial(image_probabilities, image=image, model=known, covered=1.0)
    summed, double = (probable(rows.with_(aperture=factor * flux)) for factor in (1.0, 2.0))
    assert (summed > double).all() and (double > probable(rows)).all()
    near = rows.with_(position=np.array([[5.0, 5.0], [5.0, 7.0]]), aperture=flux)
    assert (probable(near) < summed).all()
    # what is too unlikely to be counted is no neighbour
    unlikely = near.with_(score=np.array([0.5, 0.05], np.float32))
    assert probable(unlikely)[0] >= summed[0] > probable(near)[0]
    assert probable(unlikely)[1] < probable(near)[1]


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
