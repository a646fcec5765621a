"""Formulas of descent: how a parameter, its moments and their averages move in one step of a training.

As in `formulas`, compiled code may call them (CUDA device code among it); NumPy's arrays go in as well as
numbers.
"""

from __future__ import annotations

from typing import Any

from numba.extending import register_jitable


@register_jitable
def towards(value: Any, target: Any, share: Any) -> Any:
    """A running mean that has moved by a share of the way to what was found; numbers or whole arrays."""
    return value + share * (target - value)


@register_jitable
def adam_move(parameter: Any, first: Any, root: Any, rate: Any, spread: Any, epsilon: Any) -> Any:
    """Parameter after a step of Adam (Kingma & Ba 2015, algorithm 1); numbers or whole arrays.

    Parameters
    ----------
    parameter, first, root
        Parameter, running mean of its gradient and root of that of its square.
    rate, spread, epsilon
        Rate over the mean's bias, root of the square's bias, and what keeps the quotient finite.
    """
    return parameter - rate * first / (root / spread + epsilon)


@register_jitable
def momentum_move(
    parameter: Any, gradient: Any, velocity: Any, rate: Any, momentum: Any, nesterov: bool
) -> Any:
    """Parameter after a step of momentum as PyTorch writes it; numbers or whole arrays.

    `velocity` is the new one, momentum * velocity + gradient.
    """
    if nesterov:
        return parameter - rate * (gradient + momentum * velocity)
    return parameter - rate * velocity


@register_jitable
def clip_factor(norm: float, limit: float) -> float:
    """Factor that takes a gradient's global norm to at most `limit`; 0 is no limit."""
    return limit / (norm + 1e-6) if limit > 0.0 and norm > limit else 1.0
