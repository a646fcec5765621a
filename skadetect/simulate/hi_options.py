"""What cube to simulate: the options, and the values that the two settings give to those left open."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from skadetect.beams import PixelBeam
from skadetect.errors import ConfigError

REST_FREQUENCY = 1420405752.0  # Hz, as SDC2 rounds it
LIGHT_SPEED = 299792.458  # km/s

_POSITIVE = (
    "density", "frequency", "channel_width", "pixel_scale", "beam_major", "beam_minor", "response",
    "gain_scale", "gain_bandwidth", "flux_min", "absorption_flux",
)  # fmt: skip
_NOT_NEGATIVE = ("seed", "noise_rms", "rfi", "continuum", "gain_error", "absorption_rate")
_SDC2_BAND = (950.0, 1150.0)  # MHz
# Smallest recession velocity in a nearby cube and how far its near end lies beyond that at most, km/s.
_NEAREST, _NEAR_RANGE = 150.0, 3000.0


@dataclass(frozen=True)
class HiOptions:
    """An HI cube to simulate.

    Fields that are None take the values of `setting`: SDC2's, or for "nearby" values drawn by the seed from
    the range of surveys such as WALLABY, Apertif's and THINGS.

    Parameters
    ----------
    shape : tuple of int
        Channels, rows and columns.
    seed : int
        Seed of all random draws; the same options give the same files.
    setting : str
        "sdc2" (2.8 arcsec pixels, a beam of 7 arcsec, 30 kHz channels between 950 and 1150 MHz) or "nearby"
        (beams of 30 to 80 arcsec on 2.2 to 5 pixels, 4 to 20 km/s channels, galaxies up to 50 beams across).
    density : float
        Factor on the number of galaxies; 1 is natural at SDC2, and several dozen in a cube of 400 channels
        and 200 x 200 pixels nearby.
    frequency : float or None
        Of the cube's middle, MHz; None is drawn.
    channel_width : float or None
        Width of a channel, kHz.
    spectral_axis : str or None
        "frequency" (ascending) or "velocity" (radio convention, ascending); None is "frequency" at SDC2 and
        drawn nearby.
    ra, dec : float
        Position of the cube's middle, degrees.
    pixel_scale : float or None
        Pixel size, arcsec.
    beam_major, beam_minor : float or None
        FWHM of the beam, arcsec; `beam_minor` None with a given `beam_major` means round.
    beam_pa : float or None
        Position angle of the beam's major axis, degrees from north through east.
    noise_rms : float or None
        Noise of a channel free of interference, Jy/beam; None is SDC2's, which rises with frequency.
    noise_spectrum : str
        "beam" (white noise convolved with the beam) or "natural" (power proportional to the beam's
        transform).
    noise_gradient : float or None
        The noise changes from (1 - g) to (1 + g) times its mean across the field; 0 <= g < 1.
    nan_circle : bool or None
        Blank everything outside the circle inscribed in the field.
    hanning : bool or None
        Smooth along the channels with weights 1/4, 1/2, 1/4; `noise_rms` is that of the smoothed cube.
    rfi : float
        Strength of interference: 1 as at SDC2 (950 to 960 and 1080 to 1100 MHz; a few runs of channels
        nearby), 0 none. Flagged channels are noisier, rippled and have lost their shortest spacings.
    response : float
        Response to emission below three times the noise; 0.853 was measured at SDC2, 1 keeps the flux.
    continuum : float
        Factor on the number of continuum sources; 0 is a cube without residuals or absorption.
    gain_error : float
        Rms of the continuum residual over the continuum.
    gain_scale : float or None
        FWHM over which the gain error is correlated on the sky, arcsec; None is 8.4 beams, SDC2's 59 arcsec.
    gain_bandwidth : float
        Bandwidth over which the gain error is correlated, MHz.
    absorption_rate : float
        Absorption lines per MHz in front of each source brighter than `absorption_flux`.
    absorption_flux : float
        Continuum brightness above which there may be absorption, Jy/beam.
    flux_min : float or None
        Faintest galaxy drawn, Jy Hz; None is 1.4 at SDC2 and about twice the noise nearby.
    irregular : float
        Share of galaxies with the irregularities of real ones; the others are symmetric discs.
    companions : float
        Share of the irregular ones with a companion: a small galaxy of its own within two HI radii.
    """

    shape: tuple[int, int, int] = (1024, 256, 256)
    seed: int = 0
    setting: Literal["sdc2", "nearby"] = "sdc2"
    density: float = 1.0
    frequency: float | None = None
    channel_width: float | None = None
    spectral_axis: Literal["frequency", "velocity"] | None = None
    ra: float = 180.0
    dec: float = -30.0
    pixel_scale: float | None = None
    beam_major: float | None = None
    beam_minor: float | None = None
    beam_pa: float | None = None
    noise_rms: float | None = None
    noise_spectrum: Literal["beam", "natural"] = "beam"
    noise_gradient: float | None = None
    nan_circle: bool | None = None
    hanning: bool | None = None
    rfi: float = 1.0
    response: float = 1.0
    continuum: float = 1.0
    gain_error: float = 1e-3
    gain_scale: float | None = None
    gain_bandwidth: float = 10.0
    absorption_rate: float = 0.01
    absorption_flux: float = 5e-3
    flux_min: float | None = None
    irregular: float = 0.9
    companions: float = 0.1

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class HiTelescope:
    """The grid, the beam and the noise that a set of options resolves to.

    Parameters
    ----------
    shape : tuple of int
        Channels, rows and columns.
    frequency : float
        Of the cube's middle, Hz.
    channel_width : float
        Hz.
    spectral_axis : str
        "frequency" or "velocity".
    pixel_scale, beam_major, beam_minor : float
        Arcsec.
    beam_pa : float
        Degrees from north through east.
    noise_rms : float or None
        Jy/beam; None is SDC2's, which depends on frequency.
    noise_gradient : float
        Relative change of the noise from the middle to an edge.
    nan_circle, hanning : bool
        Whether the corners are blank, and whether channels are smoothed.
    gain_scale : float
        Arcsec.
    flux_min : float
        Jy Hz.
    """

    shape: tuple[int, int, int]
    frequency: float
    channel_width: float
    spectral_axis: str
    pixel_scale: float
    beam_major: float
    beam_minor: float
    beam_pa: float
    noise_rms: float | None
    noise_gradient: float
    nan_circle: bool
    hanning: bool
    gain_scale: float
    flux_min: float

    @classmethod
    def from_options(cls, options: HiOptions) -> HiTelescope:
        """Fill what the options leave open.

        Parameters
        ----------
        options : HiOptions
            What to simulate.

        Returns
        -------
        HiTelescope
            Every value set.
        """
        values = (_SETTINGS[options.setting])(options)
        given = {f.name: getattr(options, f.name) for f in fields(cls)}
        if given["beam_minor"] is None and given["beam_major"] is not None:
            given["beam_minor"] = given["beam_major"]
        values.update({name: value for name, value in given.items() if value is not None})
        values.setdefault("gain_scale", 8.4 * math.sqrt(values["beam_major"] * values["beam_minor"]))
        values["shape"] = tuple(options.shape)
        values["frequency"] = 1e6 * values.get("frequency", 0.0) or _draw_frequency(options, values)
        values["channel_width"] *= 1e3
        return cls(**values)

    @property
    def ascending(self) -> bool:
        """Whether frequency ascends with the channel."""
        return self.spectral_axis == "frequency"

    @property
    def step(self) -> float:
        """Frequency from one channel of the file to the next, Hz; negative on a velocity axis."""
        return self.channel_width if self.ascending else -self.channel_width

    @property
    def frequencies(self) -> np.ndarray:
        """Frequency of each channel in file order, Hz, shape (z,)."""
        n = self.shape[0]
        return np.asarray(self.frequency + self.step * (np.arange(n) - (n - 1) / 2))

    @property
    def beam(self) -> PixelBeam:
        """The beam in pixels; right ascension decreases with x."""
        theta = math.radians(self.beam_pa + 90)
        scale = self.pixel_scale
        return PixelBeam(self.beam_major / scale, self.beam_minor / scale, theta)


def _sdc2(_: HiOptions) -> dict[str, Any]:
    return {
        "channel_width": 30.0,
        "spectral_axis": "frequency",
        "pixel_scale": 2.8,
        "beam_major": 7.0,
        "beam_minor": 7.0,
        "beam_pa": 0.0,
        "noise_rms": None,
        "noise_gradient": 0.0,
        "nan_circle": False,
        "hanning": False,
        "flux_min": 1.4,
    }


def _nearby(options: HiOptions) -> dict[str, Any]:
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(1,)))
    beam, sampling = _log_uniform(rng, 30.0, 80.0), _log_uniform(rng, 2.4, 5.0)
    elongation = 1.0 if rng.uniform() < 0.4 else _log_uniform(rng, 1.0, min(1.6, (sampling / 2.2) ** 2))
    width = _log_uniform(rng, 4.0, 20.0) * REST_FREQUENCY / LIGHT_SPEED / 1e3
    # WALLABY's is 1.6 mJy/beam in 18.5 kHz; deep pointings reach less than half of that.
    noise = 1.6e-3 * math.sqrt(18.5 / width) * _log_uniform(rng, 0.4, 1.6)
    return {
        "channel_width": width,
        "spectral_axis": "velocity" if rng.uniform() < 0.5 else "frequency",
        "pixel_scale": beam / sampling,
        "beam_major": beam * math.sqrt(elongation),
        "beam_minor": beam / math.sqrt(elongation),
        "beam_pa": rng.uniform(-90, 90),
        "noise_rms": noise,
        "noise_gradient": 0.0 if rng.uniform() < 0.5 else rng.uniform(0.0, 0.4),
        "nan_circle": bool(rng.uniform() < 0.3),
        "hanning": bool(rng.uniform() < 0.5),
        "flux_min": 6 * noise * width * 1e3,
    }


_SETTINGS = {"sdc2": _sdc2, "nearby": _nearby}


def _draw_frequency(options: HiOptions, values: dict[str, Any]) -> float:
    """Middle of the band, Hz: anywhere in SDC2's band where the cube fits, or at low velocities."""
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(2,)))
    half = 0.5 * options.shape[0] * values["channel_width"] * 1e3
    if options.setting == "nearby":
        nearest = _NEAREST + _NEAR_RANGE * rng.uniform() ** 2
        return REST_FREQUENCY * (1 - nearest / LIGHT_SPEED) - half
    low, high = (1e6 * edge for edge in _SDC2_BAND)
    return rng.uniform(low + half, high - half) if high - low > 2 * half else (low + high) / 2


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _check(options: HiOptions) -> None:
    for field in fields(options):
        value = getattr(options, field.name)
        if isinstance(value, float) and not math.isfinite(value):
            raise ConfigError(f"{field.name} = {value}: expected a finite number")
        low = 0 if field.name in _POSITIVE else -1
        if field.name in _POSITIVE + _NOT_NEGATIVE and value is not None and (value < 0 or value == low):
            expected = "a positive number" if field.name in _POSITIVE else "0 or more"
            raise ConfigError(f"{field.name} = {value}: expected {expected}")
    if len(options.shape) != 3 or not all(isinstance(n, int) and 8 <= n <= 1 << 16 for n in options.shape):
        raise ConfigError(f"shape = {options.shape}: expected three numbers of 8 to 65536")
    _check_choice("setting", options.setting, tuple(_SETTINGS))
    _check_choice("spectral_axis", options.spectral_axis, (None, "frequency", "velocity"))
    _check_choice("noise_spectrum", options.noise_spectrum, ("beam", "natural"))
    for name in ("irregular", "companions"):
        if not 0 <= getattr(options, name) <= 1:
            raise ConfigError(f"{name} = {getattr(options, name)}: expected 0 to 1")
    if not -90 <= options.dec <= 90:
        raise ConfigError(f"dec = {options.dec}: expected -90 to 90")
    if options.noise_gradient is not None and not 0 <= options.noise_gradient <= 0.99:
        raise ConfigError(f"noise_gradient = {options.noise_gradient}: expected 0 to 0.99")
    _check_telescope(HiTelescope.from_options(options))


def _check_telescope(telescope: HiTelescope) -> None:
    low, high = 1.5 * telescope.pixel_scale, telescope.beam_major
    if not low <= telescope.beam_minor <= high:
        raise ConfigError(f"beam_minor = {telescope.beam_minor}: expected {low:.6g} to {high:.6g}")
    lowest, highest = telescope.frequencies.min(), telescope.frequencies.max()
    if not 1e8 < lowest <= highest < 1.5e9:
        raise ConfigError(
            f"channels from {lowest / 1e6:.6g} to {highest / 1e6:.6g} MHz: expected 100 to 1500 MHz"
        )


def _check_choice(name: str, value: object, known: tuple[object, ...]) -> None:
    if value not in known:
        raise ConfigError(f"{name} = {value!r}: expected one of {', '.join(map(str, known))}")
