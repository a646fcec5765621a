from __future__ import annotations

import numpy as np
import pytest

from skadetect.errors import ConfigError
from skadetect.train.optimizers import (
    OptimizerOptions,
    OptimizerState,
    WeightAverage,
    clip_gradients,
    global_norm,
    optimizer_step,
)

CASES = {
    "sgd": OptimizerOptions(kind="sgd", momentum=0.8, weight_decay=0.0),
    "nesterov": OptimizerOptions(kind="sgd", momentum=0.9, nesterov=True, weight_decay=0.0),
    "adamw": OptimizerOptions(kind="adamw", weight_decay=0.05, epsilon=1e-8),
}


def torch_optimizer(torch, options, tensors, rate):
    decayed = [t for name, t in tensors.items() if name.endswith(".filters")]
    others = [t for name, t in tensors.items() if not name.endswith(".filters")]
    if options.kind == "adamw":
        groups = [
            {"params": decayed, "weight_decay": options.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=rate, betas=options.betas, eps=options.epsilon)
    return torch.optim.SGD(
        list(tensors.values()), lr=rate, momentum=options.momentum, nesterov=options.nesterov
    )


@pytest.mark.parametrize("case", CASES)
def test_equals_pytorch(case):
    torch = pytest.importorskip("torch")
    options, rng = CASES[case], np.random.default_rng(3)
    parameters = {
        "a.filters": rng.standard_normal((3, 4)).astype("f4"),
        "a.bias": rng.standard_normal(4).astype("f4"),
    }
    tensors = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in parameters.items()}
    oracle, state = torch_optimizer(torch, options, tensors, 0.02), OptimizerState()
    for _ in range(20):
        gradients = {
            name: rng.standard_normal(value.shape).astype("f4") for name, value in parameters.items()
        }
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradients[name])
        oracle.step()
        optimizer_step(parameters, gradients, state, rate=0.02, options=options)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(parameters[name], tensor.detach().numpy(), rtol=1e-6, atol=1e-6)


def test_decay_takes_filters_only_and_scales_with_the_rate():
    parameters = {"a.filters": np.ones(3, "f4"), "a.bias": np.ones(3, "f4"), "n.gamma": np.ones(3, "f4")}
    zeros = {name: np.zeros(3, "f4") for name in parameters}
    optimizer_step(
        parameters, zeros, OptimizerState(), rate=0.5, options=OptimizerOptions(weight_decay=0.1, kind="sgd")
    )
    np.testing.assert_allclose(parameters["a.filters"], 0.95)
    np.testing.assert_array_equal(parameters["a.bias"], 1.0)
    np.testing.assert_array_equal(parameters["n.gamma"], 1.0)


def test_clipping_keeps_direction_and_reports_the_norm_before():
    gradients = {"a": np.array([3.0, 0.0], "f4"), "b": np.array([[4.0]], "f4")}
    assert clip_gradients(gradients, 10.0) == pytest.approx(5.0)
    np.testing.assert_array_equal(gradients["a"], [3.0, 0.0])
    assert clip_gradients(gradients, 1.0) == pytest.approx(5.0)
    assert global_norm(gradients) == pytest.approx(1.0, rel=1e-5)
    assert gradients["a"][0] / gradients["b"][0, 0] == pytest.approx(0.75)
    assert clip_gradients(gradients, 0.0) == pytest.approx(1.0, rel=1e-5)


def test_average_is_unbiased_and_forgets():
    average = WeightAverage(0.9)
    assert average.value() == {}
    average.update({"a": np.array([2.0], "f4")})
    np.testing.assert_allclose(average.value()["a"], 2.0, rtol=1e-6)
    average.update({"a": np.array([4.0], "f4")})
    np.testing.assert_allclose(average.value()["a"], (0.9 * 2 + 4) / 1.9, rtol=1e-6)
    for _ in range(300):
        average.update({"a": np.array([7.0], "f4")})
    np.testing.assert_allclose(average.value()["a"], 7.0, rtol=1e-6)


@pytest.mark.parametrize("wrong", [{"kind": "adam"}, {"learning_rate": 0.0}])
def test_wrong_options(wrong):
    with pytest.raises(ConfigError):
        OptimizerOptions(**wrong)
