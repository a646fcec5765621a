"""A training's patches, cut and changed on the device, are those of the CPU's sampler."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from skadetect.nn.backends import cpu, reference
from skadetect.nn.backends.cuda import tiles
from skadetect.nn.backends.cuda.backend import CudaBackend
from skadetect.nn.backends.cuda.tiles import Tile
from skadetect.normalize import Normalization
from skadetect.train.augment import AugmentOptions
from skadetect.train.bank import MixtureOptions, load_bank
from skadetect.train.contaminants import ContaminantOptions
from skadetect.train.inputs import hold_fields, network_input
from skadetect.train.loop import train
from skadetect.train.options import read_options
from tests.train.small_field import write_config, write_field
from tests.train.test_inputs import assert_same, cube_field, samplers
from tests.train.test_sampling import field
from tests.train.toy_bank import write_toy_bank

pytestmark = pytest.mark.usefixtures("simulator")


@pytest.mark.parametrize("held", [True, False], ids=["held", "sent"])
@pytest.mark.parametrize("fields", [[field(1), field(2)], [cube_field()]], ids=["images", "cube"])
def test_without_noise_they_are_the_same(fields, held):
    here, there = samplers(fields, patch=8)
    backend = CudaBackend(0, "fp32")
    if held:
        assert hold_fields(fields, np.ones(len(fields)), backend) == len(fields)
    assert_same(here.batch(1), there.batch(1), backend)


def test_noise_follows_from_the_seed_as_in_the_reference():
    _, there = samplers([cube_field()], patch=8, batch=3, augment=AugmentOptions(noise_probability=0.5))
    patches, backend = there.batch(1), CudaBackend(0, "fp32")
    assert 0 < sum(patch.noise > 0 for patch in patches) < 3
    pieces = [patch.piece for patch in patches]
    made = backend.to_host(backend.batch(pieces))
    np.testing.assert_allclose(made, reference.batch(pieces), rtol=2e-6, atol=4e-6)
    np.testing.assert_array_equal(made, backend.to_host(backend.batch(pieces)))


def test_features_in_16_bits_are_those_of_the_cpu_rounded():
    here, there = samplers([field(1)], patch=8, batch=2)
    norm, backend = Normalization(), CudaBackend(0, "fp16")
    x, _ = network_input(there.batch(0), norm, backend, stride=(1, 4, 4))
    assert x.kind == "fp16" and x.shape == (2, 1, 8, 8, norm.features)
    expected, _ = network_input(here.batch(0), norm, cpu, stride=(1, 4, 4))
    np.testing.assert_allclose(backend.to_host(x), expected, rtol=2.0**-11 + 5e-6, atol=1e-7)


@pytest.mark.parametrize("held", [True, False], ids=["held", "sent"])
def test_galaxies_of_a_bank_are_pasted_as_in_the_reference(tmp_path, held):
    bank, backend = load_bank(write_toy_bank(tmp_path / "bank.npz", n=3)), CudaBackend(0, "fp32")
    dirty = MixtureOptions(density=4000, hanning=0.5, contaminants=ContaminantOptions(1, 2.0, 1.0, 1.0))
    _, there = samplers([bank], patch=8, channels=6, batch=2, augment=AugmentOptions(), mixture=dirty)
    if held:
        assert hold_fields([bank], np.ones(1), backend) == 1
    pieces = [patch.piece for patch in there.batch(4)]
    assert all(len(piece.composition.stamps) > 1 for piece in pieces)
    expected = reference.batch(pieces)
    made = backend.to_host(backend.batch(pieces))
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=3e-6 * np.abs(expected).max())


@pytest.mark.slow
def test_a_training_on_a_device_cuts_its_own_patches(monkeypatch, tmp_path, caplog):
    """From files to the first loss, on the CPU and there."""
    monkeypatch.setattr(tiles, "SMALL", (Tile(32, 16, 16, 16, 3),))
    write_field(tmp_path / "field", n=400)
    options = read_options(write_config(tmp_path / "a.toml", steps=1))[0]
    groups = tuple(replace(one, folders=(str(tmp_path / "field"),)) for one in options.fields)
    sampling = replace(options.sampling, patch=16, augment=AugmentOptions(noise=0.0))
    layers = [
        {"kind": "conv", "name": "a", "features": 4, "extent": [1, 4, 4], "stride": [1, 4, 4], "norm": True},
        {"kind": "conv", "name": "b", "features": 11},
    ]
    network = {"input_features": 5, "layers": layers}
    options = replace(options, fields=groups, sampling=sampling, network=network, precision="fp32")
    losses = []
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        with caplog.at_level(logging.INFO, "skadetect"):
            train(replace(options, backend=device, out=str(out)), progress=False)
        losses.append(np.genfromtxt(out / "losses.csv", delimiter=",", names=True))
    assert "1 of 1 fields and banks are kept on the device" in caplog.messages
    here, there = losses
    assert here["total"] > 0
    for name in set(here.dtype.names) - {"seconds"}:
        np.testing.assert_allclose(there[name], here[name], rtol=1e-4, atol=1e-6, err_msg=name)
