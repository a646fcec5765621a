"""Simulate fields with known sources: sky, telescope and artefacts."""

from skadetect.simulate.continuum import Field, draw_field, simulate_continuum
from skadetect.simulate.hi import simulate_hi
from skadetect.simulate.hi_options import HiOptions
from skadetect.simulate.options import ContinuumOptions, Instrument
from skadetect.simulate.other_band import in_other_band
from skadetect.simulate.telescopes import random_telescope

__all__ = [
    "ContinuumOptions",
    "Field",
    "HiOptions",
    "Instrument",
    "draw_field",
    "in_other_band",
    "random_telescope",
    "simulate_continuum",
    "simulate_hi",
]
