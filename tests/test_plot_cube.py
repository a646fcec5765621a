"""The picture of a cube: projections are maxima of the signal to noise, and galaxies are drawn."""

import numpy as np
import pytest

from skadetect.errors import InputError, OutputError
from skadetect.image import open_image
from skadetect.plot_cube import plot_cube, project
from tests.fits_files import sky_header
from tests.products.toy import RMS, disc_catalog, disc_cube


def test_projections_are_the_highest_signal_to_noise_of_blocks(monkeypatch):
    image = disc_cube({}, shape=(35, 31, 43))
    pixels = image.read((0, 0, 0), image.shape)
    whole = project(image, side=100)
    assert whole.face.shape == (31, 43) and whole.side.shape == (35, 43)
    noise = np.array([1.4826 * np.median(-plane[plane < 0]) for plane in pixels])
    assert np.median(noise) == pytest.approx(RMS, rel=0.2)
    snr = pixels / noise[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(whole.face, snr.max(axis=0), rtol=1e-5)
    np.testing.assert_allclose(whole.side, snr.max(axis=1), rtol=1e-5)
    monkeypatch.setattr("skadetect.plot_cube._SLAB_VOXELS", 4 * 31 * 43)
    small = project(image, side=16)
    assert (small.factor, small.factor_z) == (3, 3)
    assert small.face.shape == (11, 15) and small.side.shape == (12, 15)
    assert small.face[3, 4] == pytest.approx(snr.max(axis=0)[9:12, 12:15].max(), rel=1e-5)
    assert small.side[11, 14] == pytest.approx(snr.max(axis=1)[33:, 42:].max(), rel=1e-5)


def test_large_planes_are_read_in_strips(monkeypatch):
    image = disc_cube({}, shape=(12, 31, 43))
    whole = project(image, side=16)
    monkeypatch.setattr("skadetect.plot_cube._SLAB_VOXELS", 43 * 8)
    strips = project(image, side=16)
    assert strips.face.shape == whole.face.shape and np.isfinite(strips.face).all()
    assert np.corrcoef(strips.face.ravel(), whole.face.ravel())[0, 1] > 0.95


def test_a_picture_has_the_galaxies_in_colour(tmp_path):
    read = pytest.importorskip("matplotlib.image").imread
    discs = [{"flux": 4000.0, "size": 6.0, "x": 12.0}, {"y": 40.0, "z": 30.0}]
    image = disc_cube(*discs)
    plot_cube(image, disc_catalog(image, *discs), tmp_path / "with.png")
    blank = disc_catalog(image, *discs)
    plot_cube(image, type(blank)(blank.table[:0]), tmp_path / "without.png")
    coloured = [
        (np.ptp(read(tmp_path / name)[..., :3], axis=2) > 0.2).sum() for name in ("with.png", "without.png")
    ]
    assert coloured[0] > coloured[1] + 500
    with pytest.raises(OutputError, match="exists"):
        plot_cube(image, blank, tmp_path / "with.png", overwrite=False)


def test_an_image_is_no_cube(tmp_path):
    image = open_image((np.zeros((12, 16), np.float32), sky_header()))
    with pytest.raises(InputError, match="expected a cube"):
        plot_cube(image, None, tmp_path / "a.png")


def test_a_blank_cube_can_be_drawn(tmp_path):
    image = disc_cube(noise=0.0)
    blank = disc_catalog(image, {})
    plot_cube(image, type(blank)(blank.table[:0]), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size
