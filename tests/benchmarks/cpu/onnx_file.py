"""Write a network as an ONNX model, in the few messages of its protocol buffers that convolutions need.

Field numbers are those of onnx.proto3 (IR version 8). The arithmetic is channels-first,
(batch, feature, z, y, x).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from skadetect.nn.network import Network
from skadetect.nn.spec import LayerSpec

FLOAT, INT, FLOATS, INTS = 1, 2, 6, 7
OPSET, IR_VERSION = 17, 8


def onnx_model(network: Network, shape: Sequence[int]) -> bytes:
    """Serialise a network without batch norms for inputs of shape (batch, features, z, y, x)."""
    axes = 2 if flat(network, shape) else 3
    nodes, weights, last = [], [], "input"
    for layer in network.spec.layers:
        made, arrays = _nodes(layer, network, last, axes)
        nodes += made
        weights += arrays
        last = layer.name if made else last
    dims = (*shape[:2], *shape[-axes:])
    graph = b"".join(_message(1, node) for node in nodes) + _text(2, "network")
    graph += b"".join(_message(5, array) for array in weights)
    graph += _message(11, _value("input", dims)) + _message(12, _value(last, ()))
    return _number(1, IR_VERSION) + _message(7, graph) + _message(8, _text(1, "") + _number(2, OPSET))


def flat(network: Network, shape: Sequence[int]) -> bool:
    """Whether a network has no extent along z, so that it can be written with two axes."""
    convolutions = [layer for layer in network.spec.layers if layer.kind == "conv"]
    return shape[2] == 1 and all(layer.extent[0] == 1 for layer in convolutions)


def _nodes(layer: LayerSpec, network: Network, x: str, axes: int) -> tuple[list[bytes], list[bytes]]:
    if layer.kind == "add":
        return [_node("Add", [x, layer.source], layer.name, [])], []
    if layer.kind != "conv":
        return [], []
    filters, bias = (network.parameters[f"{layer.name}.{key}"] for key in ("filters", "bias"))
    filters = filters.transpose(4, 3, 0, 1, 2)
    filters = filters[:, :, 0] if axes == 2 else filters
    pads = layer.pads[-axes:]
    attributes = [
        _attribute("kernel_shape", layer.extent[-axes:]),
        _attribute("strides", layer.stride[-axes:]),
        _attribute("pads", (*pads, *pads)),
        _attribute("group", layer.groups),
    ]
    names = [f"{layer.name}.filters", f"{layer.name}.bias"]
    arrays = [_tensor(names[0], filters), _tensor(names[1], bias)]
    if layer.slope == 1.0:
        return [_node("Conv", [x, *names], layer.name, attributes)], arrays
    linear = f"{layer.name}.linear"
    leaky = _node("LeakyRelu", [linear], layer.name, [_attribute("alpha", float(layer.slope))])
    return [_node("Conv", [x, *names], linear, attributes), leaky], arrays


def _node(kind: str, inputs: Sequence[str], output: str, attributes: Sequence[bytes]) -> bytes:
    body = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(3, output) + _text(4, kind)
    return body + b"".join(_message(5, attribute) for attribute in attributes)


def _attribute(name: str, value: Any) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _key(2, 5) + struct.pack("<f", value) + _number(20, FLOAT)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, INT)
    return _text(1, name) + b"".join(_number(8, int(v)) for v in value) + _number(20, INTS)


def _tensor(name: str, array: Any) -> bytes:
    dims = b"".join(_number(1, n) for n in array.shape)
    return dims + _number(2, 1) + _text(8, name) + _message(9, np.ascontiguousarray(array, "<f4").tobytes())


def _value(name: str, dims: Sequence[int]) -> bytes:
    shape = b"".join(_message(1, _number(1, n)) for n in dims)
    tensor = _number(1, 1) + (_message(2, shape) if dims else b"")
    return _text(1, name) + _message(2, _message(1, tensor))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _key(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value)


def _message(field: int, body: bytes) -> bytes:
    return _key(field, 2) + _varint(len(body)) + body


def _text(field: int, value: str) -> bytes:
    return _message(field, value.encode())
