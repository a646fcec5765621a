import dataclasses

import pytest

from skadetect.errors import ConfigError
from skadetect.simulate.options import ContinuumOptions, Instrument

TRAINING_BOX = {560: (-0.6723, -29.94), 1400: (-0.2688, -29.94), 9200: (-0.04092, -29.94)}


def test_defaults_are_the_560_mhz_map():
    instrument = Instrument.from_options(ContinuumOptions())
    assert instrument.noise_rms == pytest.approx(0.341e-6, rel=1e-3)
    assert (instrument.beam_major, instrument.beam_minor, instrument.clip) == (1.5, 1.5, 8.6e-6)
    assert instrument.primary_beam_fwhm == pytest.approx((2.1975, 2.095))


def test_given_values_replace_the_bands():
    options = ContinuumOptions(beam_major=12.0, beam_minor=8.0, pixel_scale=2.0, noise_rms=0.0, clip=1e-3)
    instrument = Instrument.from_options(options)
    assert (instrument.beam_major, instrument.beam_minor, instrument.pixel_scale) == (12.0, 8.0, 2.0)
    assert (instrument.noise_rms, instrument.clip) == (0.0, 1e-3)


@pytest.mark.parametrize("frequency", TRAINING_BOX)
@pytest.mark.parametrize("size", [512, 4096])
def test_default_field_lies_east_of_the_training_area(frequency, size):
    instrument = Instrument.from_options(ContinuumOptions(frequency=frequency, size=size))
    western_edge = instrument.offset[0] - 0.5 * size * instrument.pixel_scale / 3600
    assert western_edge > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frequency", 600),
        ("hours", 10),
        ("noise_spectrum", "pink"),
        ("size", 8),
        ("seed", -1),
        ("density", 0.0),
        ("density", float("nan")),
        ("flux_scale", -1.0),
        ("noise_rms", -1e-6),
        ("noise_gradient", 1.0),
        ("nan_border", 1024),
        ("flux_min", 1e-9),
        ("beam_minor", 2.0),
        ("pixel_scale", 1.2),
        ("primary_beam_fwhm", 0.0),
    ],
)
def test_bad_value_is_named(field, value):
    named = "beam_minor" if field == "pixel_scale" else field
    with pytest.raises(ConfigError, match=rf"{named} = .*expected"):
        ContinuumOptions(**{field: value})


def test_every_field_is_documented():
    for field in dataclasses.fields(ContinuumOptions):
        assert field.name in (ContinuumOptions.__doc__ or "")
