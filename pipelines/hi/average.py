"""The mean of the weights of two stages: steadier than either on what both were validated on.

A stage that starts from another one's weights ends near enough for their mean to be a good network, too
(Wortsman et al. 2022, "Model soups").

Usage: average.py FIRST SECOND OUT, model files; what OUT says of its training is what SECOND says.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from skadetect.nn.model import Model


def average(first: Model, second: Model) -> Model:
    """The second model with the mean of both models' weights."""
    if first.network.spec != second.network.spec:
        raise SystemExit("the models have unlike layers")
    weights = {
        name: np.float32(0.5) * (first.network.parameters[name] + array)
        for name, array in second.network.parameters.items()
    }
    return replace(second, network=second.network.with_parameters(weights, dict(second.network.state)))


if __name__ == "__main__":
    one, two, out = map(Path, sys.argv[1:])
    print(average(Model.load(one), Model.load(two)).save(out))
