"""The spectral axis of a cube: frequencies of its channels, whatever the file counts them in.

Channels are 0-based with integers at their centres, in the order of the file: frequency may rise or fall.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
LIGHT_KMS = 299792.458
HI_FREQUENCY = 1420405751.786


@dataclass(frozen=True, eq=False)
class SpectralAxis:
    """Frequencies of the channels of a cube.

    Parameters
    ----------
    freq : (n,) float64
        Of the centres of the channels, Hz; all rising or all falling.
    rest_freq : float
        Rest frequency of the line, Hz.
    frame : str
        Rest frame of the frequencies as in SPECSYS (BARYCENT, LSRK, ...), "" if it is not known.
    kind : str
        What the file counts channels in, in the standard's four letters: FREQ, VRAD, VOPT, VELO, WAVE ...
    step : float
        Hz from one channel to the next; it counts only where there is one channel.

    Raises
    ------
    ValueError
        If there is no channel, or frequencies are not positive and strictly rising or falling.
    """

    freq: Floats
    rest_freq: float = HI_FREQUENCY
    frame: str = ""
    kind: str = "FREQ"
    step: float = 1.0

    def __post_init__(self) -> None:
        freq = np.array(self.freq, np.float64)
        if freq.ndim != 1 or freq.size == 0 or not np.isfinite(freq).all() or freq.min() <= 0:
            raise ValueError(f"frequencies of shape {freq.shape}; expected some, finite and positive")
        steps = np.diff(freq)
        if not (steps > 0).all() and not (steps < 0).all():
            raise ValueError("frequencies neither rise nor fall from channel to channel")
        freq.flags.writeable = False
        object.__setattr__(self, "freq", freq)

    @classmethod
    def linear(cls, freq0: float, step: float, n: int, rest_freq: float = HI_FREQUENCY) -> SpectralAxis:
        """Axis of n channels a step (Hz, of either sign) apart, from freq0 on."""
        return cls(freq0 + step * np.arange(n, dtype=np.float64), rest_freq, step=step)

    @property
    def ascending(self) -> bool:
        """Whether frequency rises from channel to channel."""
        return bool(self._steps()[0] > 0)

    @property
    def channel_kms(self) -> float:
        """Width of the middle channel, km/s: c dnu / nu."""
        middle = (self.freq.size - 1) / 2
        return LIGHT_KMS * float(self.width(middle)) / float(self.frequency(middle))

    def frequency(self, z: ArrayLike) -> Floats:
        """Frequency at channels, Hz: linear between their centres and beyond the ends.

        Parameters
        ----------
        z : (...) array
            Channels, fractions allowed.
        """
        place = np.asarray(z, np.float64)
        steps = self._steps()
        left = np.clip(np.floor(place), 0, steps.size - 1).astype(np.int64)
        out: Floats = self.freq[left] + (place - left) * steps[left]
        return out

    def channel(self, freq: ArrayLike) -> Floats:
        """Channel at frequencies in Hz, fractions included; the inverse of `frequency`."""
        wanted = np.asarray(freq, np.float64)
        steps = self._steps()
        sign = np.sign(steps[0])
        left = np.searchsorted(sign * self.freq, sign * wanted, side="right") - 1
        left = np.clip(left, 0, steps.size - 1)
        out: Floats = left + (wanted - self.freq[left]) / steps[left]
        return out

    def width(self, z: ArrayLike) -> Floats:
        """Width of channels, Hz, positive: from half way to their neighbours; linear between centres.

        Parameters
        ----------
        z : (...) array
            Channels, fractions allowed; beyond the ends that of the last channel.
        """
        steps = np.abs(self._steps())
        ends = np.concatenate([steps[:1], steps, steps[-1:]])
        widths = ((ends[1:] + ends[:-1]) / 2)[: self.freq.size]
        out: Floats = np.asarray(np.interp(np.asarray(z, np.float64), np.arange(widths.size), widths))
        return out

    def averaged(self, n: int) -> SpectralAxis:
        """Axis of means of n channels at a time; the last may lack some of them."""
        return self._resampled(float(n), -(-self.freq.size // n))

    def interpolated(self, n: int) -> SpectralAxis:
        """Axis with n channels in each channel."""
        return self._resampled(1.0 / n, self.freq.size * n)

    def _resampled(self, factor: float, count: int) -> SpectralAxis:
        """Axis of channels `factor` times as wide, from the same edge on."""
        freq = self.frequency((np.arange(count) + 0.5) * factor - 0.5)
        return replace(self, freq=freq, step=float(self._steps().mean()) * factor)

    def _steps(self) -> Floats:
        """Hz from each channel to the next, at least one."""
        return np.diff(self.freq) if self.freq.size > 1 else np.array([self.step])
