"""What a catalogue says about its making: image, model, options and versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Protocol

from astropy import units as u

import skadetect
from skadetect.image import Image
from skadetect.parameters import ParameterSpec


class ModelInfo(Protocol):
    """What a catalogue needs to know of a model; `skadetect.nn.model.Model` has it.

    ``metadata["error_calibration"]`` maps columns such as "e_int_flux" (of a cube: "err_f_sum") to
    (factor, floor), measured on validation fields: an error e becomes sqrt((factor e)^2 + (floor v)^2), where
    v is `skadetect.catalog.uncertainty.floor_scale` (of a cube:
    `skadetect.catalog.cube_uncertainty.cube_floor_scale`), for fluxes the value itself.
    ``metadata["reliability"]`` is a `skadetect.catalog.probability.Reliability` as plain data.
    """

    @property
    def name(self) -> str:
        """Of the model, for provenance."""

    @property
    def parameters(self) -> Sequence[ParameterSpec]:
        """What its regressed numbers mean."""

    @property
    def digest(self) -> str:
        """Start of the SHA-256 of its weights."""

    @property
    def threshold(self) -> float:
        """Its least score, or least probability if it has a reliability."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Anything else, see above."""


@dataclass(frozen=True)
class CatalogOptions:
    """How rows are named and flagged.

    Attributes
    ----------
    prefix : str
        Acronym of the IAU names.
    resolved_sigma : float
        By how many errors the solid angle of a resolved source exceeds the beam's.
    artefact_snr : float
        Signal to noise from which a source is taken to have visible sidelobes.
    artefact_radius : float
        How far they reach, in beam FWHM.
    artefact_ratio : float
        Their level relative to the peak.
    """

    prefix: str = "SKAD"
    resolved_sigma: float = 3.0
    artefact_snr: float = 500.0
    artefact_radius: float = 25.0
    artefact_ratio: float = 5e-3


def provenance(image: Image, model: ModelInfo, options: CatalogOptions) -> dict[str, Any]:
    """Entries of a catalogue's meta, by the keywords of `skadetect.catalog.schema.KEYWORDS`."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "astropy", "numba"))
    frame = str(image.wcs.wcs.radesys)
    meta = {
        "creator": f"skadetect {skadetect.__version__}",
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "image": image.name,
        "bunit": image.unit.to_string("fits"),
        "freq": image.frequency,
        "bmaj": float(image.beam.major.to_value(u.deg)),
        "bmin": float(image.beam.minor.to_value(u.deg)),
        "bpa": float(image.beam.pa.to_value(u.deg)),
        "radesys": frame if frame in ("ICRS", "FK5") else "ICRS",
        **_spectral(image),
        "model": model.name,
        "modelsha": model.digest,
        "thresh": float(model.threshold),
        "repairs": "; ".join(image.repairs) or "none",
        "options": json.dumps(asdict(options)),
        "versions": libraries,
    }
    return {name: value for name, value in meta.items() if value not in (None, "")}


def _spectral(image: Image) -> dict[str, Any]:
    """What only cubes have; channels and pixels are those of the file."""
    axis = image.spectral
    if axis is None:
        return {}
    middle = (image.shape[0] - 1) / 2
    step = float(axis.width(middle)) / image.factor_z
    return {
        "specsys": axis.frame,
        "restfreq": float(axis.rest_freq),
        "chanstep": step if axis.ascending else -step,
        "pixscale": image.pixel_scale / image.factor,
    }
