"""A cube's catalogue says of made-up galaxies what they were made of, in physical units and file voxels."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from astropy import units as u

from skadetect.catalog.cube_build import build_cube_catalog
from skadetect.catalog.cube_flags import CubeFlag
from skadetect.catalog.cube_schema import CUBE_COLUMNS
from skadetect.catalog.flux_scale import FluxScale
from skadetect.detections import Detections
from skadetect.parameters import HI
from skadetect.resample import block_mean
from tests.catalog.toy_cube import (
    CHANNEL,
    LIGHT,
    MODEL,
    REST,
    RMS,
    receding_pa,
    seen_axes,
    toy_cube,
    toy_cube_catalog,
    toy_galaxies,
    toy_truth,
)


def coarse(view, n=1, nz=1):
    """A view on n times larger pixels and nz times wider channels."""
    view = block_mean(view, n) if n > 1 else view
    return replace(view, spectral=view.spectral.averaged(nz), factor_z=float(nz)) if nz > 1 else view


def model(**columns):
    return SimpleNamespace(**{**vars(MODEL), **columns})


def test_fluxes_are_scaled_by_the_size_in_beams():
    view, truth = toy_cube(), toy_truth()
    parts = [(toy_galaxies(view, truth), view)]
    plain = build_cube_catalog(parts, MODEL).to_pandas()
    metadata = MODEL.metadata | {"flux_scale": {"constant": 0.1, "slope": 0.2}}
    scaled = build_cube_catalog(parts, model(metadata=metadata)).to_pandas()
    factor = FluxScale(0.1, 0.2).factor(plain["hi_size"] / (view.pixel_beam.fwhm * view.pixel_scale))
    ratio = scaled.set_index("name")["f_sum"] / plain.set_index("name")["f_sum"]
    np.testing.assert_allclose(ratio[plain["name"]], factor, rtol=1e-6)


def test_fluxes_are_those_of_network_and_voxels_together():
    view, truth = toy_cube(), toy_truth()
    rows = toy_galaxies(view, truth)
    plain = build_cube_catalog([(rows, view)], MODEL)
    assert np.isnan(plain["f_aper"]).all() and np.isnan(plain["err_f_aper"]).all()
    channel = np.abs(CHANNEL)
    sums = truth["f_sum"] / channel * np.where(np.arange(6) == 2, 9.0, 1.05)
    rows = rows.with_(aperture=sums, aperture_error=0.01 * sums)
    metadata = MODEL.metadata | {
        "flux_mean": {"network": 0.15, "aperture": 0.05, "scale": {"constant": 0.02}}
    }
    both = build_cube_catalog([(rows, view)], model(metadata=metadata))
    order = np.argsort([np.flatnonzero(np.isclose(truth["x"], x))[0] for x in both["x"].value])
    found = {name: both[name].value[order] for name in ("f_sum", "f_aper", "err_f_aper")}
    np.testing.assert_allclose(found["f_aper"], np.exp(0.02) * sums * channel, rtol=1e-6)
    np.testing.assert_allclose(found["err_f_aper"], 0.01 * found["f_aper"], rtol=1e-6)
    ratio = found["f_sum"] / truth["f_sum"]
    assert ratio[2] == pytest.approx(1.0, rel=1e-6)  # the sum is of something else
    assert ((np.delete(ratio, 2) > 1.055) & (np.delete(ratio, 2) < 1.05 * np.exp(0.02))).all()
    np.testing.assert_allclose(np.sort(both["snr"]), np.sort(plain["snr"]), rtol=1e-6)


@pytest.mark.parametrize("step", [CHANNEL, -CHANNEL], ids=["ascending", "descending"])
@pytest.mark.parametrize(("n", "nz"), [(1, 1), (4, 1), (1, 2), (4, 2)])
def test_galaxies_come_back_as_they_were_put_in(step, n, nz):
    view, truth = coarse(toy_cube(step=step), n, nz), toy_truth()
    catalog = build_cube_catalog([(toy_galaxies(view, truth), view)], MODEL)
    order = np.argsort(-truth["f_sum"])
    major, minor = seen_axes(view, truth)
    freq = 1.04e9 + step * truth["z"]
    expected = {name: truth[name] for name in ("x", "y", "z", "f_sum", "hi_size", "w20", "w50", "incl")} | {
        "freq": freq,
        "v_rad": LIGHT * (1 - freq / REST),
        "v_opt": LIGHT * (REST / freq - 1),
        "ell_maj": major,
        "ell_min": minor,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(catalog[name].value, values[order], rtol=2e-6, err_msg=name)
    turn = catalog["kin_pa"].value - receding_pa(view, truth)[order]
    assert np.abs((turn + 180) % 360 - 180).max() < 0.01
    np.testing.assert_array_equal(catalog["id"], np.arange(1, 7))
    np.testing.assert_allclose(catalog["factor"], n)


def test_every_column_has_its_type_unit_ucd_and_description():
    catalog = toy_cube_catalog()
    assert catalog.is_cube and catalog.colnames == [spec.name for spec in CUBE_COLUMNS]
    for spec in CUBE_COLUMNS:
        info, kind = catalog[spec.name].info, catalog[spec.name].dtype
        assert info.description == spec.description and info.meta["ucd"] == spec.ucd
        assert kind == np.dtype(spec.dtype) or (spec.dtype == "U" and kind.kind == "U")
    assert catalog["f_sum"].unit == u.Jy * u.Hz and catalog["rms"].unit == u.Jy / u.beam
    assert catalog["w20"].unit == u.km / u.s and catalog["freq"].unit == u.Hz


def test_the_receding_side_is_where_the_frequency_is_low():
    # east to the left: a galaxy that recedes towards +x recedes to the west
    for step in (CHANNEL, -CHANNEL):
        view = toy_cube(step=step)
        truth = toy_truth(4, theta=np.array([0.0, np.pi / 2, np.pi, -np.pi / 2]), f_sum=np.arange(4, 0, -1.0))
        pa = build_cube_catalog([(toy_galaxies(view, truth), view)], MODEL)["kin_pa"].value
        np.testing.assert_allclose((pa - [270, 0, 90, 180] + 180) % 360 - 180, 0, atol=0.05)


def test_parts_are_joined_in_order_of_flux_whatever_part_comes_first():
    fine, truth = toy_cube(), toy_truth(8)
    wide = coarse(fine, 4)
    even, odd = ({k: v[i::2] for k, v in truth.items()} for i in (0, 1))
    parts = [(toy_galaxies(fine, even), fine), (toy_galaxies(wide, odd), wide)]
    there, back = (build_cube_catalog(some, MODEL) for some in (parts, parts[::-1]))
    assert (np.diff(there["f_sum"].value) < 0).all() and len(there) == 8
    for name in there.colnames:
        np.testing.assert_array_equal(there[name], back[name], err_msg=name)
    np.testing.assert_allclose(np.sort(there["x"].value), np.sort(truth["x"]), atol=1e-6)
    assert set(there["factor"]) == {1.0, 4.0} and there.meta["bmaj"] == pytest.approx(3 * 2.8 / 3600)


def test_no_galaxies_make_a_catalogue_with_all_columns_and_units():
    view = toy_cube()
    catalog = build_cube_catalog([(Detections.empty(3, len(HI)), view)] * 2, MODEL)
    assert len(catalog) == 0 and catalog.is_cube
    assert catalog["f_sum"].unit == u.Jy * u.Hz and catalog.meta["restfreq"] == REST


def test_parameters_that_a_model_lacks_are_unknown():
    view = toy_cube()
    rows = toy_galaxies(view, toy_truth())
    catalog = build_cube_catalog(
        [(rows.with_(parameters=rows.parameters[:, :3]), view)], model(parameters=HI[:3])
    )
    assert np.isnan(catalog["w50"].value).all() and np.isnan(catalog["incl"].value).all()
    assert np.isnan(catalog["err_kin_pa"].value).all() and np.isfinite(catalog["f_sum"].value).all()


def test_an_image_without_channels_is_refused():
    view = replace(toy_cube(), spectral=None)
    with pytest.raises(ValueError, match="spectral axis"):
        build_cube_catalog([(toy_galaxies(toy_cube(), toy_truth()), view)], MODEL)


def test_provenance_names_the_frame_the_line_and_the_sampling_of_the_file():
    view, truth = coarse(toy_cube(step=-CHANNEL), 4, 2), toy_truth()
    meta = build_cube_catalog([(toy_galaxies(view, truth), view)], MODEL, meta={"image": "n.fits"}).meta
    assert meta["specsys"] == "BARYCENT" and meta["restfreq"] == REST and meta["image"] == "n.fits"
    assert meta["chanstep"] == pytest.approx(-CHANNEL) and meta["pixscale"] == pytest.approx(2.8)


def flags_of(view=None, *, flags=0, **columns):
    """Flags of the one galaxy with some columns replaced."""
    view = view or toy_cube()
    truth = toy_truth(1, **{name: np.array([float(value)]) for name, value in columns.items()})
    rows = toy_galaxies(view, truth)
    return int(build_cube_catalog([(rows.with_(flags=rows.flags | flags), view)], MODEL)["flag"][0])


def test_flags_have_sofias_bits_and_our_own():
    assert flags_of() == 0
    assert flags_of(flags=CubeFlag.BLANK) == 4 and flags_of(flags=CubeFlag.SPECTRAL_EDGE) == 2
    assert flags_of(hi_size=2.0) == CubeFlag.UNRESOLVED
    assert flags_of(coarse(toy_cube(), 2)) == CubeFlag.AVERAGED == flags_of(coarse(toy_cube(), 1, 2))
    guessed = replace(toy_cube(), repairs=("no beam in the header: estimated from the noise, 3.1 pixels",))
    assert flags_of(guessed) == CubeFlag.BEAM_ESTIMATED


def test_overlaps_are_seen_across_parts():
    fine = toy_cube()
    wide = coarse(fine, 4)
    truth = toy_truth(3, x=np.array([20.0, 22.0, 50.0]), y=np.array([20.0, 20.0, 50.0]), z=np.full(3, 30.0))
    one, two = ({k: v[part] for k, v in truth.items()} for part in ([0], [1, 2]))
    catalog = build_cube_catalog([(toy_galaxies(fine, one), fine), (toy_galaxies(wide, two), wide)], MODEL)
    overlap = (np.asarray(catalog["flag"]) & CubeFlag.OVERLAP) > 0
    np.testing.assert_array_equal(overlap, catalog["x"].value < 30)


def test_error_calibration_of_a_model_widens_errors_in_all_units_alike():
    view = coarse(toy_cube(), 2)
    rows = toy_galaxies(view, toy_truth())
    calibration = {
        "err_f_sum": (2.0, 0.1),
        "err_ra": (3.0, 0.0),
        "err_dec": (3.0, 0.0),
        "err_freq": (1.0, 0.2),
    }
    calibration |= {"err_kin_pa": (1.0, 0.1), "err_w20": (4.0, 0.0)}
    plain = build_cube_catalog([(rows, view)], MODEL)
    wide = build_cube_catalog([(rows, view)], model(metadata={"error_calibration": calibration}))

    def check(name, expected):
        np.testing.assert_allclose(wide[name].value, expected, rtol=1e-5, err_msg=name)

    check("err_f_sum", np.hypot(2 * plain["err_f_sum"].value, 0.1 * plain["f_sum"].value))
    for name in ("err_ra", "err_dec", "err_x", "err_y"):
        check(name, 3 * plain[name].value)
    freq = np.hypot(plain["err_freq"].value, 0.2 * (plain["w20"].value / LIGHT * plain["freq"].value))
    check("err_freq", freq)
    check("err_z", freq / CHANNEL)
    check("err_kin_pa", np.hypot(plain["err_kin_pa"].value, np.degrees(0.1)))
    check("err_w20", 4 * plain["err_w20"].value)
    check("err_w50", 4 * plain["err_w50"].value)
    np.testing.assert_array_equal(wide["err_incl"], plain["err_incl"])


def test_fluxes_have_the_noise_of_their_beams_and_channels():
    view, truth = toy_cube(), toy_truth()
    catalog = build_cube_catalog([(toy_galaxies(view, truth), view)], MODEL)
    beams = (catalog["ell_maj"] * catalog["ell_min"]).value / (3 * 2.8) ** 2
    channels = catalog["w20"].value / LIGHT * catalog["freq"].value / CHANNEL
    expected = RMS * CHANNEL * np.sqrt(beams * channels)
    np.testing.assert_allclose(catalog["err_f_sum"].value, expected, rtol=1e-5)
    np.testing.assert_allclose(catalog["snr"], catalog["f_sum"].value / expected, rtol=1e-5)
