"""A larger network that computes the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skadetect.errors import ModelError
from skadetect.nn.backends import cpu, reference
from skadetect.nn.growth import grow
from skadetect.nn.network import Network
from skadetect.nn.spec import NetworkSpec
from tests.nn.networks import small_network


def _larger(small: NetworkSpec, *, factor: int = 2, block: bool = True) -> NetworkSpec:
    """Wider, and with another block before the output."""
    *layers, last = (replace(each, norm=False) for each in small.layers)
    wide = [
        replace(each, features=factor * each.features) if each.kind == "conv" else each for each in layers
    ]
    branch = next(each for each in wide if each.name == "a")
    more = [replace(branch, name="c"), replace(branch, name="d")]
    add = replace(next(each for each in wide if each.kind == "add"), name="again", source=wide[-1].name)
    return NetworkSpec(small.input_features, (*wide, *([*more, add] if block else []), last))


@pytest.fixture
def trained() -> Network:
    return small_network().folded()


@pytest.mark.parametrize("block", [False, True])
def test_it_computes_the_same(trained: Network, block: bool) -> None:
    spec = _larger(trained.spec, block=block)
    x = np.random.default_rng(1).normal(size=(2, 1, 24, 20, 5)).astype(np.float32)
    grown = grow(trained, spec, np.random.default_rng(0))
    assert grown.spec == spec
    expected = trained.forward(x, reference)
    np.testing.assert_allclose(grown.forward(x, reference), expected, rtol=1e-5, atol=1e-5)


def test_all_that_is_new_learns(trained: Network) -> None:
    """Within two steps: a new filter moves at once, or once the layers after it listen to its feature."""
    network = grow(trained, _larger(trained.spec), np.random.default_rng(0))
    before = {name: array.copy() for name, array in network.parameters.items()}
    x = np.random.default_rng(1).normal(size=(2, 1, 24, 20, 5)).astype(np.float32)
    for _ in range(2):
        outputs, tape = network.forward_train(x, cpu)
        found = network.backward(tape, np.ones_like(outputs), cpu)
        for name, gradient in found.items():
            network.parameters[name] -= np.float32(1e-3) * gradient
    for name, array in network.parameters.items():
        if name.endswith("filters"):
            assert ((array != before[name]).any(axis=(0, 1, 2))).mean() > 0.9, name


def test_growing_into_itself_changes_nothing(trained: Network) -> None:
    same = grow(trained, trained.spec, np.random.default_rng(0))
    for name, array in trained.parameters.items():
        np.testing.assert_array_equal(same.parameters[name], array)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[1:], "no layer 'first'"),
        (lambda layers: [replace(layers[0], extent=(1, 3, 3)), *layers[1:]], "'first' cannot grow"),
        (lambda layers: [replace(layers[0], features=3), *layers[1:]], "'first' cannot grow"),
        (lambda layers: [replace(layers[0], norm=True), *layers[1:]], "'first' cannot grow"),
        (lambda layers: [*layers[:1], replace(layers[2], name="new"), *layers[1:]], "'new' is new"),
        (lambda layers: [*layers, replace(layers[-1], name="more")], "'more' is new"),
        (lambda layers: [*layers[:-1], replace(layers[-1], features=12)], "cannot grow into"),
    ],
)
def test_what_cannot_grow_is_told(trained: Network, change, message: str) -> None:
    layers = change(list(_larger(trained.spec, factor=1, block=False).layers))
    with pytest.raises(ModelError, match=message):
        grow(trained, NetworkSpec(5, tuple(layers)), np.random.default_rng(0))
