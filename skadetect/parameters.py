"""The quantities a network regresses beside each box: what they mean, and how they become scale-free numbers.

An encoded parameter is a ratio to something measured (the anchor, the beam), so one network serves any unit,
depth and telescope. Plain NumPy on columns; fluxes are in units of the local noise, sizes in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skadetect.errors import ModelError

TRANSFORMS = ("log", "linear", "cos", "sin", "cos2", "sin2")
SCALES = ("anchor", "beam", "none")
# Function and multiple of the angle of the transforms that are halves of an angle.
_TURNS = {"cos": (np.cos, 1.0), "sin": (np.sin, 1.0), "cos2": (np.cos, 2.0), "sin2": (np.sin, 2.0)}


@dataclass(frozen=True)
class ParameterSpec:
    """One regressed quantity.

    Attributes
    ----------
    name : str
        Name of the encoded number, unique in a model.
    column : str
        Name of the physical column it encodes. The two halves of an angle (cos and sin of a direction, cos2
        and sin2 of an axis) share one column.
    unit, ucd, description : str
        Of the physical column, before it is scaled to a catalogue's units.
    transform : {"log", "linear", "cos", "sin", "cos2", "sin2"}
        ``log(value/scale)``, ``value/scale``, or cosine or sine of an angle in radians or of twice that.
    scale : {"anchor", "beam", "none"}
        What the value is divided by: the anchor (a peak in units of the noise), the beam's FWHM in pixels
        or nothing.
    floor : float
        Smallest ratio that the logarithm sees; smaller ones are encoded as the floor.
    anchor_floor : float
        Least anchor that a value is divided by: below it the highest voxel is noise and says nothing.
    """

    name: str
    column: str
    unit: str = ""
    ucd: str = ""
    description: str = ""
    transform: str = "linear"
    scale: str = "none"
    floor: float = 0.0
    anchor_floor: float = 0.0

    def __post_init__(self) -> None:
        for field, value, known in (("transform", self.transform, TRANSFORMS), ("scale", self.scale, SCALES)):
            if value not in known:
                raise ModelError(
                    f"parameter {self.name!r} has {field} {value!r}; expected one of {', '.join(known)}"
                )
        if self.transform == "log" and not self.floor > 0:
            raise ModelError(
                f"parameter {self.name!r} is logarithmic and needs a floor above 0, not {self.floor}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> ParameterSpec:
        """Rebuild from `to_dict`; an unknown or missing key is a ModelError."""
        try:
            return cls(**mapping)
        except TypeError as error:
            raise ModelError(f"parameter {mapping.get('name', '?')!r} cannot be read: {error}") from None


CONTINUUM: tuple[ParameterSpec, ...] = (
    ParameterSpec("int_flux", "int_flux", "rms beam", "phot.flux.density;em.radio",
                  "integrated apparent flux over the local noise", "log", "anchor", 1e-3),
    ParameterSpec("bmaj", "bmaj", "pix", "phys.angSize.smajAxis",
                  "major FWHM of the equivalent Gaussian, beam removed", "log", "beam", 0.02),
    ParameterSpec("bmin", "bmin", "pix", "phys.angSize.sminAxis",
                  "minor FWHM of the equivalent Gaussian, beam removed", "log", "beam", 0.02),
    ParameterSpec("pa_cos", "theta", "rad", "pos.posAng",
                  "direction of the major axis from +x towards +y", "cos2"),
    ParameterSpec("pa_sin", "theta", "rad", "pos.posAng",
                  "direction of the major axis from +x towards +y", "sin2"),
)  # fmt: skip
"""Parameters of a continuum source: columns int_flux, bmaj, bmin and theta."""

HI: tuple[ParameterSpec, ...] = (
    ParameterSpec("line_flux", "line_flux", "rms beam chan", "phot.flux;em.line",
                  "integrated line flux over the local noise", "log", "anchor", 1e-3, anchor_floor=6.0),
    ParameterSpec("hi_size", "hi_size", "pix", "phys.angSize.smajAxis",
                  "diameter at 1 Msun/pc^2 along the major axis, beam removed", "log", "beam", 0.05),
    ParameterSpec("w20", "w20", "chan", "spect.line.width", "width of the line at 20 % of its peak",
                  "log", "none", 0.5),
    ParameterSpec("w50", "w50", "chan", "spect.line.width", "width of the line at 50 % of its peak",
                  "log", "none", 0.5),
    ParameterSpec("direction_cos", "direction", "rad", "pos.posAng",
                  "direction of the side at lower z, from +x towards +y", "cos"),
    ParameterSpec("direction_sin", "direction", "rad", "pos.posAng",
                  "direction of the side at lower z, from +x towards +y", "sin"),
    ParameterSpec("incl", "incl", "rad", "src.orbital.inclination", "inclination, 0 face-on", "linear"),
)  # fmt: skip
"""Parameters of a galaxy in a cube: columns line_flux, hi_size, w20, w50, direction and incl."""


def encode(
    specs: Sequence[ParameterSpec],
    columns: Mapping[str, ArrayLike],
    *,
    anchor: ArrayLike,
    beam_fwhm: ArrayLike,
) -> NDArray[np.float32]:
    """Physical columns to the numbers a network learns.

    Parameters
    ----------
    specs : sequence of P ParameterSpec
    columns : mapping of str to array (n,)
        Physical values by column: fluxes in units of local noise times beam, sizes in pixels, angles in
        radians.
        NaN means unknown; so does an absent column.
    anchor : float or array (n,)
        Peak in units of the noise, at least 1, that fluxes are compared to.
    beam_fwhm : float or array (n,)
        Geometric mean FWHM of the beam, in pixels.

    Returns
    -------
    array (n, P), float32
        NaN where the value is unknown.
    """
    n = max((np.size(value) for value in columns.values()), default=np.size(anchor))
    scales = {"anchor": anchor, "beam": beam_fwhm, "none": 1.0}
    encoded = np.full((n, len(specs)), np.nan, np.float32)
    for index, spec in enumerate(specs):
        if spec.column in columns:
            encoded[:, index] = _encode_one(spec, columns[spec.column], _scale(spec, scales))
    return encoded


def decode(
    specs: Sequence[ParameterSpec], encoded: ArrayLike, *, anchor: ArrayLike, beam_fwhm: ArrayLike
) -> dict[str, NDArray[np.float64]]:
    """Encoded numbers back to physical columns; the inverse of `encode` above the floors.

    Parameters
    ----------
    specs : sequence of P ParameterSpec
    encoded : array (n, P)
    anchor : float or array (n,)
        As in `encode`, in units of the noise.
    beam_fwhm : float or array (n,)
        As in `encode`, in pixels.

    Returns
    -------
    dict of str to array (n,), float64
        One entry a column, in the units of `encode`; directions in radians in (-pi, pi], axes in
        (-pi/2, pi/2].
    """
    encoded = np.asarray(encoded, np.float64)
    scales = {"anchor": anchor, "beam": beam_fwhm, "none": 1.0}
    halves: dict[str, dict[str, NDArray[np.float64]]] = {}
    columns: dict[str, NDArray[np.float64]] = {}
    for index, spec in enumerate(specs):
        value = encoded[:, index]
        if spec.transform in _TURNS:
            halves.setdefault(spec.column, {})[spec.transform] = value
        else:
            ratio = np.exp(value) if spec.transform == "log" else value
            columns[spec.column] = ratio * _scale(spec, scales)
    for name, pair in halves.items():
        half = 0.5 if "cos2" in pair or "sin2" in pair else 1.0
        sin, cos = pair.get("sin2", pair.get("sin", 0.0)), pair.get("cos2", pair.get("cos", 0.0))
        columns[name] = half * np.arctan2(sin, cos)
    return columns


def angle_spread(specs: Sequence[ParameterSpec], encoded: NDArray[np.float32]) -> NDArray[np.float64]:
    """Standard deviation of the angle whose cosine and sine, of it or of twice it, were regressed, radians.

    A network that learned both by squared error predicts their means, and the shorter that vector R, the
    wider the angle is spread: sqrt(-2 ln R) for a wrapped normal, half of that for an axis (Mardia & Jupp
    2000, section 3.4.1).

    Parameters
    ----------
    specs : sequence of ParameterSpec
        Of the columns of `encoded`.
    encoded : array (n, P)
        Raw parameters.

    Returns
    -------
    array (n,)
        At most pi/sqrt(12) for an axis and pi/sqrt(3) for a direction, those of an angle nobody knows; NaN
        without an angle among the parameters.
    """
    transforms = [spec.transform for spec in specs]
    for names, turn in ((("cos2", "sin2"), 0.5), (("cos", "sin"), 1.0)):
        if set(names) <= set(transforms):
            cos, sin = (encoded[:, transforms.index(name)].astype(np.float64) for name in names)
            length = np.clip(np.hypot(cos, sin), 1e-6, 1.0)
            return np.minimum(turn * np.sqrt(-2.0 * np.log(length)), turn * np.pi / np.sqrt(3.0))
    return np.full(len(encoded), np.nan)


def _scale(spec: ParameterSpec, scales: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
    """What the values of a parameter are divided by."""
    scale = np.asarray(scales[spec.scale], np.float64)
    return np.maximum(scale, spec.anchor_floor) if spec.scale == "anchor" else scale


def _encode_one(spec: ParameterSpec, value: ArrayLike, scale: ArrayLike) -> NDArray[np.float64]:
    value = np.asarray(value, np.float64)
    if spec.transform in _TURNS:
        function, times = _TURNS[spec.transform]
        return np.asarray(function(times * value), np.float64)
    ratio = value / np.asarray(scale, np.float64)
    return np.log(np.maximum(ratio, spec.floor)) if spec.transform == "log" else ratio
