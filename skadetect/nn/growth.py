"""A trained network as the start of a larger one that computes the same (Net2Net; Chen et al. 2016)."""

from __future__ import annotations

import numpy as np

from skadetect.errors import ModelError
from skadetect.nn.backends.base import Array
from skadetect.nn.network import Network
from skadetect.nn.spec import NetworkSpec


def grow(network: Network, spec: NetworkSpec, rng: np.random.Generator) -> Network:
    """A network of more features, or more residual blocks, with the outputs of a given one.

    New features are drawn as those of a new network, but no layer listens to them yet; a new residual block
    adds nothing yet, for its last filters are zero. Both have gradients, so a training puts them to use.

    Parameters
    ----------
    network : Network
        Without batch norms; layers are known by their names.
    spec : NetworkSpec
        The larger one.
    rng : numpy.random.Generator
        Draws new filters.

    Returns
    -------
    Network

    Raises
    ------
    ModelError
        If the larger network has not all layers of the given one with the same extents and strides and at
        least as many features, has others outside of residual blocks, or has batch norms.
    """
    _check(network.spec, spec)
    grown = Network.initialise(spec, rng)
    parameters = {name: np.array(array) for name, array in grown.parameters.items()}
    silent = _branch_ends(spec) - {layer.name for layer in network.spec.layers}
    for name, array in parameters.items():
        if name in network.parameters:
            _insert(array, network.parameters[name])
        elif name.rpartition(".")[0] in silent:
            array[...] = 0.0
    return grown.with_parameters(parameters, {})


def _insert(array: Array, trained: Array) -> None:
    """Put trained filters or biases into the corner of larger ones; what reads new features is zero."""
    outputs = trained.shape[-1]
    if array.ndim == 1:
        array[:outputs] = trained
        return
    inputs = trained.shape[-2]
    array[..., inputs:, :] = 0.0
    array[..., :inputs, :outputs] = trained


def _branch_ends(spec: NetworkSpec) -> set[str]:
    """Names of the layers whose output an ``add`` takes."""
    pairs = zip(spec.layers, spec.layers[1:], strict=False)
    return {before.name for before, layer in pairs if layer.kind == "add"}


def _check(small: NetworkSpec, large: NetworkSpec) -> None:
    known = {layer.name: (layer, outputs) for layer, _, outputs in small.walk()}
    given = {layer.name: (layer, outputs) for layer, _, outputs in large.walk()}
    ends = (small.input_features, small.output_features), (large.input_features, large.output_features)
    if ends[0] != ends[1]:
        raise ModelError(f"a network of {ends[0]} inputs and outputs cannot grow into one of {ends[1]}")
    for name, (layer, outputs) in known.items():
        if name not in given:
            raise ModelError(f"the larger network has no layer {name!r}")
        other, more = given[name]
        shape = [(each.kind, each.extent, each.stride, each.source, each.slope) for each in (layer, other)]
        if shape[0] != shape[1] or more < outputs or layer.norm or other.norm:
            raise ModelError(
                f"layer {name!r} cannot grow: expected the same extent, stride, slope and source, no batch "
                f"norm, and {outputs} features or more"
            )
    _check_new(large, set(known))


def _check_new(large: NetworkSpec, known: set[str]) -> None:
    """What is new has to be whole residual blocks."""
    before, branch = "", ""
    for layer in large.layers:
        if layer.name not in known and not (branch and layer.kind == "add" and layer.source == before):
            branch = branch or layer.name
        elif layer.name not in known or not branch:
            before, branch = layer.name, ""
        else:
            break
    if branch:
        raise ModelError(f"layer {branch!r} is new and in no residual block of its own")
