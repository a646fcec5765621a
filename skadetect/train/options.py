"""All settings of a training as one record, read from TOML."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skadetect.config import load_toml, options_from_mapping
from skadetect.errors import ConfigError
from skadetect.nn.head import HeadSpec
from skadetect.nn.loss import LossOptions
from skadetect.nn.spec import NetworkSpec
from skadetect.normalize import Normalization
from skadetect.parameters import CONTINUUM, HI, ParameterSpec
from skadetect.train.bank import BankGroup
from skadetect.train.fields import FieldGroup
from skadetect.train.optimizers import OptimizerOptions
from skadetect.train.sampling import SamplingOptions
from skadetect.train.schedule import ScheduleOptions
from skadetect.train.targets import SelectionOptions
from skadetect.train.validate import ValidationOptions

PARAMETERS: dict[str, tuple[ParameterSpec, ...]] = {"continuum": CONTINUUM, "hi": HI, "none": ()}


@dataclass(frozen=True)
class TrainOptions:
    """A whole training.

    Attributes
    ----------
    network : dict
        The layers, as `NetworkSpec.from_dict` reads them.
    head : HeadSpec
        Boxes; `parameters` must be the number of quantities that `parameters` below names.
    fields : tuple of FieldGroup
        Where patches are cut from.
    banks : tuple of BankGroup
        Galaxies that patches of cubes are made of.
    name, description : str
        Of the model.
    out : str
        Folder of the results, relative to the configuration's folder.
    steps : int
        Optimiser steps that the schedule spans.
    stop : int
        Steps after which the training ends before its schedule does, for another stage to go on; 0 for none.
    seed : int
        Of the weights, the patches and the association.
    checkpoint_every : int
        Steps between checkpoints.
    initial : str
        Model to start from (a name, or a file relative to the configuration's folder) instead of random
        weights; empty for none.
    fold : bool
        Train without the batch norms of `network`: those of the initial model are multiplied into its
        convolutions. Inference uses running statistics, which are not those of a batch; so ended, a training
        sees exactly the function that inference will.
    grow : bool
        The initial model may have fewer features and residual blocks than `network`: it is put into one that
        computes the same at first; see `skadetect.nn.growth.grow`. Without batch norms only.
    parameters : str
        The quantities to regress: "continuum", "hi" or "none".
    backend : str
        "cpu", "cuda" (a GPU), "cuda:1" (that GPU), "auto" (a GPU if there is one) or "reference".
    precision : str
        Of products on a GPU: "fp16" (with loss scaling), "bf16", "tf32" or "fp32". Weights, moments and sums
        are in float32 always.
    normalization, loss, optimizer, schedule, sampling, selection, validation
        Options of each part.
    """

    network: dict[str, Any]
    head: HeadSpec
    fields: tuple[FieldGroup, ...] = ()
    banks: tuple[BankGroup, ...] = ()
    name: str = "model"
    description: str = ""
    out: str = "run"
    steps: int = 10000
    stop: int = 0
    seed: int = 0
    checkpoint_every: int = 200
    initial: str = ""
    fold: bool = False
    grow: bool = False
    parameters: str = "continuum"
    backend: str = "cpu"
    precision: str = "fp16"
    normalization: Normalization = field(default_factory=Normalization)
    loss: LossOptions = field(default_factory=LossOptions)
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    schedule: ScheduleOptions = field(default_factory=ScheduleOptions)
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    selection: SelectionOptions = field(default_factory=SelectionOptions)
    validation: ValidationOptions = field(default_factory=ValidationOptions)

    def __post_init__(self) -> None:
        if self.parameters not in PARAMETERS:
            raise ConfigError(f"parameters is '{self.parameters}', expected one of {', '.join(PARAMETERS)}")
        if self.head.parameters != len(self.specs):
            raise ConfigError(
                f"head.parameters is {self.head.parameters}, expected {len(self.specs)} ({self.parameters})"
            )
        if self.steps < 1 or self.checkpoint_every < 1 or not 0 <= self.seed < 2**63:
            raise ConfigError("steps and checkpoint_every must be at least 1 and seed at least 0")
        if (self.fold or self.grow) and not self.initial:
            raise ConfigError("fold and grow are of an initial model, and none is given")
        if not 0 <= self.stop <= self.steps:
            raise ConfigError(f"stop is {self.stop}, expected 0 or a step up to {self.steps}")
        spec = self.network_spec
        if spec.stride != self.head.stride:
            raise ConfigError(f"the network's stride is {spec.stride}, the head's {self.head.stride}")
        if not self.fields and not self.banks:
            raise ConfigError("neither fields nor banks are given: expected something to draw patches from")
        if any(extent % step for extent, step in zip(self.sampling.shape, self.head.stride, strict=True)):
            raise ConfigError(
                f"a patch of {self.sampling.shape} is no multiple of the stride {self.head.stride}"
            )

    @property
    def last_step(self) -> int:
        """Step after which the training ends."""
        return self.stop or self.steps

    @property
    def specs(self) -> tuple[ParameterSpec, ...]:
        """The regressed quantities."""
        return PARAMETERS[self.parameters]

    @property
    def network_spec(self) -> NetworkSpec:
        """The layers."""
        spec = NetworkSpec.from_dict(self.network)
        return spec.without_norm() if self.fold else spec


def read_options(path: str | os.PathLike[str]) -> tuple[TrainOptions, Path]:
    """Read a training's TOML file.

    A key ``extends`` names another file, relative to this one, whose settings hold where this file has none.

    Returns
    -------
    TrainOptions
        The settings.
    Path
        The folder that its relative paths start from.

    Raises
    ------
    ConfigError
        If the file cannot be read or a key or value is wrong.
    """
    path = Path(path)
    return options_from_mapping(TrainOptions, read_table(path), where=path.name), path.parent


def read_table(path: Path) -> dict[str, Any]:
    """The settings of a TOML file laid over those of the file it extends.

    Raises
    ------
    ConfigError
        If a file cannot be read.
    """
    table = dict(load_toml(path))
    base = table.pop("extends", None)
    return table if base is None else laid_over(read_table(path.parent / str(base)), table)


def laid_over(base: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table with another's values on top; tables within are merged, lists are replaced."""
    merged = dict(base)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = laid_over(merged[key], value) if both else value
    return merged
