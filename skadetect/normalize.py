"""From pixels to what a network sees: signal to noise through compressive stretches, and the beam."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skadetect.beams import PixelBeam
from skadetect.errors import ConfigError
from skadetect.formulas import STRETCHES
from skadetect.stretches import Stretches, features


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
            if function not in STRETCHES:
                raise ConfigError(f"stretch {function!r} is not one of {', '.join(STRETCHES)}")
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
        return features(s[None], self.rows, self.constants(beam)[None])[0]

    def varying(self, s: NDArray[np.float32]) -> NDArray[np.float32]:
        """Those of the features that vary from pixel to pixel, and behind them one that is 1 everywhere."""
        return features(s[None], self.rows, np.ones((1, 1), np.float32))[0]

    def constants(self, beam: PixelBeam) -> NDArray[np.float32]:
        """The last features, which are the same everywhere."""
        return np.array(beam.features() if self.beam_planes else (), np.float32)

    @property
    def rows(self) -> Stretches:
        """The stretches in numbers, as back ends take them."""
        return tuple((STRETCHES[name], 1 / scale, 1 / divisor) for name, scale, divisor in self.stretches)

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
