"""What to simulate: the continuum options and the instrument they resolve to."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from skadetect.errors import ConfigError
from skadetect.simulate.bands import BANDS, PRIMARY_BEAM_FWHM

NOISE_SPECTRA = ("sdc1", "natural", "beam")
_POSITIVE = (
    "pixel_scale", "beam_major", "beam_minor", "clip", "primary_beam_fwhm", "density", "flux_scale",
    "angular_scale",
)  # fmt: skip
_NOT_NEGATIVE = (
    "seed", "noise_rms", "response_loss", "diffuse_count", "sidelobe_level", "spoke_level", "stripe_level",
    "nan_border",
)  # fmt: skip


@dataclass(frozen=True)
class ContinuumOptions:
    """A continuum field to simulate; the defaults are SDC1's 560 MHz map after 1000 hours.

    Fields that are None take the value of SDC1's band `frequency`.

    Parameters
    ----------
    size : int
        Side of the square image, pixels.
    seed : int
        Seed of all random draws; the same options give the same files.
    frequency : int
        SDC1 band, MHz: 560, 1400 or 9200.
    hours : int
        SDC1 depth, hours: 8, 100 or 1000.
    pixel_scale : float or None
        Pixel size, arcsec.
    beam_major, beam_minor : float or None
        FWHM of the restoring beam, arcsec; `beam_minor` None means round.
    beam_pa : float
        Position angle of the beam's major axis, degrees from north through east.
    noise_rms : float or None
        Noise, Jy/beam.
    noise_spectrum : str
        "sdc1" (measured on the real map, scaled with the beam), "natural" (power proportional to the beam's
        transform, as a naturally weighted map) or "beam" (white noise convolved with the beam).
    clip : float or None
        Brightness, Jy per drawing beam, above which emission is restored with the clean beam.
    response_loss : float
        Regularisation of the deconvolution that emission below `clip` suffers: response
        T G / (G^2 + response_loss^2). 0.26 fits real SDC1 pixels, 0 keeps the full response.
    zero_spacing : bool
        Keep the mean of the faint emission (a total-power measurement); False subtracts it.
    primary_beam : bool
        Multiply the sky by the primary beam.
    primary_beam_fwhm : float or None
        FWHM of the primary beam, degrees; None for SKA-Mid's.
    primary_beam_corrected : bool
        Divide the image by the primary beam and blank it where the beam is below 0.2.
    offset_east : float or None
        Field centre east of the pointing centre (RA 0, Dec -30), degrees; None puts the western edge 0.05 deg
        (at 560 MHz) east of it, outside of the official SDC1 training area.
    offset_north : float
        Field centre north of the pointing centre, degrees.
    density : float
        Factor on the number of sources.
    counts_slope : float
        Added to the slope of log counts against log flux, pivoting on 10 uJy; positive is flatter.
    flux_scale : float
        Factor on all fluxes (before `noise_rms`, so it sets the depth).
    angular_scale : float
        Factor on all angles of the sky, sizes and separations.
    flux_min : float
        Faintest flux drawn, Jy before `flux_scale`, at 560 MHz.
    diffuse_count : float
        Expected number of extended diffuse clouds in the field.
    diffuse_labelled : bool
        Write the clouds into the truth catalogue.
    sidelobe_level : float
        Amplitude of residual sidelobe rings around bright sources, as a fraction of their peak.
    spoke_level : float
        Amplitude of radial spokes around bright sources, as a fraction of their peak.
    noise_gradient : float
        The noise changes from (1 - g) to (1 + g) times `noise_rms` across the field; 0 <= g < 1.
    stripe_level : float
        Rms of stripes across the field, in units of `noise_rms`.
    nan_border : int
        Width of the blank border, pixels.
    nan_circle : bool
        Blank everything outside the circle inscribed in the field.
    """

    size: int = 2048
    seed: int = 0
    frequency: int = 560
    hours: int = 1000
    pixel_scale: float | None = None
    beam_major: float | None = None
    beam_minor: float | None = None
    beam_pa: float = 0.0
    noise_rms: float | None = None
    noise_spectrum: str = "sdc1"
    clip: float | None = None
    response_loss: float = 0.26
    zero_spacing: bool = False
    primary_beam: bool = True
    primary_beam_fwhm: float | None = None
    primary_beam_corrected: bool = False
    offset_east: float | None = None
    offset_north: float = 0.0
    density: float = 1.0
    counts_slope: float = 0.0
    flux_scale: float = 1.0
    angular_scale: float = 1.0
    flux_min: float = 1e-7
    diffuse_count: float = 0.0
    diffuse_labelled: bool = True
    sidelobe_level: float = 0.0
    spoke_level: float = 0.0
    noise_gradient: float = 0.0
    stripe_level: float = 0.0
    nan_border: int = 0
    nan_circle: bool = False

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Instrument:
    """The telescope that a set of options resolves to.

    Parameters
    ----------
    frequency, bandwidth : float
        Hz.
    pixel_scale, beam_major, beam_minor : float
        Pixel size and FWHM of the restoring beam, arcsec.
    beam_pa : float
        Degrees from north through east.
    noise_rms, clip : float
        Jy/beam.
    primary_beam_fwhm : tuple of float
        FWHM along right ascension and declination, degrees.
    offset : tuple of float
        Field centre east and north of the pointing centre, degrees.
    """

    frequency: float
    bandwidth: float
    pixel_scale: float
    beam_major: float
    beam_minor: float
    beam_pa: float
    noise_rms: float
    clip: float
    primary_beam_fwhm: tuple[float, float]
    offset: tuple[float, float]

    @classmethod
    def from_options(cls, options: ContinuumOptions) -> Instrument:
        """Fill what the options leave open from SDC1's band.

        Parameters
        ----------
        options : ContinuumOptions
            What to simulate.

        Returns
        -------
        Instrument
            The telescope, every value set.
        """
        band = BANDS[options.frequency]
        pixel_scale = options.pixel_scale or band.pixel_scale
        beam_major = options.beam_major or band.beam
        noise = math.hypot(band.thermal_noise[options.hours], band.excess_noise)
        half_field = 0.5 * options.size * pixel_scale / 3600
        east = options.offset_east
        if east is None:
            east = half_field + 0.05 * 560 / options.frequency
        return cls(
            frequency=options.frequency * 1e6,
            bandwidth=band.bandwidth,
            pixel_scale=pixel_scale,
            beam_major=beam_major,
            beam_minor=options.beam_minor or beam_major,
            beam_pa=options.beam_pa,
            noise_rms=noise if options.noise_rms is None else options.noise_rms,
            clip=options.clip or band.clip,
            primary_beam_fwhm=_primary_beam_fwhm(options),
            offset=(east, options.offset_north),
        )


def _primary_beam_fwhm(options: ContinuumOptions) -> tuple[float, float]:
    if options.primary_beam_fwhm is not None:
        return options.primary_beam_fwhm, options.primary_beam_fwhm
    east, north = PRIMARY_BEAM_FWHM
    return east * 1400 / options.frequency, north * 1400 / options.frequency


def _check(options: ContinuumOptions) -> None:
    for field in fields(options):
        value = getattr(options, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{field.name} = {value}: expected a finite number")
    _check_choice("frequency", options.frequency, tuple(BANDS))
    _check_choice("hours", options.hours, tuple(BANDS[options.frequency].thermal_noise))
    _check_choice("noise_spectrum", options.noise_spectrum, NOISE_SPECTRA)
    for name in _POSITIVE + _NOT_NEGATIVE:
        value = getattr(options, name)
        if value is not None and (value < 0 or (value == 0 and name in _POSITIVE)):
            expected = "a positive number" if name in _POSITIVE else "0 or more"
            raise ConfigError(f"{name} = {value}: expected {expected}")
    _check_range("size", options.size, 16, 1 << 16)
    _check_range("noise_gradient", options.noise_gradient, 0, 0.99)
    _check_range("nan_border", options.nan_border, 0, (options.size - 1) // 2)
    _check_range("flux_min", options.flux_min, 1e-8, 1e-2)
    instrument = Instrument.from_options(options)
    _check_range("beam_minor", instrument.beam_minor, 1.5 * instrument.pixel_scale, instrument.beam_major)


def _check_choice(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{name} = {value!r}: expected one of {', '.join(map(str, known))}")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} = {value}: expected {low:.6g} to {high:.6g}")
