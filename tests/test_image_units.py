"""Numbers of any brightness become Jy/beam as astropy converts them, in a cube channel by channel."""

import numpy as np
import pytest
from astropy import units as u
from astropy.io.fits import Header
from radio_beam import Beam

from skadetect.errors import InputError
from skadetect.image_units import JY_PER_BEAM, conversion

BEAM = Beam(major=9 * u.arcsec, minor=6 * u.arcsec, pa=20 * u.deg)
PIXEL = 2.0 / 3600


def converted(unit, frequency=1.4e9):
    header = Header({"BUNIT": unit})
    return conversion(header, BEAM, pixel_degrees=PIXEL, frequency=frequency, name="a.fits")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Jy/beam", 1 * u.Jy),
        ("mJy/beam", 1 * u.mJy),
        ("uJy/beam", 1 * u.uJy),
        ("MJy/sr", 1 * u.MJy / u.sr * BEAM.sr),
        ("mJy/pixel", 1 * u.mJy / (PIXEL * u.deg) ** 2 * BEAM.sr),
        ("K", (1 * u.K).to(u.Jy, u.brightness_temperature(1.4 * u.GHz, BEAM.sr))),
    ],
)
def test_one_of_a_unit_is_as_much_as_astropy_says(text, value):
    found = converted(text)
    assert found.unit == JY_PER_BEAM
    assert found.scale == pytest.approx(value.to_value(u.Jy), rel=1e-9)
    assert found.per_beam == text.endswith("beam")
    assert bool(found.repairs) == (text != "Jy/beam")


def test_a_factor_in_the_unit_counts():
    assert converted("1e-6 Jy/beam").scale == pytest.approx(1e-6)


def test_temperatures_of_a_cube_have_a_factor_a_channel():
    frequency = np.array([1.0e9, 1.4e9])
    scale = converted("mK", frequency).scale
    assert scale[1] / scale[0] == pytest.approx(1.96)
    assert scale[1] == pytest.approx(1e-3 * converted("K").scale)


def test_a_temperature_without_a_frequency_stays_one():
    found = converted("mK", None)
    assert found.unit == u.K
    assert found.scale == 1e-3
    assert "frequency" in found.repairs[0]


def test_what_is_no_brightness_is_named():
    with pytest.raises(InputError, match="BUNIT = 'adu'"):
        converted("adu")
