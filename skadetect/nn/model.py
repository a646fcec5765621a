"""A model: a network with all that its numbers mean, in one safetensors file.

The file's header holds the spec, the head, the normalisation, the parameters, the threshold and the
provenance as JSON, so that a model needs nothing but itself. Weights are never pickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from skadetect.atomic import atomic_path
from skadetect.errors import ModelError, OutputError
from skadetect.nn.backends.base import Axes
from skadetect.nn.head import HeadSpec
from skadetect.nn.network import Network
from skadetect.nn.spec import NetworkSpec
from skadetect.normalize import Normalization
from skadetect.parameters import ParameterSpec

FORMAT = "skadetect-1"
STATE = (".mean", ".variance")


@dataclass(frozen=True)
class Model:
    """A network and the meaning of its input and outputs.

    Attributes
    ----------
    network : Network
        Layers and weights.
    head : HeadSpec
        Boxes: stride, priors, order of the outputs.
    normalization : Normalization
        From signal-to-noise to input features.
    parameters : tuple of ParameterSpec
        What each regressed value is.
    threshold : float
        Score a detection needs, tuned on validation fields.
    nms_overlap : float
        Plain DIoU above which the weaker of two boxes is dropped.
    name : str
        For catalogues and messages.
    metadata : dict
        Provenance of the training, metrics and limits: anything JSON can hold.
    """

    network: Network
    head: HeadSpec
    normalization: Normalization
    parameters: tuple[ParameterSpec, ...]
    threshold: float = 0.5
    nms_overlap: float = -0.2
    name: str = "model"
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        outputs, wanted = self.network.spec.output_features, self.head.n_outputs
        if outputs != wanted:
            raise ModelError(
                f"model {self.name!r}: the network has {outputs} outputs, its head reads {wanted}"
            )
        if self.network.spec.input_features != self.normalization.features:
            raise ModelError(
                f"model {self.name!r}: the network reads {self.network.spec.input_features} features, "
                f"its normalisation makes {self.normalization.features}"
            )

    @property
    def stride(self) -> Axes:
        """Pixels an output cell spans along (z, y, x)."""
        return self.network.stride

    @property
    def halo(self) -> Axes:
        """Pixels of context that a tile needs on each side along (z, y, x).

        A centre may lie beyond its cell where the head lets it, so a cell just outside a tile can still name
        a source inside: that cell must be right too.
        """
        reach = [0] * (3 - self.head.ndim) + list(self.stride[3 - self.head.ndim :])
        beyond = reach if self.head.position_scale > 1 else [0, 0, 0]
        z, y, x = (halo + more for halo, more in zip(self.network.halo, beyond, strict=True))
        return z, y, x

    def folded(self) -> Model:
        """The same model with its batch norms multiplied into the convolutions."""
        return replace(self, network=self.network.folded())

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the weights: which weights made a catalogue."""
        sha = hashlib.sha256()
        for name in sorted(self.network.parameters):
            sha.update(name.encode())
            sha.update(np.ascontiguousarray(self.network.parameters[name]).tobytes())
        return sha.hexdigest()[:16]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model, first under a temporary name.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        path = Path(path)
        header = {
            "format": FORMAT,
            "name": self.name,
            "network": json.dumps(self.network.spec.to_dict()),
            "head": json.dumps(self.head.to_dict()),
            "normalization": json.dumps(self.normalization.to_dict()),
            "parameters": json.dumps([spec.to_dict() for spec in self.parameters]),
            "threshold": repr(float(self.threshold)),
            "nms_overlap": repr(float(self.nms_overlap)),
            "metadata": json.dumps(self.metadata),
        }
        arrays = {**self.network.parameters, **self.network.state}
        data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata=header)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write model {path}: {error.strerror or error}") from error
        with atomic_path(path, overwrite=True) as temporary:
            temporary.write_bytes(data)
        return path

    def looking(self, how: int | str) -> Model:
        """The model as it is calibrated for a way to look at an image.

        Its metadata's entry "looks" holds, by the number of looks (`skadetect.orientation`) or by a name
        (`skadetect.second_look`), a threshold and entries that take the place of its own; a model without
        such an entry is given back as it is.
        """
        own = dict(self.metadata.get("looks", {}).get(str(how), {}))
        threshold = own.pop("threshold", self.threshold)
        return replace(self, threshold=threshold, metadata=self.metadata | own) if own else self

    @classmethod
    def load(cls, name: str | os.PathLike[str]) -> Model:
        """Read a shipped model by name, or a file by path.

        Parameters
        ----------
        name : str or path
            ``"continuum"``, or a ``.safetensors`` file.

        Raises
        ------
        ModelError
            If there is no such model, or the file is damaged or of another kind.
        """
        path = find_model(name)
        try:
            with safe_open(path, framework="numpy") as file:
                header = file.metadata() or {}
                arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise ModelError(f"cannot read model {path}: {error}") from error
        if header.get("format") != FORMAT:
            raise ModelError(
                f"{path} is no skadetect model: format {header.get('format')!r}, expected {FORMAT!r}"
            )
        try:
            return cls._from_header(header, arrays)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"model {path} has a damaged header: {error!r}") from error

    @classmethod
    def _from_header(cls, header: dict[str, str], arrays: dict[str, Any]) -> Model:
        table = {
            key: json.loads(header[key])
            for key in ("network", "head", "normalization", "parameters", "metadata")
        }
        state = {key: value for key, value in arrays.items() if key.endswith(STATE)}
        parameters = {key: value for key, value in arrays.items() if not key.endswith(STATE)}
        return cls(
            network=Network(NetworkSpec.from_dict(table["network"]), parameters, state),
            head=HeadSpec.from_dict({key: _tuples(value) for key, value in table["head"].items()}),
            normalization=Normalization.from_dict(table["normalization"]),
            parameters=tuple(ParameterSpec.from_dict(row) for row in table["parameters"]),
            threshold=float(header["threshold"]),
            nms_overlap=float(header["nms_overlap"]),
            name=header["name"],
            metadata=table["metadata"],
        )


def find_model(name: str | os.PathLike[str]) -> Path:
    """Path of a shipped model or of a model file.

    Raises
    ------
    ModelError
        If neither exists; the message lists the shipped models.
    """
    path = Path(name)
    if path.suffix == ".safetensors" and path.is_file():
        return path
    shipped = shipped_models()
    if str(name) in shipped:
        return shipped[str(name)]
    raise ModelError(
        f"no model {str(name)!r}: expected a .safetensors file or one of {', '.join(shipped) or 'none'}"
    )


def shipped_models() -> dict[str, Path]:
    """The models that come with skadetect: name to path."""
    folder = Path(str(resources.files("skadetect"))) / "models"
    return {path.stem: path for path in sorted(folder.glob("*.safetensors"))}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
