"""Products say of a galaxy what was put into the cube, lie where it lies, and survive a killed run."""

import logging
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from skadetect.errors import OutputError
from skadetect.products import ProductOptions, product_paths, write_products
from tests.products.toy import CHANNEL, DISC, FIRST, LIGHT, REST, RMS, disc_catalog, disc_cube

PLAIN = ProductOptions(png=False)


@dataclass(frozen=True)
class CountedPixels:
    """Pixels of an image, and every window that was read of them."""

    pixels: object
    windows: list

    @property
    def shape(self):
        return self.pixels.shape

    def read(self, lo, hi):
        self.windows.append((tuple(lo), tuple(hi)))
        return self.pixels.read(lo, hi)


def counted(image):
    windows = []
    return replace(image, pixels=CountedPixels(image.pixels, windows)), windows


def products_of(folder, kinds, number=1):
    return product_paths(folder, "toy", number, kinds)


def test_products_of_a_disc_are_the_disc(tmp_path):
    image = disc_cube({})
    catalog = disc_catalog(image, {})
    counts = write_products(catalog, image, tmp_path / "new", options=PLAIN)
    assert (counts.written, counts.kept, counts.left_out) == (1, 0, 0)
    paths = products_of(tmp_path / "new", PLAIN.kinds)
    assert sorted(path.name for path in paths.values()) == sorted(
        path.name for path in (tmp_path / "new").iterdir()
    )
    flux = float(catalog["f_sum"][0])
    area = image.pixel_beam.area
    total = fits.getdata(paths["mom0"])
    assert np.nansum(total) / area == pytest.approx(flux, rel=0.02)
    table = fits.getdata(paths["spec"])
    assert table["flux_density"].sum() * CHANNEL == pytest.approx(np.nansum(total) / area, rel=1e-5)
    assert np.interp(DISC["z"], table["channel"], table["freq"]) == pytest.approx(FIRST + DISC["z"] * CHANNEL)
    assert table["aperture_n_pix"].max() == np.isfinite(total).sum()
    mask = fits.getdata(paths["mask"])
    assert mask.dtype.kind == "u" and (mask.any(axis=0) == np.isfinite(total)).all()
    np.testing.assert_array_equal(mask.sum(axis=(1, 2)), table["n_pix"])


@pytest.mark.parametrize("step", [CHANNEL, -CHANNEL])
def test_velocities_rise_towards_the_receding_side(tmp_path, step):
    image = disc_cube({}, CDELT3=step)
    write_products(disc_catalog(image, {}), image, tmp_path, options=PLAIN)
    paths = products_of(tmp_path, PLAIN.kinds)
    velocity, header = fits.getdata(paths["mom1"]), fits.getheader(paths["mom1"])
    y, x = np.nonzero(np.isfinite(velocity))
    slope = np.linalg.lstsq(np.stack([x, y, np.ones(len(x))], axis=1), velocity[y, x], rcond=None)[0]
    # frequencies fall towards lower z if they rise with z: that side recedes
    direction = DISC["theta"] + (0.0 if step > 0 else np.pi)
    assert slope[0] * np.cos(direction) + slope[1] * np.sin(direction) == pytest.approx(
        np.hypot(*slope[:2]), rel=0.02
    )
    freq = image.spectral.frequency(DISC["z"])
    assert header["VELDEF"] == "radio"
    assert np.nanmedian(velocity) == pytest.approx(LIGHT * (1 - freq / REST), abs=10.0)
    spread = fits.getdata(paths["mom2"])
    assert 5.0 < np.nanmedian(spread) < 25.0


def test_optical_velocities_by_request(tmp_path):
    image = disc_cube({})
    options = replace(PLAIN, velocity="optical")
    write_products(disc_catalog(image, {}), image, tmp_path, options=options)
    paths = products_of(tmp_path, options.kinds)
    freq = image.spectral.frequency(DISC["z"])
    assert fits.getheader(paths["mom1"])["VELDEF"] == "optical"
    assert np.nanmedian(fits.getdata(paths["mom1"])) == pytest.approx(LIGHT * (REST / freq - 1), abs=10.0)
    table = fits.getdata(paths["spec"])
    np.testing.assert_allclose(table["velocity"], LIGHT * (REST / table["freq"] - 1))


@pytest.mark.parametrize("kind", ["FREQ", "VRAD", "VOPT"])
def test_voxels_of_a_cubelet_are_where_those_of_the_cube_are(tmp_path, kind):
    cards = {} if kind == "FREQ" else {"CTYPE3": kind, "CUNIT3": "m/s", "CRVAL3": 3e6, "CDELT3": 5200.0}
    image = disc_cube({}, **cards)
    write_products(disc_catalog(image, {}), image, tmp_path, options=PLAIN)
    path = products_of(tmp_path, PLAIN.kinds)["cube"]
    pixels, header = fits.getdata(path), fits.getheader(path)
    z, y, x = (header[f"PARENT_{axis}"] for axis in "ZYX")
    assert min(z, y, x) > 0
    np.testing.assert_array_equal(pixels, image.read((z, y, x), tuple(np.add((z, y, x), pixels.shape))))
    wcs = WCS(header)
    places = np.array([(0, 0, 0), (5, 7, 3), np.subtract(pixels.shape, 1)])
    sky = wcs.celestial.wcs_pix2world(places[:, 2], places[:, 1], 0)
    np.testing.assert_allclose(sky, image.wcs.wcs_pix2world(places[:, 2] + x, places[:, 1] + y, 0), atol=1e-9)
    freq = wcs.spectral.pixel_to_world(places[:, 0]).to_value("Hz", equivalencies=_doppler(kind))
    np.testing.assert_allclose(freq, image.spectral.frequency(places[:, 0] + z), rtol=1e-9)
    assert header["BMAJ"] == pytest.approx(image.beam.major.to_value("deg"))


def _doppler(kind):
    from astropy import units as u

    return u.doppler_optical(REST * u.Hz) if kind == "VOPT" else []


def test_only_windows_are_read_and_shared_ones_once(tmp_path):
    discs = [{"size": 4.0, "depth": 5.0}, {"size": 4.0, "depth": 5.0, "y": 27.0, "z": 22.0}]
    discs.append({"size": 4.0, "depth": 5.0, "y": 18.0, "x": 100.0, "z": 90.0})
    image = disc_cube(*discs, shape=(110, 48, 120))
    image, windows = counted(image)
    options = replace(PLAIN, margin=1.0, margin_channels=2, moments=False)
    write_products(disc_catalog(image, *discs), image, tmp_path, options=options)
    assert len(windows) == 2, "neighbours share a read"
    assert windows == sorted(windows), "in the order of the file"
    read = sum(np.prod(np.subtract(hi, lo)) for lo, hi in windows)
    shapes = [fits.getdata(path).size for path in tmp_path.glob("*_cube.fits")]
    assert len(shapes) == 3
    assert read <= sum(shapes) < np.prod(image.shape) / 10


def test_neighbours_share_no_voxels(tmp_path):
    discs = [{"flux": 6000.0, "size": 8.0}, {"flux": 3000.0, "size": 8.0, "y": 31.0, "x": 33.0, "z": 23.0}]
    image = disc_cube(*discs)
    catalog = disc_catalog(image, *discs)
    write_products(catalog, image, tmp_path, options=PLAIN)
    taken = np.zeros(image.shape, int)
    for number in (1, 2):
        paths = products_of(tmp_path, PLAIN.kinds, number)
        mask, header = fits.getdata(paths["mask"]), fits.getheader(paths["mask"])
        lo = [header[f"PARENT_{axis}"] for axis in "ZYX"]
        taken[tuple(slice(a, a + n) for a, n in zip(lo, mask.shape))] += mask
        flux = np.nansum(fits.getdata(paths["mom0"])) / image.pixel_beam.area
        assert flux == pytest.approx(float(catalog["f_sum"][number - 1]), rel=0.15)
    assert taken.max() == 1


def test_a_faint_galaxy_has_the_ellipse_of_the_catalogue_for_a_mask(tmp_path):
    disc = {"flux": 0.0, "size": 6.0}
    image = disc_cube(disc)
    write_products(disc_catalog(image, disc), image, tmp_path, options=PLAIN)
    paths = products_of(tmp_path, PLAIN.kinds)
    mask, header = fits.getdata(paths["mask"]), fits.getheader(paths["mask"])
    assert header["MASKED"] is False and header["NOISE"] == pytest.approx(RMS)
    assert abs(int(mask.any(axis=(1, 2)).sum()) - DISC["depth"]) <= 1
    assert mask.any()


def test_errors_of_the_spectrum_are_those_of_blank_sky(tmp_path):
    disc = {"flux": 0.0, "size": 12.0, "incl": 20.0}
    image = disc_cube(disc, shape=(200, 48, 52))
    write_products(disc_catalog(image, disc | {"depth": 150.0, "z": 100.0}), image, tmp_path, options=PLAIN)
    table = fits.getdata(products_of(tmp_path, PLAIN.kinds)["spec"])
    pull = table["aperture_flux_density"] / table["aperture_error"]
    assert 0.75 < pull.std() < 1.2


def test_a_killed_run_goes_on(tmp_path):
    discs = [{}, {"z": 30.0, "y": 38.0, "x": 10.0, "size": 6.0}]
    image = disc_cube(*discs)
    catalog = disc_catalog(image, *discs)
    write_products(catalog, image, tmp_path, options=PLAIN)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    second = products_of(tmp_path, PLAIN.kinds, 2)
    second["cube"].unlink()
    steps = []
    counts = write_products(
        catalog, image, tmp_path, options=PLAIN, progress=lambda done, total: steps.append((done, total))
    )
    assert (counts.written, counts.kept) == (1, 1)
    assert steps == [(1, 2), (2, 2)]
    after = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    assert {path for path in after if after[path] != before[path]} == set(second.values())


def test_files_of_something_else_are_kept_unless_asked(tmp_path):
    image = disc_cube({})
    catalog = disc_catalog(image, {})
    write_products(catalog, image, tmp_path, options=PLAIN)
    other = disc_catalog(image, {"flux": 9000.0})
    with pytest.raises(OutputError, match=r"exists and is not of this source .* or overwrite"):
        write_products(other, image, tmp_path, options=PLAIN)
    path = products_of(tmp_path, PLAIN.kinds)["mom0"]
    before = path.read_bytes()
    counts = write_products(other, image, tmp_path, options=replace(PLAIN, overwrite=True))
    assert counts.written == 1 and path.read_bytes() != before
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_products(other, image, tmp_path, options=PLAIN)
    assert path.read_text() == "mine"


def test_the_brightest_are_chosen_and_too_large_ones_left_out(tmp_path, caplog):
    discs = [{"flux": 3000.0, "size": 4.0}, {}]
    image = disc_cube(*discs)
    catalog = disc_catalog(image, *discs)
    options = replace(PLAIN, limit=1, moments=False)
    assert write_products(catalog, image, tmp_path, options=options).written == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"toy_0002_{kind}.fits" for kind in ("cube", "mask", "spec")
    ]
    with caplog.at_level(logging.WARNING):
        counts = write_products(catalog, image, tmp_path / "b", options=replace(options, max_voxels=1000))
    assert counts.left_out == 1 and not list((tmp_path / "b").iterdir())
    assert "over the limit of 1000" in caplog.text


def test_an_empty_catalogue_makes_an_empty_folder(tmp_path):
    image = disc_cube()
    counts = write_products(disc_catalog(image), image, tmp_path / "none", options=PLAIN)
    assert counts.written == 0 and not list((tmp_path / "none").iterdir())


def test_blank_voxels_and_edges_do_no_harm(tmp_path):
    disc = {"z": 1.0, "y": 3.0, "x": 50.0}
    image = disc_cube(disc)
    pixels = image.read((0, 0, 0), image.shape)
    pixels[:, :, 47:49] = np.nan
    pixels[4] = np.nan
    image = replace(image, pixels=replace(image.pixels, array=pixels))
    write_products(disc_catalog(image, disc), image, tmp_path, options=PLAIN)
    paths = products_of(tmp_path, PLAIN.kinds)
    mask, cube = fits.getdata(paths["mask"]), fits.getdata(paths["cube"])
    assert mask.any() and not mask[np.isnan(cube)].any()
    table = fits.getdata(paths["spec"])
    assert np.isfinite(table["flux_density"]).all() and table["n_pix"][table["channel"] == 4] == 0


def test_without_matplotlib_all_but_the_pictures_is_written(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    image = disc_cube({})
    with caplog.at_level(logging.WARNING):
        write_products(disc_catalog(image, {}), image, tmp_path)
    assert caplog.text.count("matplotlib") == 1
    assert {path.suffix for path in tmp_path.iterdir()} == {".fits"}


def test_a_resampled_image_is_refused(tmp_path):
    image = disc_cube({})
    with pytest.raises(ValueError, match="resampled"):
        write_products(disc_catalog(image, {}), replace(image, factor=2.0), tmp_path)
