"""The loss on a device, in the simulator, equals that of the host: association, terms and gradient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.tensor import Tensor
from skadetect.nn.loss import yolo_loss
from skadetect.nn.loss_options import AssociationOptions, LossOptions
from skadetect.nn.targets import Targets
from tests.nn.test_loss import CASES, CUBE, FLAT, MIXED, NINE, scene

pytestmark = pytest.mark.usefixtures("simulator")

RANDOM = AssociationOptions(
    rule="overlap", good_iou=0.2, overlap="diou_squared", random_box=0.5, prior_choice=0.3
)
MORE = {
    "near": (NINE, LossOptions(near_weight=0.25, background=(0.5,) * 8 + (0.2,))),
    "random": (NINE, replace(LossOptions.cianna_sdc1(), association=RANDOM)),
    "difficult count": (CUBE, replace(MIXED, association=AssociationOptions(ignore_difficult=False))),
}


def both(outputs, targets, head, options, *, precision="fp32", **more):
    """Loss and gradient of the host and of the device."""
    backend = CudaBackend(0, precision)
    on_device = backend.context.upload(outputs, "fp32")
    here = yolo_loss(outputs, targets, head, options, **more)
    there, gradient = yolo_loss(on_device, targets, head, options, **more)
    assert isinstance(gradient, Tensor) and gradient.kind == backend.context.kind
    return here, (there, backend.to_host(gradient))


def assert_equal(here, there, *, rtol=1e-5):
    for name, value in here[0].to_dict().items():
        assert getattr(there[0], name) == pytest.approx(value, rel=1e-6), name
    np.testing.assert_allclose(there[1], here[1], rtol=rtol, atol=rtol * np.abs(here[1]).max())


@pytest.mark.parametrize(("head", "options"), [*CASES.values(), *MORE.values()], ids=[*CASES, *MORE])
def test_equals_the_host(head, options):
    outputs, targets = scene(head, seed=3)
    here, there = both(outputs, targets, head, options, seed=5)
    assert_equal(here, there)
    assert here[0].n_matched > 10


def test_random_starts_are_the_same():
    outputs, targets = scene(NINE, seed=1)
    here, there = both(outputs, targets, NINE, LossOptions(), startup=True, seed=8)
    assert_equal(here, there)
    assert (
        np.abs(here[1] - yolo_loss(outputs, targets, NINE, LossOptions(), startup=True, seed=9)[1]).max() > 0
    )


def test_a_scale_is_on_the_gradient_only_which_is_stored_as_layers_are():
    outputs, targets = scene(FLAT)
    plain, _ = both(outputs, targets, FLAT, LossOptions())
    here, there = both(outputs, targets, FLAT, LossOptions(), precision="fp16", scale=64.0)
    assert here[0] == plain[0]
    np.testing.assert_array_equal(here[1], 64 * plain[1])
    assert_equal(here, there, rtol=2.0**-10)


@pytest.mark.parametrize("normalise", ["matched", "patches"])
def test_without_targets_the_background_is_left(normalise):
    outputs, _ = scene(FLAT)
    empty = Targets.concatenate([Targets.of_patch(np.empty((0, 2, 2)), np.empty((0, 4)))] * 2)
    options = LossOptions(normalise=normalise, near_weight=0.5, association=AssociationOptions(good_iou=0.5))
    here, there = both(outputs, empty, FLAT, options)
    assert_equal(here, there)
    assert there[0].n_matched == 0 and there[0].total > 0


def test_two_runs_are_the_same_bit_for_bit():
    outputs, targets = scene(CUBE, seed=2)
    one, two = (both(outputs, targets, CUBE, MIXED)[1] for _ in range(2))
    assert one[0] == two[0]
    np.testing.assert_array_equal(one[1], two[1])
