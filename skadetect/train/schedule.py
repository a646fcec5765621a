"""The learning rate as a function of the step: linear warm-up, then half a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from skadetect.errors import ConfigError


@dataclass(frozen=True)
class ScheduleOptions:
    """How the learning rate runs over a training.

    Attributes
    ----------
    warmup : int
        Steps over which the rate rises linearly from zero to its peak.
    final : float
        The rate at the last step as a fraction of its peak, 0 to 1.
    kind : str
        "cosine" (half a cosine from the peak to `final`) or "constant" (the peak, after the warm-up).
    """

    warmup: int = 100
    final: float = 0.01
    kind: str = "cosine"

    def __post_init__(self) -> None:
        if self.kind not in ("cosine", "constant"):
            raise ConfigError(f"schedule kind is '{self.kind}', expected 'cosine' or 'constant'")
        if self.warmup < 0 or not 0.0 <= self.final <= 1.0:
            raise ConfigError(
                f"schedule has warmup {self.warmup} and final {self.final}, expected >= 0 and 0..1"
            )


def learning_rate(step: int, *, steps: int, peak: float, options: ScheduleOptions) -> float:
    """The rate to use in one step.

    Parameters
    ----------
    step : int
        0-based step about to be made.
    steps : int
        Number of steps of the whole training.
    peak : float
        The highest rate.
    options : ScheduleOptions
        Shape of the curve.
    """
    rise = min(1.0, (step + 1) / options.warmup) if options.warmup > 0 else 1.0
    if options.kind == "constant":
        return peak * rise
    fall = 0.5 * (1.0 + math.cos(math.pi * min(step, steps) / max(steps, 1)))
    return peak * rise * (options.final + (1.0 - options.final) * fall)
