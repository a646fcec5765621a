"""From pixels to what a network sees: signal to noise through compressive stretches, and the beam."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from skadetect._numba import JIT, PARALLEL
from skadetect.beams import PixelBeam
from skadetect.errors import ConfigError

FUNCTIONS = ("tanh", "asinh", "linear")


@dataclass(frozen=True)
class Normalization:
    """How pixels become network features; stored with the model.

    Parameters
    ----------
    stretches : tuple of (function, scale, divisor)
        One feature each: function(s / scale) / divisor of the signal to noise s; function is tanh, asinh or
        linear.
    beam_planes : bool
        Whether `PixelBeam.features` follow as three constant features.
    fwhm_range : (low, high)
        Beam FWHM in pixels that the network was trained for; other images are resampled into it.
    channel_range : (low, high) or None
        Width of a channel in km/s that the network was trained for; None if it may be any.

    Raises
    ------
    ConfigError
        If a stretch is not known, or a number is not positive.
    """

    stretches: tuple[tuple[str, float, float], ...] = (("tanh", 4.0, 1.0), ("asinh", 2.0, 3.0))
    beam_planes: bool = True
    fwhm_range: tuple[float, float] = (2.2, 6.0)
    channel_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for function, scale, divisor in self.stretches:
            if function not in FUNCTIONS:
                raise ConfigError(f"stretch {function!r} is not one of {', '.join(FUNCTIONS)}")
            if not (scale > 0 and divisor > 0):
                raise ConfigError(f"stretch {function} by {scale} / {divisor}: expected two positive numbers")
        if not 0 < self.fwhm_range[0] < self.fwhm_range[1]:
            raise ConfigError(f"fwhm_range {self.fwhm_range}: expected 0 < low < high")
        if self.channel_range is not None and not 0 < self.channel_range[0] < self.channel_range[1]:
            raise ConfigError(f"channel_range {self.channel_range}: expected 0 < low < high, or none")

    @property
    def features(self) -> int:
        """Number of network input features."""
        return len(self.stretches) + (3 if self.beam_planes else 0)

    def snr(
        self, pixels: NDArray[np.float32], level: NDArray[np.float32], rms: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Signal to noise (pixels - level) / rms; NaN pixels become 0.

        Parameters
        ----------
        pixels, level, rms : (z, y, x) float32
            Image, background and noise in the same unit.

        Returns
        -------
        (z, y, x) float32
        """
        out = np.empty(pixels.shape, np.float32)
        _snr(_rows(pixels), _rows(level), _rows(rms), _rows(out))
        return out

    def apply(self, s: NDArray[np.float32], beam: PixelBeam) -> NDArray[np.float32]:
        """Network input features of a signal-to-noise map.

        Parameters
        ----------
        s : (z, y, x) float32
            Signal to noise.
        beam : PixelBeam
            Of the image that `s` is of.

        Returns
        -------
        (z, y, x, features) float32
        """
        return self._stretched(s, self.constants(beam))

    def varying(self, s: NDArray[np.float32]) -> NDArray[np.float32]:
        """Those of the features that vary from pixel to pixel, and behind them one that is 1 everywhere."""
        return self._stretched(s, np.ones(1, np.float32))

    def constants(self, beam: PixelBeam) -> NDArray[np.float32]:
        """The last features, which are the same everywhere."""
        return np.array(beam.features() if self.beam_planes else (), np.float32)

    def _stretched(self, s: NDArray[np.float32], constants: NDArray[np.float32]) -> NDArray[np.float32]:
        features = len(self.stretches) + len(constants)
        out = np.empty((*s.shape, features), np.float32)
        kinds = np.array([FUNCTIONS.index(function) for function, _, _ in self.stretches], np.int64)
        scales = np.array([[1 / scale, 1 / divisor] for _, scale, divisor in self.stretches], np.float32)
        _features(_rows(s), kinds, scales.reshape(-1, 2), constants, out.reshape(-1, s.shape[-1], features))
        return out

    def to_dict(self) -> dict[str, Any]:
        """As plain data for a model's header."""
        plain: dict[str, Any] = {
            "stretches": [list(stretch) for stretch in self.stretches],
            "beam_planes": self.beam_planes,
            "fwhm_range": list(self.fwhm_range),
        }
        if self.channel_range is not None:
            plain["channel_range"] = list(self.channel_range)
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Normalization:
        """From `to_dict`.

        Raises
        ------
        ConfigError
            If a key is not known or a value has the wrong form.
        """
        unknown = set(data) - set(cls.__dataclass_fields__)
        if unknown:
            known = sorted(cls.__dataclass_fields__)
            raise ConfigError(f"normalization: unknown {sorted(unknown)}; known: {known}")
        values = dict(data)
        try:
            if "stretches" in values:
                values["stretches"] = tuple((str(f), float(a), float(b)) for f, a, b in values["stretches"])
            for name in ("fwhm_range", "channel_range"):
                if values.get(name) is not None:
                    low, high = values[name]
                    values[name] = (float(low), float(high))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"normalization {dict(data)}: {error}") from error
        return cls(**values)


def _rows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A (z, y, x) array as contiguous (z * y, x), without a copy if it is contiguous."""
    return np.ascontiguousarray(values, np.float32).reshape(-1, values.shape[-1])


@numba.njit(**PARALLEL)
def _snr(
    pixels: NDArray[np.float32],
    level: NDArray[np.float32],
    rms: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Signal to noise of rows."""
    for i in numba.prange(pixels.shape[0]):
        for j in range(pixels.shape[1]):
            value = (pixels[i, j] - level[i, j]) / rms[i, j]
            out[i, j] = value if np.isfinite(value) else np.float32(0)


@numba.njit(**PARALLEL)
def _features(
    s: NDArray[np.float32],
    kinds: NDArray[np.int64],
    scales: NDArray[np.float32],
    constants: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Stretches of rows of signal to noise, then the constants."""
    for i in numba.prange(s.shape[0]):
        line, row = out[i], np.empty(s.shape[1], np.float32)
        for k in range(kinds.size):
            if kinds[k] == 0:
                _tanh(s[i], scales[k, 0], row)
            elif kinds[k] == 1:
                _asinh(s[i], scales[k, 0], row)
            else:
                row[:] = s[i] * scales[k, 0]
            for j in range(s.shape[1]):
                line[j, k] = row[j] * scales[k, 1]
        for k in range(constants.size):
            for j in range(s.shape[1]):
                line[j, kinds.size + k] = constants[k]


# Whole rows by arithmetic alone, which the compiler turns into vectors: 3e-7 of the value or of 1, and a
# nanosecond or two each, where libm takes thirty.
@numba.njit(**JIT)
def _tanh(s: Any, gain: Any, out: Any) -> None:
    """Hyperbolic tangent of float32: the ratio of polynomials of Eigen; beyond 7.9 it is 1 to rounding."""
    for j in range(s.size):
        x = min(max(s[j] * gain, np.float32(-7.9)), np.float32(7.9))
        x2 = x * x
        p = np.float32(-2.76076847742355e-16) * x2 + np.float32(2.00018790482477e-13)
        p = p * x2 + np.float32(-8.60467152213735e-11)
        p = p * x2 + np.float32(5.12229709037114e-08)
        p = p * x2 + np.float32(1.48572235717979e-05)
        p = p * x2 + np.float32(6.37261928875436e-04)
        p = p * x2 + np.float32(4.89352455891786e-03)
        q = np.float32(1.19825839466702e-06) * x2 + np.float32(1.18534705686654e-04)
        q = q * x2 + np.float32(2.26843463243900e-03)
        q = q * x2 + np.float32(4.89352518554385e-03)
        out[j] = x * p / q


@numba.njit(**JIT)
def _asinh(s: Any, gain: Any, out: Any) -> None:
    """Inverse hyperbolic sine of float32: the logarithm by exponent and the polynomial of Cephes' logf."""
    mantissa = np.empty(s.size, np.float32)
    bits = mantissa.view(np.int32)
    for j in range(s.size):
        size = min(abs(s[j] * gain), np.float32(1e18))
        mantissa[j] = size + math.sqrt(size * size + np.float32(1))
    for j in range(s.size):  # into 2^exponent times a number from sqrt(1/2) to sqrt(2)
        exponent = (bits[j] - np.int32(0x3F3504F3)) >> np.int32(23)
        out[j] = np.float32(exponent)
        bits[j] -= exponent << np.int32(23)
    for j in range(s.size):
        x = mantissa[j] - np.float32(1)
        y = np.float32(7.0376836292e-2) * x + np.float32(-1.1514610310e-1)
        y = y * x + np.float32(1.1676998740e-1)
        y = y * x + np.float32(-1.2420140846e-1)
        y = y * x + np.float32(1.4249322787e-1)
        y = y * x + np.float32(-1.6668057665e-1)
        y = y * x + np.float32(2.0000714765e-1)
        y = y * x + np.float32(-2.4999993993e-1)
        y = y * x + np.float32(3.3333331174e-1)
        y = y * x * x * x - np.float32(0.5) * x * x + np.float32(-2.12194440e-4) * out[j]
        out[j] = math.copysign(x + y + np.float32(0.693359375) * out[j], s[j])
