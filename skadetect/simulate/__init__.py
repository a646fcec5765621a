"""Simulate fields with known sources: sky, telescope and artefacts."""

from skadetect.simulate.continuum import Field, draw_field, simulate_continuum
from skadetect.simulate.options import ContinuumOptions, Instrument
from skadetect.simulate.telescopes import random_telescope

__all__ = ["ContinuumOptions", "Field", "Instrument", "draw_field", "random_telescope", "simulate_continuum"]
