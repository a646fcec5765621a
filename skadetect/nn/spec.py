"""What a network is made of, as data: one frozen record a layer, readable from TOML and from a model file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from skadetect.errors import ConfigError

Axes = tuple[int, int, int]

KINDS = ("conv", "add", "pool", "global_pool", "dense", "dropout", "leaky", "sigmoid", "softmax")
POOLS = ("max", "average")


@dataclass(frozen=True)
class LayerSpec:
    """One layer of a network.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    name : str
        Unique in the network; parameters are called ``name.filters``, ``name.bias`` and so on.
    features : int
        Output features of a convolution or dense layer.
    extent, stride, padding : tuple of int
        Of a convolution or pool, in (z, y, x) order; padding defaults to half the extent ("same").
    groups : int
        Feature groups of a convolution; each group of outputs sees its own group of inputs.
    norm : bool
        Batch norm between the convolution and its activation; folded into the filters at inference.
    slope : float
        Slope of the leaky ReLU below zero after a convolution, dense or leaky layer; 1 means linear.
    source : str
        Layer whose output an ``add`` layer adds to its input.
    rate : float
        Fraction of values a dropout layer sets to zero.
    pool : str
        ``"max"`` or ``"average"``.
    initial_bias : tuple of float
        Start of the bias, repeated to fill it; zeros if empty.
    """

    kind: str
    name: str
    features: int = 0
    extent: Axes = (1, 1, 1)
    stride: Axes = (1, 1, 1)
    padding: Axes = (-1, -1, -1)
    groups: int = 1
    norm: bool = False
    slope: float = 1.0
    source: str = ""
    rate: float = 0.0
    pool: str = "max"
    initial_bias: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                f"layer {self.name!r}: unknown kind {self.kind!r}, expected one of {', '.join(KINDS)}"
            )
        if self.pool not in POOLS:
            raise ConfigError(
                f"layer {self.name!r}: unknown pool {self.pool!r}, expected one of {', '.join(POOLS)}"
            )
        if min(self.extent) < 1 or min(self.stride) < 1:
            raise ConfigError(
                f"layer {self.name!r}: extent {self.extent} and stride {self.stride} must be positive"
            )

    @property
    def pads(self) -> Axes:
        """Zeros put on each side of the (z, y, x) axes."""
        z, y, x = (p if p >= 0 else e // 2 for p, e in zip(self.padding, self.extent, strict=True))
        return z, y, x

    @property
    def spatial(self) -> bool:
        """Whether the layer looks at neighbouring pixels."""
        return self.kind in ("conv", "pool")


@dataclass(frozen=True)
class NetworkSpec:
    """A whole network: the features of its input and its layers in the order they run.

    Raises
    ------
    ConfigError
        If a name appears twice, an ``add`` names no earlier layer, or features do not match.
    """

    input_features: int
    layers: tuple[LayerSpec, ...]

    def __post_init__(self) -> None:
        seen: dict[str, int] = {}
        for layer, inputs, outputs in self.walk():
            if layer.name in seen:
                raise ConfigError(f"layer name {layer.name!r} appears twice")
            if layer.kind == "add" and seen.get(layer.source) != inputs:
                raise ConfigError(
                    f"layer {layer.name!r} adds {layer.source!r}: no earlier layer of {inputs} features"
                )
            if layer.kind == "conv" and (inputs % layer.groups or outputs % layer.groups):
                raise ConfigError(
                    f"layer {layer.name!r}: {layer.groups} groups divide not {inputs} and {outputs} features"
                )
            seen[layer.name] = outputs

    def walk(self) -> Iterator[tuple[LayerSpec, int, int]]:
        """Yield each layer with its input and output features."""
        features = self.input_features
        for layer in self.layers:
            inputs = features
            features = layer.features if layer.kind in ("conv", "dense") else features
            yield layer, inputs, features

    @property
    def output_features(self) -> int:
        """Features of the last layer."""
        return [outputs for _, _, outputs in self.walk()][-1]

    @property
    def stride(self) -> Axes:
        """Input pixels an output cell spans along (z, y, x)."""
        strides = [1, 1, 1]
        for layer in self.layers:
            if layer.spatial:
                strides = [a * b for a, b in zip(strides, layer.stride, strict=True)]
        return strides[0], strides[1], strides[2]

    @property
    def halo(self) -> Axes:
        """Radius of the receptive field along (z, y, x), in input pixels, rounded up to the stride."""
        reach, jump = [0, 0, 0], [1, 1, 1]
        for layer in (layer for layer in self.layers if layer.spatial):
            for axis in range(3):
                far = max(layer.pads[axis], layer.extent[axis] - 1 - layer.pads[axis])
                reach[axis] += far * jump[axis]
                jump[axis] *= layer.stride[axis]
        z, y, x = (-(-r // s) * s for r, s in zip(reach, self.stride, strict=True))
        return z, y, x

    def flops_per_pixel(self) -> float:
        """Arithmetic of one forward pass in FLOP an input pixel (a multiply-add counts two)."""
        total, cells = 0.0, 1.0
        for layer, inputs, outputs in self.walk():
            if layer.spatial:
                for step in layer.stride:
                    cells /= step
            if layer.kind == "conv":
                taps = layer.extent[0] * layer.extent[1] * layer.extent[2]
                total += 2.0 * cells * taps * inputs * outputs / layer.groups
        return total

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries and lists, without the values that are defaults."""
        default = {f.name: f.default for f in fields(LayerSpec)}
        layers = [{k: v for k, v in asdict(layer).items() if v != default[k]} for layer in self.layers]
        return {"input_features": self.input_features, "layers": layers}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> NetworkSpec:
        """Read what `to_dict` writes, or a ``[network]`` table of TOML; layers without a name are numbered.

        Raises
        ------
        ConfigError
            If a key is unknown or a value does not fit.
        """
        layers = tuple(_layer(row, index) for index, row in enumerate(table["layers"]))
        return cls(int(table["input_features"]), layers)

    def without_norm(self) -> NetworkSpec:
        """The same network with its batch norms folded away."""
        return NetworkSpec(self.input_features, tuple(replace(layer, norm=False) for layer in self.layers))


def _layer(row: Mapping[str, Any], index: int) -> LayerSpec:
    known = {f.name for f in fields(LayerSpec)}
    unknown = set(row) - known
    if unknown:
        raise ConfigError(
            f"layer {index}: unknown key {sorted(unknown)[0]!r}, expected one of {', '.join(sorted(known))}"
        )
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
    named: dict[str, Any] = {"name": f"layer{index}", **values}
    return LayerSpec(**named)
