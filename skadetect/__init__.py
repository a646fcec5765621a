"""skadetect: find, measure and catalogue astronomical sources in images and cubes of any size.

Public names are imported on first use, so that ``import skadetect`` takes milliseconds.
"""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import Signature, signature
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skadetect.catalog.catalog import Catalog as Catalog
    from skadetect.detect import DetectOptions as DetectOptions
    from skadetect.detect import Detector as Detector
    from skadetect.detect import detect as detect
    from skadetect.errors import ConfigError as ConfigError
    from skadetect.errors import InputError as InputError
    from skadetect.errors import ModelError as ModelError
    from skadetect.errors import OutputError as OutputError
    from skadetect.errors import SkadetectError as SkadetectError
    from skadetect.evaluate import score_sdc1 as score_sdc1
    from skadetect.evaluate import score_sdc2 as score_sdc2
    from skadetect.evaluate import validate_submission as validate_submission
    from skadetect.image import Image as Image
    from skadetect.image import open_image as open_image
    from skadetect.nn.model import Model as Model
    from skadetect.plan import plan as plan
    from skadetect.simulate import ContinuumOptions as ContinuumOptions
    from skadetect.simulate import HiOptions as HiOptions
    from skadetect.simulate import simulate_continuum as simulate_continuum
    from skadetect.simulate import simulate_hi as simulate_hi
    from skadetect.train.loop import train as train

__version__ = "0.1.0"

# public name -> the module that defines it
_HOME = {
    "open_image": "image",
    "Image": "image",
    "detect": "detect",
    "Detector": "detect",
    "DetectOptions": "detect",
    "Catalog": "catalog.catalog",
    "Model": "nn.model",
    "train": "train.loop",
    "plan": "plan",
    "simulate_continuum": "simulate",
    "ContinuumOptions": "simulate",
    "simulate_hi": "simulate",
    "HiOptions": "simulate",
    "score_sdc1": "evaluate",
    "score_sdc2": "evaluate",
    "validate_submission": "evaluate",
    "SkadetectError": "errors",
    "InputError": "errors",
    "ConfigError": "errors",
    "ModelError": "errors",
    "OutputError": "errors",
}

__all__ = ["__version__", *_HOME]


# modules that are called like the function of their name: skadetect.detect(image), skadetect.train(config)
_VERBS = ("detect", "plan", "train")


def __getattr__(name: str) -> Any:
    """Import a public name from its module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _VERBS:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})


class _Verb(ModuleType):
    """A module that can be called; the import system puts it where the function of its name would be."""

    @property
    def _function(self) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

    @property
    def __signature__(self) -> Signature:
        return signature(self._function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)


class _Package(ModuleType):
    """Makes the verbs callable as soon as the import system binds them."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _VERBS and isinstance(value, ModuleType):
            value.__class__ = _Verb
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
