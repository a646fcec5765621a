"""The walk through a network: gradients, folding, dropout, fused additions."""

from __future__ import annotations

import numpy as np
import pytest

from skadetect.errors import ModelError
from skadetect.nn.backends import cpu, reference
from skadetect.nn.network import Network
from skadetect.nn.spec import NetworkSpec
from tests.nn.networks import conv, small_network, small_spec


def _input(batch: int = 2, side: int = 16, features: int = 5) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(batch, 1, side, side, features)).astype(np.float32)


def test_cpu_equals_reference_forward_and_backward() -> None:
    x = _input()
    grad = np.random.default_rng(4).normal(size=(2, 1, 4, 4, 11)).astype(np.float32)
    results = []
    for backend in (cpu, reference):
        network = small_network()
        y, tape = network.forward_train(x, backend, seed=5)
        results.append((y, network.backward(tape, grad, backend), network.state, network.forward(x, backend)))
    (y, grads, state, scored), (y_ref, grads_ref, state_ref, scored_ref) = results
    np.testing.assert_allclose(y, y_ref, atol=2e-5)
    np.testing.assert_allclose(scored, scored_ref, atol=2e-5)
    assert grads.keys() == grads_ref.keys() == small_network().parameters.keys()
    for name in grads:
        np.testing.assert_allclose(
            grads[name], grads_ref[name], atol=2e-4 * np.abs(grads_ref[name]).max(), rtol=1e-3
        )
    for name in state:
        np.testing.assert_allclose(state[name], state_ref[name], atol=1e-5)


def test_gradient_equals_pytorch() -> None:
    torch = pytest.importorskip("torch")
    spec = NetworkSpec.from_dict(
        {
            "input_features": 3,
            "layers": [conv("a", 4, 3, 2), conv("b", 4, 3), {"kind": "add", "name": "s", "source": "a"}],
        }
    )
    network = Network.initialise(spec, np.random.default_rng(0))
    x, grad = _input(2, 8, 3), np.random.default_rng(4).normal(size=(2, 1, 4, 4, 4)).astype(np.float32)
    y, tape = network.forward_train(x, cpu)
    grads = network.backward(tape, grad, cpu)
    leaf = {k: torch.tensor(v, requires_grad=True) for k, v in network.parameters.items()}

    def layer(value, name, stride):  # type: ignore[no-untyped-def]
        filters = leaf[f"{name}.filters"][0].permute(3, 2, 0, 1)
        value = torch.nn.functional.conv2d(value, filters, stride=stride, padding=1)
        value = torch.nn.functional.batch_norm(
            value, None, None, leaf[f"{name}.gamma"], leaf[f"{name}.beta"], training=True, eps=1e-5
        )
        return torch.nn.functional.leaky_relu(value, 0.1)

    first = layer(torch.tensor(x[:, 0]).permute(0, 3, 1, 2), "a", 2)
    last = first + layer(first, "b", 1)
    np.testing.assert_allclose(y[:, 0], last.detach().permute(0, 2, 3, 1).numpy(), atol=1e-5)
    last.backward(torch.tensor(grad[:, 0]).permute(0, 3, 1, 2))
    for name, value in leaf.items():
        np.testing.assert_allclose(grads[name], value.grad.numpy(), atol=2e-5, rtol=1e-4)


def test_folding_changes_nothing() -> None:
    network, x = small_network(), _input()
    folded = network.folded()
    assert not folded.state
    assert not any(name.endswith((".gamma", ".beta")) for name in folded.parameters)
    np.testing.assert_allclose(folded.forward(x, cpu), network.forward(x, cpu), atol=1e-5)


def test_running_statistics_approach_the_batch() -> None:
    network, x = small_network(trained=False), _input(4, 16)
    for _ in range(300):
        y, _ = network.forward_train(x, cpu, seed=0)
    del y
    spec = small_spec()
    bare = NetworkSpec(spec.input_features, spec.layers[:5])
    without = Network(
        bare, {k: v for k, v in network.parameters.items() if not k.startswith("out")}, network.state
    )
    trained, _ = without.forward_train(x, cpu)
    np.testing.assert_allclose(without.forward(x, cpu), trained, atol=0.05)


def test_dropout_only_where_asked_for() -> None:
    network, x = small_network(), _input()
    still = network.forward(x, cpu)
    np.testing.assert_array_equal(still, network.forward(x, cpu))
    samples = [network.forward(x, cpu, dropout_seed=seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(samples[0], samples[1])
    assert np.abs(samples[0] - samples[2]).max() > 0
    many = np.stack([network.forward(x, cpu, dropout_seed=seed) for seed in range(300)])
    error = many.std(axis=0) / np.sqrt(len(many))
    # a linear layer follows the dropout, so the mean over masks is the value without
    assert np.abs((many.mean(axis=0) - still) / error).max() < 5


def test_an_addition_is_fused_only_where_its_branch_is_not_needed_again() -> None:
    layers = [
        conv("a", 4, 3),
        conv("b", 4, 3),
        {"kind": "add", "name": "s", "source": "a"},
        {"kind": "add", "name": "t", "source": "b"},
    ]
    network = Network.initialise(
        NetworkSpec.from_dict({"input_features": 5, "layers": layers}), np.random.default_rng(0)
    )
    x = _input(1, 6)
    parts = Network.initialise(
        NetworkSpec.from_dict({"input_features": 5, "layers": layers[:2]}), np.random.default_rng(0)
    )
    first = Network(
        NetworkSpec(5, parts.spec.layers[:1]), _only(parts.parameters, "a"), _only(parts.state, "a")
    )
    a, b = first.forward(x, cpu), parts.forward(x, cpu)
    np.testing.assert_allclose(network.forward(x, cpu), a + 2 * b, atol=1e-5)


def test_wrong_input_and_missing_arrays_are_named() -> None:
    network = small_network()
    with pytest.raises(ModelError, match=r"shape \(1, 1, 8, 8, 2\)"):
        network.forward(np.zeros((1, 1, 8, 8, 2), np.float32), cpu)
    with pytest.raises(ModelError, match=r"'a.filters' is absent"):
        network.with_parameters(
            {k: v for k, v in network.parameters.items() if k != "a.filters"}, network.state
        )


def _only(table: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    return {key: value for key, value in table.items() if key.startswith(name)}


def test_folded_filters_are_copies_that_cannot_change():
    network = small_network()
    folded = network.folded()
    filters = folded.parameters["out.filters"]
    assert not filters.flags.writeable
    network.parameters["out.filters"] += 1
    assert not np.array_equal(filters, network.parameters["out.filters"])
