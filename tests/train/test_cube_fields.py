"""Fields of cubes: galaxies lie where they are, as they are, in signal to noise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from skadetect.astrometry import direction_to_pa
from skadetect.catalog.sdc2 import read_sdc2
from skadetect.errors import InputError
from skadetect.image import open_image
from skadetect.normalize import Normalization
from skadetect.simulate import HiOptions, simulate_hi
from skadetect.spectral import LIGHT_KMS
from skadetect.train.cube_fields import load_cube_fields

HOW = {"normalization": Normalization()}


@pytest.fixture(scope="module", params=["frequency", "velocity"])
def cube(request, tmp_path_factory):
    options = HiOptions(
        shape=(72, 48, 48), seed=3, density=150.0, noise_rms=1e-8, spectral_axis=request.param, rfi=0.0,
        continuum=0.0, irregular=0.0,
    )  # fmt: skip
    return simulate_hi(tmp_path_factory.mktemp("cube"), options=options)


def test_slabs_cover_the_cube_and_galaxies_are_where_they_shine(cube):
    fields = load_cube_fields(cube / "cube.fits", cube / "truth.txt", channels=32, **HOW)
    assert [field.snr.shape for field in fields] == [(32, 48, 48)] * 3
    assert [field.name.rpartition("[")[2] for field in fields] == ["0:32]", "32:64]", "40:72]"]
    seen = open_image(cube / "cube.fits")
    lit = []
    for field in fields[:2]:
        for z, y, x in np.rint(field.sources.position).astype(int):
            if 2 <= z < 30 and 3 <= y < 45 and 3 <= x < 45:
                around = field.snr[z - 2 : z + 3, y - 3 : y + 4, x - 3 : x + 4]
                lit.append(around.max() / np.median(np.abs(field.snr)))
    assert len(lit) > 10
    assert np.median(lit) > 10
    assert seen.spectral.ascending == ("VRAD" not in seen.header["CTYPE3"])


def test_columns_are_those_of_the_catalogue(cube):
    (field,) = load_cube_fields(cube / "cube.fits", cube / "truth.txt", channels=72, **HOW)
    image, truth = open_image(cube / "cube.fits"), read_sdc2(cube / "truth.txt")
    sources, axis = field.sources, image.spectral
    z, y, x = sources.position.T
    row = [int(np.argmin(np.abs(truth["central_freq"] - axis.frequency(one)))) for one in z]
    true = truth.iloc[row]
    turn = 0.0 if axis.ascending else math.pi
    difference = direction_to_pa(image.wcs, x, y, sources.theta + turn) - true["pa"].to_numpy()
    assert np.abs((difference + 180.0) % 360.0 - 180.0) == pytest.approx(0.0, abs=0.1)
    assert sources.bmaj * image.pixel_scale == pytest.approx(true["hi_size"].to_numpy())
    assert np.degrees(sources.incl) == pytest.approx(true["i"].to_numpy())
    w20 = sources.w20 * LIGHT_KMS * axis.width(z) / axis.frequency(z)
    assert w20 == pytest.approx(true["w20"].to_numpy(), rel=1e-4)
    ratio = sources.flux * axis.width(z) / true["line_flux_integral"].to_numpy()
    assert ratio.max() / ratio.min() == pytest.approx(1.0, abs=0.5)  # one over the noise of a channel
    assert np.isnan(sources.w50).all()


def test_too_few_channels_are_told(cube):
    with pytest.raises(InputError, match="72 channels to the network, expected 96"):
        load_cube_fields(cube / "cube.fits", cube / "truth.txt", channels=96, **HOW)
